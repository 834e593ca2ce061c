"""Amounts of money as whole ten-thousandths, which every database adds and compares exactly."""

from __future__ import annotations

from decimal import Decimal


def units_of(amount: Decimal) -> int:
    """The amount in ten-thousandths.  Raises ValueError where it has more than four decimals."""
    if not amount:  # as of most orders of a source without money
        return 0
    scaled = amount.scaleb(4)
    if scaled != scaled.to_integral_value():
        raise ValueError("an amount has more than four decimals")
    return int(scaled)


def units_if_any(amount: Decimal | None) -> int | None:
    """As `units_of`; None for no amount."""
    return None if amount is None else units_of(amount)


def amount_of(units: int | None) -> Decimal | None:
    """The amount of so many ten-thousandths; None for none."""
    return None if units is None else Decimal(units).scaleb(-4)
