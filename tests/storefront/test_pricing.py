"""One rounding rule: every total is the sum of its rows, whatever taxes, coupons and shipping there are."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from app.storefront.addresses import is_same_province as is_same
from app.storefront.order_document import Line
from app.storefront.pricing import price
from tests.storefront.stage import AUSTIN, shop_options


@pytest.mark.parametrize(
    ("one", "other", "is_one"),
    [
        ("TX", "Texas", True),
        ("texas", "US-TX", True),
        ("TX", "Tennessee", False),
        ("", "", False),
        ("Québec", "QC", False),
    ],
)
def test_provinces_are_matched_by_code_or_name(one: str, other: str, is_one: bool) -> None:
    assert is_same("US", one, other) is is_one
    assert is_same("CA", "Québec", "qc") and is_same("DE", "Bayern", "bayern")


def test_every_total_is_the_sum_of_its_rows(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(400):
        options = shop_options(
            currency=chance.choice(["USD", "JPY"]),
            coupon=[
                {"code": "A", "percent": str(chance.choice(["10", "33.333", "100", "0.5"]))},
                {"code": "B", "amount": str(Decimal(chance.randrange(1, 30000)) / 100)},
                {"code": "C", "free_shipping": True},
            ],
            tax=[
                {"country": "US", "rate": f"0.{chance.randrange(3000):04}", "shipping": chance.random() < 0.5}
                for _ in range(chance.randint(0, 3))
            ],
        )  # fmt: skip
        lines = [
            Line(
                external_id=str(at), product_key="p", variant_key="v", sku="s", quantity=chance.randint(1, 40),
                price=Decimal(chance.randrange(10**6)) / 10**4,
                discounted_price=Decimal(chance.randrange(10**6)) / 10**4,
                requires_shipping=chance.random() < 0.9, taxable=chance.random() < 0.8,
                is_price_given=chance.random() < 0.3,
            )
            for at in range(chance.randint(0, 6))
        ]  # fmt: skip
        coupons = chance.sample(["A", "B", "C"], chance.randint(0, 3))
        priced = price(lines, AUSTIN, coupons, chance.choice(["", "express"]), options)
        rows = priced.lines
        shipping = priced.chosen
        taxes = sum((row.tax_amount for row in rows), Decimal(0)) + (shipping.tax_amount if shipping else 0)
        assert sum((row.tax_amount for row in priced.taxes), Decimal(0)) == taxes
        discounts = sum((row.discount_amount for row in rows), Decimal(0)) + (
            shipping.discount_amount if shipping else 0
        )
        assert sum((row.amount for row in priced.discounts), Decimal(0)) == discounts
        whole = sum((row.total for row in rows), Decimal(0))
        assert priced.total == whole + (shipping.total - shipping.discount_amount if shipping else 0)
        smallest = Decimal("1") if options.currency == "JPY" else Decimal("0.01")
        for amount in (priced.total, *(row.tax_amount for row in rows), *(row.discount_amount for row in rows)):
            assert amount >= 0 and amount % smallest == 0
        assert all(row.discount_amount <= row.subtotal == row.discounted_price * row.quantity for row in rows)
        assert not any(row.discount_amount for row in rows if row.is_price_given), "the checkout's own price is exempt"
