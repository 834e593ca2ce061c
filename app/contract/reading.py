"""Readers that turn what the contract accepts in many spellings into the one type we work with.

They are used after validation.  What validation would have refused raises `ValueError` where it could
change meaning (a fraction read as a whole number), and never says what the value was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from app.domain.events import Association, about
from app.domain.retailops_numbers import canonical
from app.domain.texts import REPLACEMENT, key_fault, mended

_NO_ID = re.compile(r"-?0(\.0+)?|null|", re.IGNORECASE)
_EPOCH = re.compile(r"-?[0-9]{9,10}(\.[0-9]+)?")
_DIGITS = re.compile(r"[0-9]{9,}(\.[0-9]+)?")
_START = datetime(1970, 1, 1, tzinfo=UTC)


def text(value: object) -> str:
    """Text without blanks around it; NUL and other characters nobody can carry are U+FFFD.

    Numbers in their shortest form (5.0 is "5"); None, lists and objects are "".
    """
    match value:
        case str():
            return mended(value).strip()
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value.is_integer():
            return str(int(value))
        case float() | Decimal():
            return format(Decimal(repr(value)) if isinstance(value, float) else value, "f")
        case _:
            return ""


def opaque(value: object) -> str:
    """An id of a vendor as it came, with its blanks (R32); one that is blank is none."""
    found = mended(value) if isinstance(value, str) else text(value)
    return found if found.strip() else ""


def identifier(value: object) -> str:
    """Like `text`, but 0, "0", "null" and "" are no identifier and become ""."""
    found = text(value)
    return "" if _NO_ID.fullmatch(found) else found


def number(value: object) -> str:
    """A number of RetailOps in its one form, so that two spellings of it are equal (R7); "" where none is given."""
    return identifier(canonical(text(value)))


def whole(value: object, default: int = 0) -> int:
    """A whole number from 24, 24.0 or " 24 "; `default` where nothing is given.

    Raises ValueError for a fraction and for what is no number.
    """
    if type(value) is int:
        return value
    found = optional_amount(value)
    if found is None:
        return default
    if found != found.to_integral_value():
        raise ValueError("not a whole number")
    return int(found)


def amount(value: object) -> Decimal:
    """An amount from its shortest text, never by way of binary; 0 where nothing is given.

    Raises ValueError for what is no number.
    """
    found = optional_amount(value)
    return Decimal(0) if found is None else found


def optional_amount(value: object) -> Decimal | None:
    """Like `amount`, but None where nothing is given (null, absent, empty text)."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal | None):
        raise ValueError("not a number")
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not found.is_finite():
        raise ValueError("not a number")
    return found if found else Decimal(0)


def entries(value: object) -> list[Any]:
    """The list, or an empty one for null and absent."""
    return value if isinstance(value, list) else []


def mapping(value: object) -> dict[str, Any]:
    """The object, or an empty one for null and absent."""
    return value if isinstance(value, dict) else {}


def shown(value: object) -> str:
    """A number as an event may name it: "" for what could not be a key."""
    found = text(value)
    return "" if key_fault(found) or REPLACEMENT in found else found


@dataclass(frozen=True)
class Envelope:
    """What every callback states beside its own part."""

    pair: tuple[int, int | None]
    """(client_id, channel_info.id); 0 is a number here, but RetailOps writes "null" for none."""
    order_refnum: str
    """The channel's number of the order it is about, "" where it names none that can be shown."""

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Envelope:
        """From a body whose envelope has no fault."""
        order, stated_id = mapping(body.get("order")), mapping(body["channel_info"]).get("id")
        channel_id = stated_id if type(stated_id) is int else text(stated_id)
        stated = order.get("channel_order_refnum"), body.get("channel_order_refnum")
        refnum = next(filter(None, (shown(each) for each in stated if each is not None)), "")
        pair = whole(body["client_id"]), whole(channel_id) if channel_id not in ("", "null") else None
        return cls(pair, refnum)


@dataclass(frozen=True)
class OrderName:
    """How a callback names its order: by the channel's number, by RetailOps', or by both; "" where not stated."""

    refnum: str
    retailops_order_id: str = ""

    @classmethod
    def read(cls, value: object) -> OrderName:
        """From the object of the payload that names the order."""
        stated = mapping(value)
        return cls(opaque(stated.get("channel_order_refnum")), number(stated.get("retailops_order_id")))

    @property
    def association(self) -> tuple[Association, ...]:
        """What events about the order name, as far as the callback does."""
        return about("order_refnum", self.refnum) or about("order_id", self.retailops_order_id)


def moment(value: object) -> datetime | None:
    """A moment in UTC from what RetailOps writes where its contract asks for nothing but text.

    Takes RFC 3339 and its relatives (no colon in the offset, a blank for the T, no offset: UTC), a
    bare date (its midnight, UTC) and seconds since 1970 of nine or ten digits, as number or as text: fewer or more are
    another form, such as 20260203 or milliseconds.  None for everything else, 0 and the year 1 included, which
    RetailOps and Go mean as "not set".
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    written = text(value)
    try:
        if _EPOCH.fullmatch(written):
            return _START + timedelta(seconds=float(written)) if float(written) else None
        if not isinstance(value, str) or _DIGITS.fullmatch(written):  # else digits are some date
            return None
        found = datetime.fromisoformat(written)
        if found.year == 1:
            return None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
