"""A shop whose checkout nobody has written: its requests are made here, without HTTP and without a vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any, ClassVar

import msgspec

from app.domain.stock import StockLevel
from app.domain.traffic import InboundRequest
from app.options import read_table
from app.records import cataloguing, stock
from app.records.catalogue_statements import Statement
from app.records.database import Database
from app.storefront import carts, order_store, orders
from app.storefront.carts import ShownCart
from app.storefront.options import ShopOptions
from app.storefront.order_document import Address, PaymentMethod, Transaction
from app.storefront.order_store import StoredOrder
from app.storefront.orders import ShownOrder
from app.storefront.requests import Additions, CartUpdate, Checkout, OrderUpdate, RequestedLine, ShopperNews, StatedLine
from app.storefront.shop import Shop

START = datetime(2026, 2, 3, 12, tzinfo=UTC)

SHOP_TABLE: Mapping[str, Any] = {
    "store_name": "Tees",
    "store_url": "https://shop.example.test",
    "shipping": [
        {"id": "standard", "title": "Standard", "price": "5.00", "countries": ["US", "CA"], "free_over": "200",
         "retailops_code": "GROUND"},
        {"id": "express", "title": "Express", "price": "15", "countries": ["US"], "provinces": ["TX", "New York"]},
    ],
    "tax": [
        {"country": "US", "province": "TX", "rate": "0.0825"},
        {"country": "CA", "rate": "0.05", "shipping": True, "title": "GST"},
        {"country": "CA", "province": "British Columbia", "rate": "0.07", "title": "PST"},
    ],
    "coupon": [
        {"code": "TEN", "percent": "10"},
        {"code": "FIVER", "amount": "5", "minimum": "50"},
        {"code": "SHIPFREE", "free_shipping": True},
    ],
}  # fmt: skip

AUSTIN = Address(first_name="Ana", last_name="Ruiz", address1="1 Elm St", city="Austin", province="TX",
                 country_code="US", zip="78701")  # fmt: skip
CARD = PaymentMethod(method_name="credit_card", card_brand="visa")
NOTHING = ShopperNews({}, None, None, "", None)


def shop_options(**more: Any) -> ShopOptions:
    """The table above with changes."""
    faults: list[str] = []
    found = read_table(ShopOptions, {**SHOP_TABLE, **more}, "channel.acme", faults)
    assert found is not None, faults
    return found


class AcmeShop(Shop):
    """A shop that sells through no vendor that there is."""

    source: ClassVar[str] = "acme"
    vendor: ClassVar[str] = "Acme"
    refnum_prefix: ClassVar[str] = "ACM-"


@dataclass
class Clock:
    """Time that tests move."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Till:
    """A checkout of the shop."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    woken: list[int] = field(default_factory=list)
    noted: list[InboundRequest] = field(default_factory=list)
    bodies: Iterator[int] = field(default_factory=count)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = shop_options(**self.settings)
        self.shop = AcmeShop(
            "first", options, self.database, self.clock, lambda: self.woken.append(1), self.noted.append
        )

    def offer(self, **units: int) -> None:
        """These goods at 30.00 each, and so many units of them."""
        goods = [Statement("", {"sku": sku, "title": sku.title(), "price": Decimal(30)}) for sku in units]
        levels = {sku: msgspec.json.encode(StockLevel(count)) for sku, count in units.items()}
        with self.database.write() as connection:
            cataloguing.accept(connection, "first", ["acme"], goods, self.clock())
            stock.accept(connection, "first", "acme", levels)

    def cart(self, **units: int) -> ShownCart:
        """A cart of these units, on its way to Austin."""
        made = carts.create(self.shop, wanted(**units), trusts_price=False, is_offers_only=False)
        news = ShopperNews({"email": "ana@example.test"}, AUSTIN, AUSTIN, "", None)
        return carts.update(self.shop, made.cart.cart_id, CartUpdate(news, None, lambda: []), is_offers_only=False)

    def buy(
        self, cart: ShownCart, *, paid: Decimal | None = None, method: PaymentMethod | None = CARD,
        key: str = "t-1", read_lines: Callable[[], Iterable[StatedLine]] | None = None,
    ) -> ShownOrder:  # fmt: skip
        """Check out, with a charge of this amount where one is named; `key` is the checkout's number of it."""
        stated = [
            StatedLine(line.external_id, line.product_key, line.variant_key, line.sku, line.quantity)
            for line in cart.priced.lines
        ]
        wanted_order = Checkout(
            cart_id=cart.cart.cart_id, shopper=NOTHING, coupons=None, charged=charges(paid, key),
            names_other_money=False, is_under_review=None, is_offers_only=False, ip_address="", meta={},
            raw=self._body(), read_lines=lambda: list(read_lines() if read_lines else stated),
            read_payment_method=lambda: method,
        )  # fmt: skip
        return orders.create(self.shop, wanted_order)

    def tell(
        self, refnum: str, *lines: RequestedLine, paid: Decimal | None = None, key: str = "t-2", **said: Any
    ) -> ShownOrder:
        """News of an order: lines to add, a charge, and what else is `said`."""
        news: dict[str, Any] = {
            "charged": charges(paid, key), "is_called_paid": False, "is_called_refunded": False,
            "is_under_review": None, "raw": self._body(), "read_additions": lambda: Additions(lines, None),
            "read_payment_method": lambda: CARD, **said,
        }  # fmt: skip
        return orders.update(self.shop, refnum, OrderUpdate(**news))

    def _body(self) -> bytes:
        """A body as no request before had it: one that comes again word for word is a repeat."""
        return b"%d" % next(self.bodies)

    def stored(self, refnum: str) -> StoredOrder | None:
        with self.database.read() as connection:
            return order_store.get(connection, "first", refnum)


def wanted(price: Decimal | None = None, /, **units: int) -> list[RequestedLine]:
    """Lines that name their goods by SKU."""
    return [RequestedLine("", sku, "", count, price) for sku, count in units.items()]


def charges(amount: Decimal | None, key: str = "t-1") -> list[Transaction]:
    return [] if amount is None else [Transaction(external_id=key, amount=amount)]
