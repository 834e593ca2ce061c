"""What a command is, one thing RetailOps requests of an order and done once (R9), and how its order is found.

The callbacks in `actions/` say of each command what it comes to (`plan`), what a repeat with another content means
(`correct`), and what the vendor's final answer leaves in the records (`accepted`, `refused`).  `commands` carries them
out.  What is settled before: has the channel a source, does that do this, which order is meant.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

import msgspec
from sqlalchemy import Connection

from app.channel import orders
from app.channel.services import CallbackRequest, CallbackResult, carries_out
from app.contract.reading import OrderName
from app.domain.commands import CommandBody
from app.domain.events import Association, Event, about
from app.errors import GatewayError
from app.gateways.calls import NotOurs
from app.gateways.capabilities import Gateway, OrderKeeper
from app.records import handed_out
from app.records.deliveries import Delivery, Settled
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed
from app.records.search_keys import Kind


@dataclass(frozen=True)
class Plan:
    """What a command comes to by our own records: its events, and the calls that are owed for it."""

    events: Sequence[Event] = ()
    owed: Sequence[Owed] = ()
    answers_alone: bool = False
    """True for a correction that is no repeat although it has no events: the events of the first request do not answer
    it."""


@dataclass(frozen=True)
class VendorAnswer:
    """A vendor's final answer to a call of a command, read from the call itself.

    It is the same whether the answer came within the callback, minutes later in the background, or after a restart.
    """

    connection: Connection
    """A write transaction that is serial for the order."""
    delivery: Delivery
    settled: Settled
    now: datetime
    gateway: Gateway | None
    """The vendor's; None once the channel does not have it any more."""

    @property
    def channel(self) -> str:
        """The key of the channel's records."""
        return self.delivery.channel

    @property
    def body(self) -> Any:
        """What the vendor was sent: the structure of the verb (`domain.commands`)."""
        return self.delivery.command

    @property
    def kept_orders(self) -> OrderKeeper | None:
        """Where the vendor's orders are kept in this server's records; None where they are not."""
        return self.gateway.kept_orders if self.gateway is not None else None

    def reopen_kept_order(self, refnum: str) -> None:
        """Where the order is kept here it is open again, unless RetailOps has closed it or all of it has shipped: the
        last package has completed it then."""
        if self.kept_orders is None:
            return
        known = handed_out.known(self.connection, self.channel, [refnum]).get(refnum)
        if known is not None and known.state == "open" and known.waits_for_shipping:
            self.kept_orders.reopen(self.connection, refnum)


class Command(ABC):
    """One thing RetailOps requests of an order."""

    callback: ClassVar[str]
    sent_again: ClassVar[str] = ""
    """The verb of its call that a repeat owes anew where the vendor refused it for good, though other calls of the
    command have done something and so keep its key bound; "" for none."""
    refused_in_part: ClassVar[Collection[str]] = ()
    """Codes of warnings by which the vendor took that call but for a part of it, which a repeat owes anew as well."""
    awaits_throttle: ClassVar[bool] = False
    """Whether it waits for earlier calls of its order that only our own rate delays, where the vendor decides (R14)."""

    natural_key: str
    """What names it among the commands of its callback for ever."""
    order_refnum: str
    meaning: object
    """The fields that make two requests of this key the same."""

    @property
    def numbers(self) -> Sequence[tuple[Kind, str]]:
        """What it states that its order, or a part of it, is known by; kept with its claim, whatever comes of it."""
        return ()

    @cached_property
    def digest(self) -> str:
        """The same for the same meaning, whatever spelling the request used."""
        return digest_of(self.meaning)

    def is_repeat_of(self, digest: str) -> bool:
        """Whether what is bound with this digest is the same request."""
        return digest == self.digest

    @abstractmethod
    def plan(self, connection: Connection) -> Plan:
        """What is owed the first time.  Called in the transaction that claims the key (T1)."""

    def correct(self, connection: Connection) -> Plan:
        """What is owed when the key is bound and the meaning is another; T1 again."""
        return self.plan(connection)

    def send_again(self, connection: Connection) -> Plan:
        """What is owed when the call of `sent_again`, or a part of it, was refused and is requested again; T1 again."""
        return self.plan(connection)

    @staticmethod
    def accepted(answer: VendorAnswer) -> None:
        """Bring the records in line with the vendor's acceptance."""
        return None

    @staticmethod
    def refused(answer: VendorAnswer) -> None:
        """Bring the records in line with the vendor's final refusal."""
        return None

    @staticmethod
    def behind_refused(body: CommandBody | None) -> CommandBody | None:
        """What a call that follows in the same request says, once the vendor has refused one of this command."""
        return body


def digest_of(meaning: object) -> str:
    """The digest of a meaning, as the ledger keeps it."""
    return hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()


class OrderUnknown(Exception):
    """The records do not know the order, or not under this number."""


