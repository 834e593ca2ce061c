"""What a gateway is: a translation of business verbs into one vendor's calls.

A verb returns `Accepted`, or raises one of the four `GatewayError` kinds; nothing else may escape it.
Retrying, owing, leasing, remembering and answering RetailOps are the core's work.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol

import msgspec
from sqlalchemy import Connection

from app.clock import utc_now
from app.deadline import Deadline
from app.domain.catalogue import ProductChange, ProductSent
from app.domain.commands import COMMANDS, OBSERVATIONS, CommandBody, OrderChange, OrderChanged
from app.domain.events import Event, EventType
from app.domain.facts import Wished
from app.domain.findings import Finding
from app.domain.orders import CalledOff, Candidate, Order, OrderSketch
from app.domain.purchases import Purchase
from app.domain.stock import StockChange, StockSent
from app.domain.traffic import InboundRequest, VendorCall
from app.errors import GatewayError, Refused
from app.records.database import Database
from app.transport.limiters import limiter_of
from app.transport.limits import CallLimiter, Rate
from app.transport.rates import RatePlan
from app.transport.shared_rate import local_rate

if TYPE_CHECKING:
    from app.gateways.holdings import Holdings

Kind = Literal["question", "command", "fact"]
Repeat = Literal["safe", "lookup", "never"]

LONG_BODY: Final = "channel.long_body"
"""Key of the WSGI environment that an inbound module sets for an answer which may take long to fetch: a server that
can sends its body outside the threads for requests.  Such a body gives bytes; whoever sends it closes it."""


@dataclass(frozen=True)
class Call:
    """The circumstances of one use of a gateway: how long it may take and which request it serves."""

    deadline: Deadline
    request_id: str
    kind: Kind


@dataclass(frozen=True)
class Verb:
    """How a command behaves at this vendor (R10, R11)."""

    repeat: Repeat
    decided_by: Literal["us", "vendor"] = "us"


@dataclass(frozen=True)
class NotOurs:
    """A command this gateway does not carry out, and the event that says so."""

    event_type: EventType
    code: str
    message: str


@dataclass(frozen=True)
class Accepted:
    """The vendor has it.  `events` tell RetailOps anything worth knowing, such as "already so" (P12)."""

    events: tuple[Event, ...] = ()
    refnum: str = ""
    """The vendor's own number of what it made; of a refund RetailOps is told it."""
    note: Callable[[Connection], None] | None = field(default=None, compare=False)
    """What this acceptance leaves in the gateway's own records, written in the transaction that records it (T2), so
    that a database that is away can never turn the vendor's yes into an unknown outcome."""


@dataclass(frozen=True)
class Health:
    """Answer of a harmless read, for `channel check` and the demo."""

    state: Literal["connected", "refused", "unreachable"]
    detail: str = ""
    findings: tuple[Finding, ...] = ()
    """What else was seen: flows, grants, settings, hooks, a feed."""


