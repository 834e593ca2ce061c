"""Rows, discounts and taxes of a changed order follow from what was bought and what was stated last."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from app.domain.catalogue import Item, Product
from app.domain.commands import LineChange
from app.domain.order_arithmetic import BoughtLine, Row, fitted
from app.storefront.options import ShopOptions
from app.storefront.order_changes import changed
from app.storefront.order_document import Address, Line, OrderDocument, Transaction
from app.storefront.pricing import price
from app.storefront.retailops_order import to_sketch
from tests.storefront.stage import shop_options

VANCOUVER = Address(country_code="CA", province="BC")
AUSTIN = Address(country_code="US", province="TX")
FOUND = {"NEW": (Product(Item(sku="NEW", key="new", price=Decimal(7))), Item(sku="NEW", key="new", price=Decimal(7)))}


def order_of(options: ShopOptions, place: Address, lines: list[Line], coupons: list[str]) -> OrderDocument:
    """What these lines are as an order, paid in full."""
    priced = price(lines, place, coupons, "standard", options)
    order = OrderDocument(
        refnum="R", number="R", cart_id="C", created_at=datetime(2026, 1, 2, tzinfo=UTC), currency=options.currency,
        lines=priced.lines, next_line=9, shipping=priced.chosen, discounts=priced.discounts, taxes=priced.taxes,
    )  # fmt: skip
    return msgspec.structs.replace(order, transactions=(Transaction(external_id="t", amount=order.total),))


def line_of(number: int, units: int, unit_price: Decimal, **more: Any) -> Line:
    return Line(
        external_id=f"li-{number}", product_key=f"p{number}", variant_key=f"p{number}", sku=f"S{number}",
        quantity=units, price=unit_price, discounted_price=unit_price, **more,
    )  # fmt: skip


def some_lines(dice: random.Random, currency: str) -> list[Line]:
    cents = 1 if currency == "JPY" else 100
    return [
        line_of(
            at, dice.randint(1, 5), Decimal(dice.randint(0, 9000)) / cents, taxable=dice.random() < 0.8,
            is_price_given=dice.random() < 0.2,
        )
        for at in range(1, dice.randint(2, 4))
    ]  # fmt: skip


def stated(order: OrderDocument, units: dict[str, int]) -> OrderDocument:
    skus = {"ro-9": "NEW"}
    changes = [LineChange(name, skus.get(name, ""), count) for name, count in units.items()]
    return changed(order, changes, FOUND).document


def assert_sums(order: OrderDocument) -> None:
    """The order's discounts and taxes are those of its rows; no amount is below 0 or between two cents."""
    goods = [row.amount for row in order.discounts if row.subtype == "total_price"]
    assert sum(goods, Decimal(0)) == sum((line.discount_amount for line in order.lines), Decimal(0))
    shipping_tax = order.shipping.tax_amount if order.shipping else Decimal(0)
    assert order.tax_amount == sum((line.tax_amount for line in order.lines), shipping_tax)
    rows = [line.total for line in order.lines]
    shipping = order.shipping_paid + shipping_tax
    assert order.total == sum(rows, shipping)
    amounts = [*rows, *goods, *(row.tax_amount for row in order.taxes)]
    places = 0 if order.currency == "JPY" else 2
    assert all(amount >= 0 and amount == round(amount, places) for amount in amounts)