@dataclass(frozen=True)
class OrderAtSource:
    """An order that a callback is about, with all that a command needs to act on it."""

    request: CallbackRequest
    source: Gateway
    refnum: str
    """The channel's number of the order."""
    read_before: KnownOrder | None = None
    """The order where it was read already."""

    @cached_property
    def known(self) -> KnownOrder:
        """The order before the command, for use outside of a transaction; `as_of` gives it inside T1.

        Raises `OrderUnknown`.
        """
        if self.read_before is not None:
            return self.read_before
        with self.request.services.database.read() as connection:
            return self.as_of(connection)

    @property
    def channel(self) -> str:
        """The key of the channel's records."""
        return self.request.channel.key

    @property
    def named(self) -> tuple[Association, ...]:
        """What events about the whole order name."""
        return about("order_refnum", self.refnum)

    def as_of(self, connection: Connection) -> KnownOrder:
        """The order as it is in this transaction.  Raises `OrderUnknown`."""
        found = handed_out.known(connection, self.channel, [self.refnum]).get(self.refnum)
        if found is None:
            raise OrderUnknown
        return found

    def clock(self) -> datetime:
        """Now, by the clock of the records."""
        return self.request.services.clock()


class OrderCommand(Command):
    """A command about one known order; its key is the order's number unless it says another."""

    def __init__(self, order: OrderAtSource, meaning: object, natural_key: str = "") -> None:
        self.order = order
        self.order_refnum = order.refnum
        self.natural_key = natural_key or order.refnum
        self.meaning = meaning


Act = Callable[[OrderAtSource], CallbackResult]


def for_known_order(
    request: CallbackRequest, verb: str, name: OrderName, act: Act, *, commands_read_it: bool = False
) -> CallbackResult:
    """The result of `act` for an order its source knows; otherwise the event that says why nothing was done.

    `commands_read_it`: all that `act` does is to carry out commands, of which each reads the order in its own T1.  Then
    it is read, or requested from its source, before them only where one of them does not find it.
    """
    source = request.order_source
    if source is None or not carries_out(source, verb):
        return CallbackResult([declined(source, verb, name)])
    return with_order(request, source, name, act, commands_read_it=commands_read_it)


def with_order(
    request: CallbackRequest, source: Gateway, name: OrderName, act: Act, *, commands_read_it: bool = False
) -> CallbackResult:
    """The result of `act` for the order the callback names; otherwise the event that says why nothing was done.

    Where RetailOps' number stands alone, the order is the one acknowledged under it.
    """
    refnum = name.refnum
    if not refnum:
        with request.services.database.read() as connection:
            found = handed_out.numbered(connection, request.channel.key, name.retailops_order_id)
        if len(found) > 1:
            message = "several orders were acknowledged under this RetailOps number; send channel_order_refnum"
            return CallbackResult([Event("error", "ORDER_AMBIGUOUS", message, name.association)])
        refnum = found[0] if found else ""
    if refnum and commands_read_it:
        with suppress(OrderUnknown):
            return _done(act, OrderAtSource(request, source, refnum))
    try:
        order = find_order(request, source, refnum) if refnum else None
    except GatewayError as error:
        return CallbackResult([unavailable_event(source, error, name.association)])
    if order is None:
        return CallbackResult([Event("error", "ORDER_UNKNOWN", "no such order on this channel", name.association)])
    return _done(act, OrderAtSource(request, source, order.refnum, order))


def _done(act: Act, order: OrderAtSource) -> CallbackResult:
    done = act(order)
    done.order_refnum = done.order_refnum or order.refnum
    return done


def find_order(request: CallbackRequest, source: Gateway, refnum: str) -> KnownOrder | None:
    """The order as remembered, or as its source shows; None when neither knows it.

    Raises `GatewayError` when it is not remembered and the source cannot be read.
    """
    channel = request.channel.key
    with request.services.database.read() as connection:
        order = handed_out.known_as_stated(connection, channel, [refnum]).get(refnum)
    if order is not None or source.orders is None:
        return order
    sketch = source.orders.find_order(refnum, request.call("question"))
    if sketch is None:
        return None
    with request.services.database.write(
        wait_s=max(request.deadline.left_s(), 1.0), serial=[f"{channel}/{refnum}"]
    ) as connection:
        orders.remember(connection, channel, sketch)
        return handed_out.known(connection, channel, [refnum])[refnum]


def declined(source: Gateway | None, verb: str, name: OrderName | None = None) -> Event:
    """The event that says why the channel's order source does not carry this verb out."""
    named = name.association if name else ()
    declared = source.commands.verbs.get(verb) if source else None
    if isinstance(declared, NotOurs):
        return Event(declared.event_type, declared.code, declared.message, named)
    return Event("error", "NO_ORDER_SOURCE", "this channel has no source of orders", named)


def unavailable_event(source: Gateway, error: GatewayError, named: tuple[Association, ...]) -> Event:
    """The order is not known here and its source cannot be read: nothing was done."""
    message = f"{source.token} cannot be asked about this order now; nothing was done, send again"
    return Event("error", error.code, message, named)
