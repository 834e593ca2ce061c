"""The books at Rally's sandbox, row by row: what was bought, what has gone back, and what the order stands at."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from tests.gateways.vendors.rally.shop import Shop, money


def rows_of(refund: dict[str, Any]) -> list[tuple[str, int, Decimal]]:
    """Line number, "tax" or "shipping_rate"; units; amount."""
    return [
        (row["external_id"] if row["type"] == "line_item" else row["type"], row["quantity"], money(row["amount"]))
        for row in refund["refunds"]
    ]


def given_back(shop: Shop, refnum: str) -> Counter[str]:
    """Every row of every refund, added up by line, tax and shipping_rate."""
    found: Counter[str] = Counter()
    for refund in shop.at_rally(refnum)["refunds"]:
        for name, _, amount in rows_of(refund):
            found[name] += amount  # type: ignore[assignment]
    return found


def paid_for(order: dict[str, Any]) -> Counter[str]:
    """What the shopper paid for each row, by what `order/create` and what was added to it answered."""
    goods = {line["external_id"]: money(line["subtotal"]) - money(line["discount_amount"])
             for line in order["line_items"]}  # fmt: skip
    discounts = sum((money(line["discount_amount"]) for line in order["line_items"]), Decimal(0))
    all_discounts = sum((money(row["amount"]) for row in order["discounts"]), Decimal(0))
    shipping = order["shipping_cost"] or {"subtotal": 0}
    return Counter(
        {
            **goods,
            "tax": money(order["tax_amount"]),
            "shipping_rate": money(shipping["subtotal"]) - (all_discounts - discounts),
        }
    )


def assert_books_hold(shop: Shop, refnum: str, bought: dict[str, Any] | None = None) -> None:
    """Every refund is the sum of its rows, and no row gives back more than was paid for it.

    `bought` is the order as answered to Rally before it was changed; by default the answer Rally has.
    """
    held = shop.at_rally(refnum)
    for refund in held["refunds"]:
        rows = rows_of(refund)
        assert sum(amount for _, _, amount in rows) == money(refund["amount"]), f"{refnum}: {rows}"
        assert all(amount > 0 and units > 0 for _, units, amount in rows), f"{refnum}: {rows}"
    back, paid = given_back(shop, refnum), paid_for(bought or held["answer"])
    above = {name: (amount, paid[name]) for name, amount in back.items() if amount > paid[name]}
    assert not above, f"{refnum}: more went back on a row than was paid for it: {above}"
    assert money(held["refunded"]) <= money(held["charged"])


def snapshot(shop: Shop, refnum: str) -> dict[str, Any]:
    """The amounts of the order as Rally was told last; its total is checked to be the sum of its rows."""
    held = shop.at_rally(refnum)["snapshot"]
    rows = {line["external_id"]: (line["quantity"], *(money(line[name]) for name in
            ("subtotal", "discount_amount", "tax_amount", "total"))) for line in held["line_items"]}  # fmt: skip
    taxes = [money(tax["tax_amount"]) for tax in held["taxes"]]
    discounts = [money(row["amount"]) for row in held["discounts"]]
    total = money(held["total_price"])
    assert sum(taxes) == money(held["total_tax"]) and sum(discounts) == money(held["total_discounts"])
    goods = sum((row[1] for row in rows.values()), Decimal(0))
    shipping = total - goods - sum(taxes) + sum(discounts)
    return {"rows": rows, "taxes": taxes, "discounts": discounts, "total": total, "shipping": shipping}