@pytest.mark.parametrize("currency", ["USD", "JPY"])
def test_p19_the_same_statements_in_any_order_give_the_same_figures(currency: str, seed: int) -> None:
    dice, options = random.Random(seed), shop_options(currency=currency)
    for _ in range(60):
        coupons = dice.sample(["TEN", "FIVER", "SHIPFREE"], dice.randint(0, 2))
        place = dice.choice([VANCOUVER, AUSTIN])
        bought = order_of(options, place, some_lines(dice, currency), coupons)
        final = {line.external_id: dice.randint(0, 6) for line in bought.lines} | {"ro-9": dice.randint(1, 2)}
        names = list(final)
        results = []
        for _ in range(2):
            order = bought
            for name in dice.choices(names, k=4):
                order = stated(order, {name: dice.randint(0, 6)})
                assert_sums(order)
            dice.shuffle(names)
            for name in names:
                order = stated(order, {name: final[name]})
            assert_sums(order)
            results.append((order.lines, order.discounts, order.taxes, order.total))
        assert results[0][1:] == results[1][1:]
        as_told = {line.external_id: line for line in results[0][0]}
        assert as_told == {line.external_id: line for line in results[1][0]}
        back = stated(order, {line.external_id: line.quantity for line in bought.lines} | {"ro-9": 0})
        assert (back.lines, back.discounts, back.taxes, back.total) == (
            bought.lines, bought.discounts, bought.taxes, bought.total,
        )  # fmt: skip
        paid = [(line.charged, line.tax, line.ordered) for line in to_sketch(order, "acme").lines if not line.is_added]
        assert paid == [(line.charged, line.tax, line.quantity) for line in to_sketch(bought, "acme").lines]


@pytest.mark.parametrize("currency", ["USD", "JPY"])
def test_p19_each_authoritys_tax_is_that_of_a_fresh_order_of_the_same_goods(currency: str, seed: int) -> None:
    dice, options = random.Random(seed), shop_options(currency=currency)
    for _ in range(60):
        lines = some_lines(dice, currency)
        place = dice.choice([VANCOUVER, AUSTIN])
        bought = order_of(options, place, lines, [])
        units = {line.external_id: dice.randint(1, 5) for line in lines}
        order = stated(bought, units)
        fresh = order_of(
            replace(options, shipping=[replace(entry, free_over=None) for entry in options.shipping]),
            place, [msgspec.structs.replace(line, quantity=units[line.external_id]) for line in lines], [],
        )  # fmt: skip
        if bought.shipping is None or bought.shipping.subtotal:
            assert order.taxes == fresh.taxes
        assert [(line.subtotal, line.tax_amount) for line in order.lines] == [
            (line.subtotal, line.tax_amount) for line in fresh.lines
        ]


def test_p19_units_of_a_line_come_to_what_was_paid_however_they_are_cut(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(300):
        currency = dice.choice(["USD", "JPY", "KWD"])
        places = {"USD": 2, "JPY": 0, "KWD": 3}[currency]
        goods = Decimal(dice.randint(0, 99999)).scaleb(-places)
        rates = tuple(Decimal(dice.choice(["0.05", "0.0825", "0.07"])) for _ in range(dice.randint(0, 2)))
        tax = sum((round(goods * rate, places) for rate in rates), Decimal(0)) if dice.random() < 0.7 else goods / 8
        line = BoughtLine(dice.randint(1, 9), goods, round(tax, places), rates, currency)
        left, total = line.units, [Decimal(0), Decimal(0)]
        while left:
            part = dice.randint(1, left)
            for at, amount in enumerate(line.of_units(left, part)):
                assert amount >= 0
                total[at] += amount
            left -= part
        assert total == [line.goods, line.tax]


def test_p19_rows_of_a_refund_come_to_its_amount_and_none_is_above_what_it_may_be(seed: int) -> None:
    dice = random.Random(seed)

    def row() -> Row:
        stated = Decimal(dice.randint(0, 5000)) / 100
        return Row(stated, stated + Decimal(dice.randint(0, 500)) / 100)

    for _ in range(300):
        goods, tax, shipping = [row() for _ in range(dice.randint(0, 4))], row(), row()
        rows = [*goods, tax, shipping]
        money = Decimal(dice.randint(0, 30000)) / 100
        amounts = fitted(goods, tax, shipping, money, "USD")
        assert sum(amounts) == min(money, sum(item.most for item in rows))
        assert all(0 <= amount <= item.most for amount, item in zip(amounts, rows, strict=True))
        if money <= sum(item.stated for item in rows):
            assert all(amount <= item.stated for amount, item in zip(amounts, rows, strict=True))
            if money >= tax.stated + shipping.stated:
                assert amounts[-2:] == [tax.stated, shipping.stated], "a shortfall is taken off the goods"
