"""A call that is owed to a vendor (a delivery), as it is read from its row, and the state it is written back in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from app.domain.commands import CommandBody
from app.domain.events import Event

if TYPE_CHECKING:
    from sqlalchemy import Connection

State = Literal["owed", "checking", "parked", "delivered", "refused", "dropped"]

OPEN_STATES = ("owed", "checking", "parked")

DUE_STATES = ("owed", "checking")

STATES = ("owed", "checking", "parked", "delivered", "refused", "dropped")

NEVER_KNOWN = "NEVER_KNOWN"
"""Code of a dropped call that the vendor decides: RetailOps was sent "unknown", and must not read success now."""

CONFIRMED = "CONFIRMED"
"""Code of a call that counts as delivered on an operator's word."""


@dataclass(frozen=True)
class Delivery:
    """An owed call as an attempt sees it."""

    id: int
    channel: str
    gateway: str
    verb: str
    lane: str
    command_id: int
    command: CommandBody | None
    """What it says.  None past its date (R28), for then what is unknown about it stays as it is, and where the stored
    body no longer fits its verb; it is not sent then."""
    state: State
    attempts: int
    is_possibly_done: bool
    last_attempt_at: datetime | None
    request_id: str
    late_until: datetime | None = None
    """Until when an attempt that was given up without an answer may still arrive; None while there was none."""


@dataclass(frozen=True)
class Settled:
    """The delivery's next state, to be written under its lease."""

    state: State
    attempts: int
    is_possibly_done: bool
    next_try_at: datetime
    last_attempt_at: datetime | None
    code: str = ""
    error: str = ""
    events: tuple[Event, ...] = ()
    refnum: str = ""
    """The vendor's own number of what it made, where it gave one."""
    note: Callable[[Connection], None] | None = field(default=None, compare=False)
    """See `gateways.calls.Accepted.note`, which is called in the transaction that writes this."""
    late_until: datetime | None = None
    """See `Delivery.late_until`."""
    begun_at: datetime | None = field(default=None, compare=False)
    """When the attempt began; None where there was none."""
    ms: int | None = field(default=None, compare=False)
    """How long it took."""
