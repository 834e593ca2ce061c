"""Computes what units of an order come to from the order as it was bought, never from a figure derived before.

A line keeps what the shopper agreed to: its units, what they cost after discounts and without tax, and the rates of the
authorities that tax it.  From these follows what any number of its units comes to, so that the same number of units
comes to the same amount whatever was stated in between.  Every amount is exact in the currency's smallest unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal

from app.domain.prices import decimals

ZERO = Decimal(0)


@dataclass(frozen=True)
class BoughtLine:
    """A line as it was bought."""

    units: int
    goods: Decimal
    """All units less discounts, without tax."""
    tax: Decimal
    """All units, all authorities."""
    rates: tuple[Decimal, ...] = ()
    """By authority, as fractions; () where they are not known."""
    currency: str = ""

    def goods_of(self, units: int) -> Decimal:
        """What so many units cost, without tax; their discount is rounded half up."""
        if units == self.units or not self.units:
            return self.goods if units else ZERO
        return _rounded(self.goods * units / self.units, self.currency, ROUND_HALF_DOWN)

    @property
    def is_by_rate(self) -> bool:
        """True where the rates give the very tax that was paid."""
        return bool(self.rates) and sum(self._by_rate(self.goods), ZERO) == self.tax

    def taxes_of(self, units: int) -> tuple[Decimal, ...]:
        """The tax of so many units for each authority, as if they alone had been bought.

        One amount for all authorities where the rates are not known or do not give the tax that was paid.
        """
        if self.is_by_rate:
            return self._by_rate(self.goods_of(units))
        if units == self.units or not self.units:
            return (self.tax if units else ZERO,)
        return (_rounded(self.tax * units / self.units, self.currency, ROUND_HALF_UP),)

    def tax_of(self, units: int) -> Decimal:
        """The tax of so many units, all authorities."""
        return sum(self.taxes_of(units), ZERO)

    def of_units(self, before: int, units: int) -> tuple[Decimal, Decimal]:
        """What `units` come to when `before` units were kept until now and so many fewer are kept then: goods, tax.

        All such amounts of a line add up to what was paid for it, however it is cut.
        """
        kept = before - units
        return self.goods_of(before) - self.goods_of(kept), self.tax_of(before) - self.tax_of(kept)

    def _by_rate(self, goods: Decimal) -> tuple[Decimal, ...]:
        return tuple(_rounded(goods * rate, self.currency, ROUND_HALF_UP) for rate in self.rates)


@dataclass(frozen=True)
class Row:
    """A part of a refund: what is stated for it, and what may stand there at most where it is not stated."""

    stated: Decimal
    most: Decimal = ZERO


def fitted(goods: Sequence[Row], tax: Row, shipping: Row, money: Decimal, currency: str) -> list[Decimal]:
    """What each row is, goods first, then tax and shipping, once together they come to `money` if they can.

    A shortfall is taken off the goods, each in proportion; then off shipping and tax.  What is paid beyond what is
    stated goes to the goods up to what they cost, then to tax and shipping; what finds no room is left out.
    """
    rows = [*goods, tax, shipping]
    amounts = [max(row.stated, ZERO) for row in rows]
    difference = money - sum(amounts, ZERO)
    if difference < 0:
        count = len(goods)
        short = min(-difference, sum(amounts[:count], ZERO))
        cuts = spread(short, amounts[:count], currency)
        amounts[:count] = [amount - cut for amount, cut in zip(amounts[:count], cuts, strict=True)]
        difference += short
        for at in (count + 1, count):
            part = min(-difference, amounts[at])
            amounts[at] -= part
            difference += part
        return amounts
    for at, row in enumerate(rows):
        part = min(difference, max(row.most - amounts[at], ZERO))
        amounts[at] += part
        difference -= part
    return amounts


def spread(amount: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """The amount over these weights; running totals are rounded, so that the parts add up to it exactly.

    No part is above its weight where the amount is not above their sum.
    """
    total, reached, given = sum(weights, ZERO), ZERO, ZERO
    parts = []
    for weight in weights:
        reached += weight
        upto = _rounded(amount * reached / total, currency, ROUND_HALF_UP) if total else ZERO
        parts.append(upto - given)
        given = upto
    return parts


def _rounded(amount: Decimal, currency: str, rounding: str) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals(currency)), rounding=rounding)
