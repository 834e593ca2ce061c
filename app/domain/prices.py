"""What a price of the catalogue means, the same for every vendor (R32)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

_DECIMALS: Final = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
         "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}  # fmt: skip
"""Decimals of the currencies that have not two (ISO 4217)."""


def decimals(currency: str) -> int:
    """Decimals of a currency's smallest unit; 2 where the currency is not known."""
    return _DECIMALS.get(currency, 2)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Half up to the currency's smallest unit; an amount without too many decimals stays as it is written."""
    places = decimals(currency)
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -places:
        return amount
    return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def price(stated: Decimal | None, currency: str) -> Decimal | None:
    """What a unit costs; None where no price, 0 or less is stated, for nothing is sold for nothing."""
    if stated is None:
        return None
    amount = rounded(stated, currency)
    return amount if amount > 0 else None


def sale_price(stated: Decimal | None, full: Decimal | None, currency: str) -> Decimal | None:
    """What a unit costs for the time being; None where that is 0 or less, or not below the full price."""
    amount = price(stated, currency)
    return amount if amount is not None and full is not None and amount < full else None
