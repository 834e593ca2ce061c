"""What a vendor's folder exports: its settings and how a gateway is made of them, and what a gateway is lent."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from app.clock import utc_now
from app.domain.traffic import InboundRequest, VendorCall
from app.gateways.capabilities import Gateway
from app.transport import learned_rate
from app.transport.client import VendorClient
from app.transport.limiters import Limit, limiter_of
from app.transport.limits import Admission, PausableLimiter, Rate
from app.transport.rates import RatePlan
from app.transport.shared_rate import local_rate

if TYPE_CHECKING:
    from app.records.database import Database

LONG_BODY: Final = "channel.long_body"
"""Key of the WSGI environment that an inbound module sets for an answer which may take long to fetch: a server that
can sends its body outside the threads for requests.  Such a body gives bytes; whoever sends it closes it."""


class Vendor(ABC):
    """What a vendor's folder exports as `VENDOR`."""

    token: str
    options: type[Any]

    def faults(self, options: Any) -> list[str]:
        """Rules between settings that a single field cannot see: of the learned rate, and the vendor's own."""
        return learned_rate.faults(options)

    def brings_orders(self, options: Any) -> bool:
        """Whether the gateway is an order source with these options (R17)."""
        return False

    def not_carried(self, options: Any) -> list[str]:
        """Settings of an order source whose orders RetailOps' contract can never carry: setting and rule (R33).

        They set their channel aside, so that no shopper pays for what cannot be handed out (R35).
        """
        return []

    def account_marks(self, options: Any) -> list[Any]:
        """What two channels must not share (R5); the account, unless a vendor says otherwise."""
        return [self.account(options)]

    @abstractmethod
    def account(self, options: Any) -> str:
        """Whose account this is at the vendor, no secret: a new key of the same account leaves it as it is (R35)."""

    def former_accounts(self, options: Any) -> list[str]:
        """What `account` was by older settings of the same account, such as the digest of a replaced bare key."""
        return []

    def address_parts(self, options: Any, names: Sequence[str]) -> list[str]:
        """What stands between two slashes in the addresses of `inbound` and names this channel, whose names are given.

        Requests of one channel leave the others their share of the threads (P15).
        """
        return []

    @abstractmethod
    def create(self, options: Any, tools: Tools) -> Gateway:
        """The gateway of one channel.  Makes no call."""


@dataclass(frozen=True)
class Tools:
    """What the composition lends every gateway."""

    channel: str
    """The key of the channel's records."""
    threads: int
    """Threads of this process that may call vendors; R14 says how many of them one vendor may hold."""
    observe: Callable[[VendorCall], None] = field(default=lambda call: None)
    observe_inbound: Callable[[InboundRequest], None] = field(default=lambda request: None)
    """Keeps how the vendor's own requests were answered, and what of them was not taken, for the operator."""
    rate: Callable[[str, RatePlan], Rate] = field(default=lambda key, plan: local_rate(plan))
    """The rate of one vendor key, known by a digest: all processes share it (R14)."""
    database: Database | None = None
    """The records, for a vendor that keeps something here (carts, orders, a feed)."""
    clock: Callable[[], datetime] = utc_now
    wake: Callable[[], None] = lambda: None
    """Has the deliveries look at once, for something may be due."""
    public_url: str = ""
    """Where others reach this server; "" when it is not set."""
    channel_name: str = ""
    """The channel's name, for addresses and people; "" where it is the key of its records."""
    limits: list[Limit] = field(default_factory=list)
    """Every limit that was lent; one list for all gateways of a process."""
    paused: Container[tuple[str, str]] = frozenset()
    """The (channel, vendor) pairs that an operator has paused: no call to such a vendor begins."""

    def limiter(self, vendor: str, key: str, plan: RatePlan, concurrency: int = 0) -> Admission:
        """The limiter of one vendor key, known by a digest; `concurrency`: calls under way together, 0 for no cap.

        Every call of the gateway goes through it, so that one that is paused makes none.
        """
        limiter = limiter_of(vendor, key, plan, rate_of=self.rate, threads=self.threads, concurrency=concurrency)
        self.limits.append(Limit(self.channel, vendor, key, plan, limiter))
        return PausableLimiter(limiter, self.channel, vendor, self.paused)

    def keyed_client(self, vendor: str, options: Any, header: str, *further_secrets: str) -> VendorClient:
        """The client of an account that is one key, sent in a header: options `base_url`, `api_key` and `patience_s`.

        Its rate is learned, and `parallel_calls`, where there is that option, are under way together.  Raises
        `Misconfigured` when no key may be sent to the address.
        """
        # Which key at which address, without showing either.
        account = hashlib.sha256(f"{options.base_url}\n{options.api_key}".encode()).hexdigest()
        plan, concurrency = learned_rate.plan_of(options), getattr(options, "parallel_calls", 0)
        return VendorClient(
            vendor,
            options.base_url,
            headers={header: options.api_key},
            patience_s=options.patience_s,
            secrets=(options.api_key, *further_secrets),
            limiter=self.limiter(vendor, account, plan, concurrency),
            observe=self.observe,
        )

    @property
    def records(self) -> Database:
        """The database, for a vendor that cannot do without; every server and every check lends it."""
        if self.database is None:
            raise ValueError("this gateway cannot be made without the records")
        return self.database

    @property
    def shown_channel(self) -> str:
        """The name people know the channel by."""
        return self.channel_name or self.channel
