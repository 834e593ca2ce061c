"""What a gateway can do: one small class for each thing the core can ask of a vendor's account.

A `Gateway` is composed of them, and the core asks for the one it needs: `if (stock := gateway.stock) is not None`.
Every method that calls the vendor returns its result or raises one of the four `GatewayError` kinds; nothing else may
escape it.  Retrying, queueing, leasing, remembering and answering RetailOps are the core's work.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from app.domain.catalogue import ProductChange, ProductSent
from app.domain.commands import CommandBody, OrderChange, OrderChanged, Refund, Settlement
from app.domain.facts import PollResult
from app.domain.orders import Candidate, Order, OrderSketch, SourceCancellations
from app.domain.purchases import Purchase
from app.domain.stock import StockChange, StockSent
from app.gateways.calls import Accepted, Call, Health, NotOurs, Verb
from app.gateways.holdings import Holdings

if TYPE_CHECKING:
    from sqlalchemy import Connection


class OrderSource(ABC):
    """Brings orders; a channel has one at most, and its commands go to the same gateway (R17)."""

    token: str
    """The vendor's word."""

    reserve_grace_s: float | None = None
    """How much later than an order's acknowledgement a statement of stock must come to count its units (R25);
    None where the units of orders are not subtracted here."""

    @abstractmethod
    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[Candidate]]:
        """Orders ready for RetailOps, oldest first, in chunks.

        Every order created at the same millisecond stands in the same chunk, so that a cursor made of
        (created_ms, refnum) can cut between any two.  `since_ms` is the cursor's time: orders created
        before it need not be given; `until_ms` closes the walk.
        """

    @abstractmethod
    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[Candidate]:
        """These orders whatever their state, in any order; unknown ones are left out."""

    @abstractmethod
    def find_order(self, refnum: str, call: Call) -> OrderSketch | None:
        """What the source says of one order, or None when it does not know it."""

    def fetch_cancellations(self, since_ms: int | None, until_ms: int, call: Call) -> SourceCancellations:
        """Orders cancelled at the source; `since_ms` is the `until_ms` of the last answer, None at the first time.

        Only for a source whose queue does not offer them again by itself (R18).
        """
        return SourceCancellations((), since_ms or 0)


class OrderKeeper(ABC):
    """Keeps the source's orders in this server's records, where they may change after they were read."""

    @abstractmethod
    def moved(self, connection: Connection, places: Mapping[str, int]) -> set[str]:
        """Orders that stand elsewhere in the queue by now than at these times of creation (ms): they have changed."""

    @abstractmethod
    def change_order(self, connection: Connection, change: OrderChange) -> OrderChanged:
        """Change an order inside the caller's transaction; its source is sent the change afterwards."""

    @abstractmethod
    def reopen(self, connection: Connection, refnum: str) -> None:
        """The source refused what cancelled or completed the order: it is as far as before, in the same transaction.

        Nothing happens where the order is kept as neither.
        """

    @abstractmethod
    def forget_parcel(self, connection: Connection, refnum: str, key: str) -> None:
        """The source refused the package of this key: the order is kept without it, in the same transaction."""

    @abstractmethod
    def as_it_stands(self, refnum: str, call: Call) -> Order | None:
        """The order with its lines and amounts as changed in RetailOps; None where it is not known."""


class CommandTarget(ABC):
    """Carries out commands: besides the methods below it has one for each verb that it declares as a `Verb`."""

    verbs: Mapping[str, Verb | NotOurs]
    """Every command by business verb: how it behaves, or why it is not carried out; so is `push_catalog` where there
    may be no `CatalogueSink`."""

    label_leaves_out: frozenset[str] = frozenset()
    """Fields of a package's label that the vendor has no place for: weight_kg, channel_ship_code."""

    def look_up(self, verb: str, body: CommandBody, call: Call) -> Accepted | None:
        """Whether an earlier attempt of unknown outcome was done; None when no trace is visible.

        Only for verbs declared with `repeat="lookup"`.
        """
        raise NotImplementedError

    def records_returns(self, call: Call) -> bool:
        """Whether it records which goods came back (`record_return`), although it gives no money back.

        Raises a `GatewayError` when it cannot find out; then the record is queued and it decides later.
        """
        return False

    def on_confirmed(self, connection: Connection, verb: str, body: CommandBody) -> None:
        """An operator has seen that the vendor did this call of unknown outcome: keep what an acceptance leaves here.

        Inside the caller's transaction, which is serial for the order.
        """
        return None


