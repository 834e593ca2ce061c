"""Orders of Example Shop, as RetailOps is to have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from app.domain import orders
from app.domain.moments import moment_text, to_ms
from app.domain.orders import Candidate, HeldBack, OrderSketch, SketchLine
from app.gateways.calls import Call
from app.gateways.capabilities import OrderSource
from app.gateways.vendors.example_shop.api import TOKEN, Api
from app.gateways.vendors.example_shop.options import ExampleShopOptions
from app.gateways.wire_objects import Figure, Id, Moment, Part, Parts, Text, read, wire
from app.transport.replies import unreadable

ORDERS: Final = "/orders"
ORDER: Final = "/orders/{order}"

OPEN: Final = "open"
ACKNOWLEDGED: Final = "acknowledged"

CANNOT_BE_READ: Final = "the shop gave it in a form that cannot be read"


@dataclass(frozen=True)
class ShipTo:
    """Where an order goes."""

    name: str = wire(Text("name"))
    street: str = wire(Text("street"))
    city: str = wire(Text("city"))
    state: str = wire(Text("state"))
    postal_code: str = wire(Text("postal_code"))
    country: str = wire(Text("country"))


@dataclass(frozen=True)
class Line:
    """A line of an order."""

    line_id: str = wire(Id("id", is_required=True))
    sku: str = wire(Text("sku", is_required=True))
    quantity: Decimal = wire(Figure("quantity", is_required=True))
    title: str = wire(Text("title"))


@dataclass(frozen=True)
class Head:
    """What is read even of an order of which nothing else can be."""

    order_id: str = wire(Id("id", is_required=True))
    created_at: datetime | None = wire(Moment("created_at"))


@dataclass(frozen=True)
class Order:
    """An order; what is not declared here is left alone."""

    order_id: str = wire(Id("id", is_required=True))
    status: str = wire(Text("status", is_required=True))
    created_at: datetime | None = wire(Moment("created_at"))
    currency: str = wire(Text("currency"))
    ship_service: str = wire(Text("ship_service"))
    ship_to: ShipTo | None = wire(Part("ship_to", ShipTo))
    lines: tuple[Line, ...] = wire(Parts("lines", Line, must_be_right=True))

    @property
    def is_whole(self) -> bool:
        """Whether RetailOps can fulfil it as it is."""
        units = [line.quantity for line in self.lines]
        are_right = all(count > 0 and count == int(count) for count in units)
        return bool(units and are_right and self.ship_to and self.created_at)


class Orders(OrderSource):
    """The orders of one account."""

    token = TOKEN

    def __init__(self, options: ExampleShopOptions, api: Api) -> None:
        self._options = options
        self._api = api

    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[Candidate]]:
        """The list is sorted by time; orders of one millisecond may go on on the next page."""
        params = {"status": OPEN, "created_from": moment_text(since_ms or 0), "created_until": moment_text(until_ms)}
        held: list[Candidate] = []
        for rows in self._api.pages(ORDERS, "orders", params, call):
            held += [candidate for row in rows if (candidate := self._candidate(row)) is not None]
            whole = [item for item in held if item.created_ms < held[-1].created_ms]
            if whole:
                yield whole
            held = held[len(whole) :]
        if held:
            yield held

    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[Candidate]:
        rows = [self._api.read_if_any(ORDER, call, order=refnum) for refnum in refnums]
        return [candidate for row in rows if row and (candidate := self._candidate(row)) is not None]

    def find_order(self, refnum: str, call: Call) -> OrderSketch | None:
        row = self._api.read_if_any(ORDER, call, order=refnum)
        if row is None:
            return None
        order = checked(row)
        lines = tuple(SketchLine(line.line_id, line.sku, int(line.quantity)) for line in order.lines)
        return OrderSketch(order.order_id, lines, order.currency)

    def _candidate(self, row: Any) -> Candidate | None:
        """An order that cannot be read is held back, so that the operator sees it; one without a time is left out."""
        head = read(Head, row)
        if head is None or head.created_at is None:
            return None
        order = read(Order, row)
        offered = self._order(order) if order is not None and order.is_whole else None
        return Candidate(
            head.order_id,
            to_ms(head.created_at),
            offered or HeldBack(head.order_id, CANNOT_BE_READ),
        )

    def _order(self, order: Order) -> orders.Order:
        """It carries no money: Example Shop takes the payment, and RetailOps only fulfils (R20)."""
        assert order.ship_to is not None and order.created_at is not None
        return orders.Order(
            refnum=order.order_id,
            created_at=order.created_at,
            currency_code=order.currency,
            ship_service_code=order.ship_service or self._options.ship_service_code,
            shipping_address=orders.Address(
                last_name=order.ship_to.name,
                address1=order.ship_to.street,
                city=order.ship_to.city,
                state_match=order.ship_to.state,
                postal_code=order.ship_to.postal_code,
                country_match=order.ship_to.country,
            ),
            lines=tuple(
                orders.OrderLine(line.line_id, line.sku, int(line.quantity), line.title) for line in order.lines
            ),
            carries_money=False,
        )


def checked(row: Any) -> Order:
    """An order that was requested by its number.  Raises `BrokenReply`, surely nothing done."""
    order = read(Order, row)
    if order is None:
        raise unreadable(TOKEN, ORDER)
    return order
