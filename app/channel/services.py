"""What an action is given, and what it gives: the process's services, the callback's request, its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.channel_settings import Channel
from app.contract.schemas import Callback, Reading
from app.deadline import Deadline
from app.deliveries.attempts import Attempts
from app.deliveries.keeping import Keeper
from app.domain.events import Event
from app.gateways.calls import Call, Kind, Verb
from app.gateways.capabilities import Gateway, Gateways
from app.records.database import Database

BUDGET_S = 10.0
"""How long a callback may take; RetailOps' verifier gives up at 15 s (SDK contract 1.5)."""

PATIENCE_MARGIN_S = 10.0
"""Added to the budget, this is the lease of an inline attempt: one vendor's patience and some air (R8)."""


@dataclass(frozen=True)
class Services:
    """One per process."""

    database: Database
    gateways: Gateways
    attempts: Attempts
    clock: Callable[[], datetime]
    wake_deliveries: Callable[[], None]
    keeper: Keeper
    """Keeps outcomes that cannot be recorded now."""

    def gateways_of(self, channel: Channel) -> list[Gateway]:
        """The channel's gateways in the order of its configuration."""
        return [self.gateways[(channel.key, token)] for token in channel.gateways]

    def order_source(self, channel: Channel) -> Gateway | None:
        """The one gateway that brings this channel's orders and takes its commands (R17)."""
        return next((gateway for gateway in self.gateways_of(channel) if gateway.orders is not None), None)

    def is_vendors_decision(self, channel: str, gateway: str, verb: str) -> bool:
        """Whether the vendor decides this verb, so that it cannot be owed (R10); `channel` is a key of records."""
        known = self.gateways.get((channel, gateway))
        declared = known.commands.verbs.get(verb) if known else None
        return isinstance(declared, Verb) and declared.decided_by == "vendor"


def carries_out(gateway: Gateway, verb: str) -> bool:
    """True when the gateway carries this verb out."""
    return isinstance(gateway.commands.verbs.get(verb), Verb)


@dataclass(frozen=True)
class CallbackRequest:
    """One callback of RetailOps for a configured channel, and what it is answered with."""

    services: Services
    callback: Callback
    body: Mapping[str, Any]
    reading: Reading
    channel: Channel
    request_id: str
    deadline: Deadline
    leave_turn: Callable[[], None] = lambda: None
    """Gives up the turn of a large body.  Called where T1 is over and before a vendor is waited for (R14)."""

    @property
    def order_source(self) -> Gateway | None:
        """See `Services.order_source`."""
        return self.services.order_source(self.channel)

    def call(self, kind: Kind) -> Call:
        """The circumstances to hand a gateway, which is called now."""
        self.leave_turn()
        return Call(self.deadline, self.request_id, kind)


@dataclass
class CallbackResult:
    """The events of a callback and whatever else its answer holds."""

    events: list[Event] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)
    order_refnum: str = ""
    """The order it turned out to be about, where the body names none; for the journal."""

    @property
    def has_failed(self) -> bool:
        """True when something requested was not done.

        That is no second opinion: an error event says why, for RetailOps shows people the events (SDK contract 4.7).
        """
        return any(event.event_type == "error" for event in self.events)