class MoneyMover(ABC):
    """Moves money at the vendor: the verbs of money of a command target, and what completing an order gives back."""

    gives_store_credit: bool = False
    """True when a refund can become store credit at this vendor instead of going to the payment."""

    refunds_unshipped: bool = True
    """True when completing an order gives back what its unshipped units cost."""

    refunds_unused_shipping: bool = False
    """True when completing an order of which nothing has shipped gives back shipping, too."""

    @abstractmethod
    def refund_payment(self, refund: Refund, call: Call) -> Accepted:
        """Give money back to a payment."""

    def return_order(self, refund: Refund, call: Call) -> Accepted:
        """Give money back for goods that came back."""
        return self.refund_payment(refund, call)

    def credit_payment(self, refund: Refund, call: Call) -> Accepted:
        """Give money back because RetailOps credits a payment."""
        return self.refund_payment(refund, call)

    @abstractmethod
    def settle_payment(self, settlement: Settlement, call: Call) -> Accepted:
        """Collect a payment."""


class StockSink(ABC):
    """Is sent stock levels."""

    batch: int = 500
    """How many changed SKUs one `push` may be given."""

    at_once: int = 0
    """For a vendor that takes one SKU a call: how many calls of one `push` may be under way together.  0: it takes
    many, and `push` makes its calls one after another."""

    by_location: bool = False
    """True for a vendor that is sent stock by location: it always gets the details of a SKU, never its total."""

    can_move_at_vendor: bool = True
    """True when the vendor's stock changes by itself, so that an equal level that is stated again is sent again; False
    for a vendor that only keeps what it is sent (R13)."""

    needs_catalogue: bool = False
    """True when stock can only be sent of SKUs that stand in the catalogue; it waits for them."""

    shows_with_catalogue: bool = False
    """True when stock is shown with the products of the catalogue, so that both have to name a SKU alike."""

    restate_every_s: float = 0.0
    """How often an equal level is sent again at most, in seconds, for a vendor that takes one SKU a call (R13)."""

    @abstractmethod
    def push(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """Send these levels.  A change without a result stays due; raises when none has one."""

    def in_words(self, sent: bytes) -> Mapping[str, str]:
        """What the gateway's note says was sent last, by place ("" where the vendor has one figure); makes no call."""
        return {}


class CatalogueSink(ABC):
    """Is sent the products of the catalogue, or shows them itself."""

    batch: int = 50
    """How many changed products one `push` may be given."""

    at_once: int = 0
    """As `StockSink.at_once`, of products."""

    @abstractmethod
    def push(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        """Send these products.  A change without a result stays due; raises when none has one."""


class Observer(ABC):
    """A side feed of orders: what it refuses is for the operator alone, and it adds no event to any answer (R17)."""

    reports_at: Literal["", "acknowledgement", "completion"] = ""
    """When a purchase is reported to it, "" never."""

    @abstractmethod
    def purchase_of(self, order: Order) -> Purchase | None:
        """What is to be reported of an order that is being handed out; None: nothing.  Makes no call."""


class Poll(ABC):
    """Polls the vendor for what its people changed that concerns facts."""

    every_s: float
    """Seconds between two polls; 0 never."""

    @abstractmethod
    def since(
        self, since_ms: int | None, until_ms: int, waiting: Mapping[str, Sequence[str]], call: Call
    ) -> PollResult:
        """What changed since `since_ms`, the `until_ms` of the previous poll, None for the first; `until_ms` is now.

        `waiting` are the subjects of obstacles that refused facts wait for, by code: which of them are gone is found
        out without sending a fact again.
        """


@dataclass(frozen=True, eq=False)
class Gateway:
    """One vendor account of one channel.  What it cannot do is None."""

    token: str
    """The vendor's word: folder, registry key, log field and metric label."""

    check: Callable[[Call], Health]
    """A harmless read that shows whether the account answers."""

    commands: CommandTarget
    orders: OrderSource | None = None
    kept_orders: OrderKeeper | None = None
    money: MoneyMover | None = None
    stock: StockSink | None = None
    catalogue: CatalogueSink | None = None
    observer: Observer | None = None
    poll: Poll | None = None
    holdings: Holdings | None = None

    permissions: Callable[[], Mapping[str, str]] | None = None
    """Why each part of the work is switched off at the vendor just now, "" where it runs; no call is made."""

    background: Callable[[Callable[[], bool]], float] | None = None
    """Work of its own in the background of a process that delivers; returns in how many seconds it is called again.

    It is called earlier when facts were sent.  It may take long, but few gateways do such work at the same time, and
    ends soon after the function it is given, which says whether the process is stopping, is true.  It makes no call to
    the vendor.  Raises `DatabaseUnavailable`.
    """

    settle_s: float = 60.0
    """How long a create may stay invisible at the vendor after it was done, and how long an attempt that was given up
    without an answer may still arrive there (R11)."""


Gateways = Mapping[tuple[str, str], Gateway]
"""By key of a channel's records and vendor."""