class Gateway(ABC):
    """One vendor account of one channel."""

    token: ClassVar[str]
    """The vendor's word: folder, registry key, log field and metric label."""

    takes_stock: ClassVar[bool] = False
    """True when stock levels are forwarded to this vendor."""

    takes_catalog: bool = False
    """True when the catalogue is kept for this vendor: it is told changes, or shows products itself."""

    stock_needs_catalog: bool = False
    """True when stock can only be told of SKUs that stand in the catalogue; it waits for them."""

    stock_shows_with_catalog: bool = False
    """True when stock is told with the products of the catalogue, so that both have to name a SKU alike."""

    stock_can_move_at_vendor: ClassVar[bool] = True
    """True when the vendor's stock changes by itself, so that an equal level that is stated again is sent again; False
    for a vendor that only keeps what it is sent (R13)."""

    stock_by_location: ClassVar[bool] = False
    """True for a vendor that is sent stock by location: it always gets the details of a SKU, never its total."""

    restate_every_s: float = 0.0
    """How often an equal level is sent again at most, in seconds, for a vendor that takes one SKU a call (R13)."""

    verbs: Mapping[str, Verb | NotOurs] = {}
    """Every command by business verb: how it behaves, or why it is not carried out."""

    brings_orders: bool = False

    is_set_aside: bool = False
    """True while a fault of its own configuration stops the channel: what its vendor requests here is refused (R35)."""

    is_observer: ClassVar[bool] = False
    """True for a side feed: what it refuses is for the operator alone, RetailOps never hears of it (R17)."""

    observes: Literal["", "acknowledgement", "completion"] = ""
    """When this gateway is told of orders it has no part in, "" never; it can add no event to any answer (R17)."""

    gives_store_credit: bool = False
    """True when a refund can become store credit at this vendor instead of going to the payment."""

    label_leaves_out: frozenset[str] = frozenset()
    """Fields of a package's label that the vendor has no place for: weight_kg, channel_ship_code."""

    refunds_unshipped: bool = True
    """True when completing an order gives back what its unshipped units cost."""

    refunds_unused_shipping: bool = False
    """True when completing an order of which nothing has shipped gives back shipping, too."""

    reserve_grace_s: float | None = None
    """How much later than an order's acknowledgement a statement of stock must come to count its units (R25);
    None where the units of orders are not subtracted here."""

    holdings: Holdings | None = None
    """What the vendor holds, where it can be read back; None where it cannot."""

    settle_s: float = 60.0
    """How long a create may stay invisible at the vendor after it was done, and how long an attempt that was given up
    without an answer may still arrive there (R11)."""

    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[Candidate]]:
        """Orders ready for RetailOps, oldest first, in chunks.

        Every order created at the same millisecond stands in the same chunk, so that a cursor made of
        (created_ms, refnum) can cut between any two.  `since_ms` is the cursor's time: orders created
        before it need not be given; `until_ms` closes the walk.
        """
        raise NotImplementedError

    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[Candidate]:
        """These orders whatever their state, in any order; unknown ones are left out."""
        raise NotImplementedError

    def fetch_called_off(self, since_ms: int | None, until_ms: int, call: Call) -> CalledOff:
        """Orders called off at the source; `since_ms` is the `until_ms` of the last answer, None at the first time.

        Only for a source whose queue does not offer them again by itself (R18).
        """
        return CalledOff((), since_ms or 0)

    def find_order(self, refnum: str, call: Call) -> OrderSketch | None:
        """What the source says of one order, or None when it does not know it."""
        raise NotImplementedError

    def look_up(self, verb: str, body: CommandBody, call: Call) -> Accepted | None:
        """Whether an earlier attempt of unknown outcome was done; None when no trace is visible."""
        raise NotImplementedError

    def push_inventory(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """Tell the vendor these levels.  A change without a result stays owed; raises when none has one."""
        raise NotImplementedError

    def push_catalog(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        """Tell the vendor these products.  A change without a result stays owed; raises when none has one."""
        raise NotImplementedError

    wishes_every_s: float = 0.0
    """How often the vendor is asked which products its people want to hear again (`fetch_wished`); 0 never."""

    def fetch_wished(
        self, since_ms: int | None, until_ms: int, waiting: Mapping[str, Sequence[str]], call: Call
    ) -> Wished:
        """A poll for what the vendor's people changed that concerns facts.

        `since_ms` is the `until_ms` of the previous poll, None for the first one; `until_ms` is now.  `waiting` are the
        subjects of obstacles that refused facts wait for, by code: which of them are gone is found out without
        sending a fact again.
        """
        raise NotImplementedError

    catalog_batch: int = 50
    """How many changed products one `push_catalog` may be given."""

    stock_batch: int = 500
    """How many changed SKUs one `push_inventory` may be given."""

    def records_returns(self, call: Call) -> bool:
        """Whether it wants to hear which goods came back (`record_return`), although it gives no money back.

        Raises a `GatewayError` when it cannot find out; then what came back is owed and it decides later.
        """
        return False

    def flows(self) -> Mapping[str, str]:
        """Why each part of the work rests just now, "" where it runs; no call is made.  Empty: nothing can rest."""
        return {}

    def note_done(self, connection: Connection, verb: str, body: CommandBody) -> None:
        """An operator has seen that the vendor did this call of unknown outcome: keep what an acceptance leaves here.

        Inside the caller's transaction, which is serial for the order.
        """
        return None

    def change_order(self, connection: Connection, change: OrderChange) -> OrderChanged:
        """Change an order this gateway keeps, inside the caller's transaction; its source is told afterwards.

        Only where `update_order` is carried out.
        """
        raise NotImplementedError

    def as_it_stands(self, refnum: str, call: Call) -> Order | None:
        """The order with its lines and amounts as changed in RetailOps; None where it is not known.

        Only where `update_order` is carried out.  Raises a `GatewayError`.
        """
        found = self.fetch_named([refnum], call)
        return found[0].order if found and isinstance(found[0].order, Order) else None

    def purchase_of(self, order: Order) -> Purchase | None:
        """What an observer will want to hear of an order that is being handed out; None: nothing.  Makes no call."""
        return None

    def tend(self, is_stopping: Callable[[], bool]) -> None:
        """Work of its own in the background of a process that delivers, called whenever no fact is owed.

        It may take long, has a thread to itself, and ends soon after `is_stopping()` is true.  It makes no
        call to the vendor.  Raises `DatabaseUnavailable`.
        """
        return None

    @abstractmethod
    def check(self, call: Call) -> Health:
        """A harmless read that shows whether the account answers."""


class Vendor(Protocol):
    """What a vendor's folder exports as `VENDOR`."""

    token: str
    options: type[Any]

    def faults(self, options: Any) -> list[str]:
        """Rules between settings that a single field cannot see."""

    def brings_orders(self, options: Any) -> bool:
        """Whether the gateway is an order source with these options (R17)."""

    def not_carried(self, options: Any) -> list[str]:
        """Settings of an order source whose orders RetailOps' contract can never carry: setting and rule (R33).

        They set their channel aside, so that no shopper pays for what cannot be handed out (R35).
        """

    def account_marks(self, options: Any) -> list[Any]:
        """What two channels must not share (R5)."""

    def account(self, options: Any) -> str:
        """Whose account this is at the vendor, no secret: a new key of the same account leaves it as it is (R35)."""

    def former_accounts(self, options: Any) -> list[str]:
        """What `account` was by older settings of the same account, such as the digest of a replaced bare key."""

    def address_parts(self, options: Any, names: Sequence[str]) -> list[str]:
        """What stands between two slashes in the addresses of `inbound` and names this channel, whose names are given.

        Requests of one channel leave the others their share of the threads (P15).
        """

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
    """The records, for a vendor that keeps what it is asked for (carts, orders, a feed)."""
    clock: Callable[[], datetime] = utc_now
    wake: Callable[[], None] = lambda: None
    """Tells the deliveries that something may be due."""
    public_url: str = ""
    """Where others reach this server; "" when nobody has said."""
    channel_name: str = ""
    """The channel's name, for addresses and people; "" where it is the key of its records."""

    def limiter(self, vendor: str, key: str, plan: RatePlan, concurrency: int = 0) -> CallLimiter:
        """The limiter of one vendor key, known by a digest; `concurrency`: calls under way together, 0 for no cap."""
        return limiter_of(vendor, key, plan, rate_of=self.rate, threads=self.threads, concurrency=concurrency)

    @property
    def shown_channel(self) -> str:
        """The name people know the channel by."""
        return self.channel_name or self.channel


def perform(gateway: Gateway, verb: str, body: bytes, call: Call) -> Accepted:
    """Carry out an owed command.

    Raises a `GatewayError`; a body that no longer fits its verb is a final `Refused`.
    """
    accepted: Accepted = getattr(gateway, verb)(command_body(verb, body), call)
    return accepted


def look_up(gateway: Gateway, verb: str, body: bytes, call: Call) -> Accepted | None:
    """Ask the vendor whether an owed command of unknown outcome was done."""
    return gateway.look_up(verb, command_body(verb, body), call)


def command_body(verb: str, body: bytes) -> CommandBody:
    """The body of an owed command, read back.  Raises `Refused` when it cannot be."""
    try:
        return msgspec.json.decode(body, type=COMMANDS.get(verb) or OBSERVATIONS[verb])
    except (KeyError, msgspec.DecodeError) as error:
        raise Refused("UNREADABLE_DELIVERY", "the stored call does not fit its verb") from error


__all__ = [
    "Accepted", "Call", "Finding", "Gateway", "GatewayError", "Health", "NotOurs", "Tools", "Vendor",
    "Verb", "command_body", "look_up", "perform",
]  # fmt: skip
