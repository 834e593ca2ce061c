"""Reads values out of a JSON body that others made: leniently in form, never trusting a type.

Nothing here raises for a value of the wrong kind except where money or units would be guessed: then `BadBody`.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from app.domain.texts import mended

Json = Mapping[str, Any]

MOST_UNITS: Final = 1_000_000
MOST_MONEY: Final = Decimal(10) ** 9
_CENT: Final = Decimal("0.01")


class BadBody(Exception):
    """The body does not say what is needed."""


def text(value: object) -> str:
    """Free text, whole, with U+FFFD for what no database takes; numbers as they are written; anything else is empty."""
    return mended(identifier(value)).strip()


def identifier(value: object) -> str:
    """An id as it came, blanks and all; empty for one of blanks alone, and for what is neither text nor number."""
    if isinstance(value, str):
        return value if value.strip() else ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def mapping(value: object) -> Json:
    """An object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def plain(value: Any) -> Any:
    """What is kept only to be given back, as JSON that every reader takes; text as `text` has it, with its blanks."""
    match value:
        case str():
            return mended(value)
        case Decimal():
            number = float(value)
            return number if math.isfinite(number) else str(value)
        case dict():
            return {mended(name): plain(held) for name, held in value.items()}
        case list():
            return [plain(item) for item in value]
    return value


def entries(value: object) -> list[Json]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def amount(value: object) -> Decimal:
    """Money.  Raises `BadBody`."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise BadBody
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise BadBody from None
    # Compared, not computed with: of a text like 1e999999 arithmetic would overflow.
    if not found.is_finite() or not -MOST_MONEY <= found <= MOST_MONEY:
        raise BadBody
    # Numbers may be binary fractions; no currency has more than two decimals here.
    return found.quantize(_CENT, rounding=ROUND_HALF_UP)


def units(value: object) -> int:
    """A whole number of units, at least 0.  Raises `BadBody`."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise BadBody
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise BadBody from None
    if not found.is_finite() or found != found.to_integral_value() or not 0 <= found <= MOST_UNITS:
        raise BadBody
    return int(found)


def ip_address(value: object) -> str:
    """An address of version 4 or 6; anything else is empty."""
    try:
        return str(ipaddress.ip_address(text(value)))
    except ValueError:
        return ""
