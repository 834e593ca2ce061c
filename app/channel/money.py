"""Money as RetailOps reads it: `Decimal` inside, a JSON number with the right decimals outside."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

CURRENCIES = ("AUD", "CAD", "CHF", "EUR", "GBP", "HKD", "JPY", "MXN", "NZD", "PLN", "SGD", "USD")
"""The currencies RetailOps knows (SDK contract 2.5)."""

_WITHOUT_DECIMALS = frozenset({"JPY"})

NEARLY = Decimal("1e-7")
"""RetailOps' caller has used 32-bit floats, which keep 24 bits of an amount (R7)."""


_UNITS = {places: Decimal(1).scaleb(-places) for places in (0, 2, 4)}
"""The smallest amount with so many decimals."""


def rounded(amount: Decimal, currency_code: str = "", *, decimals: int = 2) -> Decimal:
    """Half up to the currency's decimals (2, or 0 for JPY); `decimals` 4 for a tax per unit."""
    places = 0 if currency_code in _WITHOUT_DECIMALS else decimals
    return amount.quantize(_UNITS[places], rounding=ROUND_HALF_UP)


def as_number(amount: Decimal | int, currency_code: str = "", *, decimals: int = 2) -> int | float:
    """The JSON number of an amount: shortest form, so 19.50 reads 19.5 and 20.00 reads 20.

    A float of at most 15 significant digits prints exactly as it was rounded.
    """
    if not amount:
        return 0
    exact = rounded(Decimal(amount), currency_code, decimals=decimals)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def minor_unit(currency_code: str) -> Decimal:
    """The smallest amount of the currency: 0.01, or 1 for JPY."""
    return Decimal(1) if currency_code in _WITHOUT_DECIMALS else Decimal("0.01")


def share(total: Decimal, quantity: int, before: int, units: int, currency_code: str) -> Decimal:
    """What `units` of a line of `quantity` units come to, when `before` of them have been counted already.

    All shares of a line add up to its total exactly, however they are cut.
    """
    if quantity <= 0:
        return Decimal(0)
    until = rounded(total * min(before + units, quantity) / quantity, currency_code)
    return until - rounded(total * min(before, quantity) / quantity, currency_code)


def line_tolerance(line_count: int, currency_code: str) -> Decimal:
    """How far an order's sums may differ: one minor unit for each line (SDK contract 4.5, R23)."""
    return minor_unit(currency_code) * max(line_count, 1)
