"""How vendors' objects are declared, once for both directions: frozen dataclasses whose fields are made with `wire()`.

Reading is tolerant, because an order must not be lost for an unneeded field: null is the same as absent, what is
not declared is left alone, and a value of a wrong kind is as if it were absent.  Names that public sources leave open
stand in these declarations and nowhere else (UNVERIFIED.md).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final, TypeVar

import marshmallow
import msgspec

from app.domain.moments import iso_ms
from app.domain.texts import mended

T = TypeVar("T")
Json = dict[str, Any]

encode = msgspec.json.Encoder(decimal_format="number").encode

LONGEST_ID: Final = 255

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class WireField(marshmallow.fields.Field[Any]):
    """What reads and writes one field, as it is unless a subclass says otherwise.

    `is_required`: an object without it cannot be read.
    """

    absent: Any = ""
    """What a field that is not there reads as."""

    def __init__(self, key: str, *, is_required: bool = False) -> None:
        super().__init__(data_key=key, required=is_required)
        self.key = key

    def read(self, value: Any) -> Any:
        """Raises `ValidationError` where the whole object is lost with this value, which is never None."""
        return value

    def write(self, value: Any) -> Any:
        """None, "" or [] for what is to be left out."""
        return value


def wire(field: WireField) -> Any:
    """A field of an object: the name it has at the vendor, and how it is read and written."""
    if field.required:
        return dataclasses.field(metadata={"field": field})
    return dataclasses.field(default=field.absent, metadata={"field": field})


def read(kind: type[T], row: object) -> T | None:
    """One object of a vendor's, or None when it is not of the form it must have."""
    if not isinstance(row, Mapping):
        return None
    values = {}
    try:
        # Field by field: `Schema.load` takes ten times as long, and lists hold thousands of products.
        for name, field in _declared(kind):  # type: ignore[arg-type]  # mypy takes no type variable for hashable.
            value = row.get(field.key)
            if value is None and field.required:
                return None
            values[name] = field.absent if value is None else field.read(value)
    except marshmallow.ValidationError:
        return None
    return kind(**values)


def read_all(kind: type[T], rows: object) -> tuple[T, ...]:
    """The objects of a list; what cannot be read is left out."""
    return tuple(item for row in rows if (item := read(kind, row)) is not None) if isinstance(rows, list) else ()


def write(item: Any) -> Json:
    """An object as the vendor takes it; a field that says nothing is left out, so that it is not touched there."""
    written = {field.key: field.write(getattr(item, name)) for name, field in _declared(item.__class__)}
    return {key: value for key, value in written.items() if value not in (None, "", [])}


@cache
def _declared(kind: type[Any]) -> tuple[tuple[str, WireField], ...]:
    declared = dataclasses.fields(kind)
    return tuple((item.name, item.metadata["field"]) for item in declared if "field" in item.metadata)


class Text(WireField):
    """Text, or a number as text; a list gives its first text; anything else is nothing."""

    def read(self, value: Any) -> str:
        value = _first(value)
        return mended(value).strip() if isinstance(value, str) else read_id(value)


class Id(WireField):
    """An id of the vendor's, opaque: byte for byte as it came (R32), a number as text; a list gives its first id."""

    def read(self, value: Any) -> str:
        found = read_id(_first(value))
        if self.required and not found:
            raise marshmallow.ValidationError("must be an id")
        return found


class ListedId(Id):
    """An id that is written as a list of one."""

    def write(self, value: Any) -> list[Any]:
        return [value] if value else []


def _first(value: Any) -> Any:
    if isinstance(value, list):
        return value[0] if value else ""
    return value


def read_id(value: object) -> str:
    """An id as the vendor wrote it; "" for what is none."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else ""


def is_possible_id(text: str) -> bool:
    """Whether it can be requested: an address cannot hold two ids that are dots only."""
    return 0 < len(text) <= LONGEST_ID and text not in (".", "..") and not _CONTROL.search(text)


class Texts(WireField):
    """The texts of a list."""

    absent = ()

    def read(self, value: Any) -> tuple[str, ...]:
        texts = [mended(item).strip() for item in value if isinstance(item, str)] if isinstance(value, list) else []
        return tuple(filter(None, texts))


class Moment(WireField):
    """An ISO-8601 time, UTC unless it says otherwise; an unreadable one is nothing."""

    absent = None

    def read(self, value: Any) -> datetime | None:
        if not isinstance(value, str):
            return None
        try:
            moment = datetime.fromisoformat(value.strip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def write(self, value: datetime | None) -> str | None:
        return None if value is None else iso_ms(value)


class Figure(WireField):
    """A number, also where it stands in a text; an unreadable one is nothing, or costs the object that requires it."""

    absent = None

    def read(self, value: Any) -> Decimal | None:
        number = None
        if isinstance(value, int | Decimal | str) and not isinstance(value, bool):
            with suppress(InvalidOperation):
                number = Decimal(value)
        if number is not None and number.is_finite():
            return number
        if self.required:
            raise marshmallow.ValidationError("must be a number")
        return None


class Units(WireField):
    """A whole number of units; anything else is nothing."""

    absent = None

    def read(self, value: Any) -> int | None:
        return value if isinstance(value, int) and not isinstance(value, bool) else None


class Switch(WireField):
    """True where the vendor says true; one that is off is not written."""

    absent = False

    def read(self, value: Any) -> bool:
        return value is True

    def write(self, value: bool) -> bool | None:
        return value or None


class Part(WireField):
    """An object inside another, which is lost with it; None where it is absent."""

    absent = None

    def __init__(self, key: str, kind: type[Any]) -> None:
        super().__init__(key)
        self._kind = kind

    def read(self, value: Any) -> Any:
        part = read(self._kind, value)
        if part is None:
            raise marshmallow.ValidationError("cannot be read")
        return part


class Parts(WireField):
    """The objects of a list; `must_be_right`: what cannot be read costs the whole object, else only itself."""

    absent = ()

    def __init__(self, key: str, kind: type[Any], *, must_be_right: bool = False) -> None:
        super().__init__(key)
        self._kind = kind
        self._must_be_right = must_be_right

    def read(self, value: Any) -> tuple[Any, ...]:
        parts = read_all(self._kind, value)
        if self._must_be_right and (not isinstance(value, list) or len(parts) < len(value)):
            raise marshmallow.ValidationError("cannot be read")
        return parts

    def write(self, value: tuple[Any, ...]) -> list[Json]:
        return [write(part) for part in value]


class PartsWithin(Parts):
    """The objects of a list that stands under `key` in an object of its own."""

    def __init__(self, key: str, inner_key: str, kind: type[Any]) -> None:
        super().__init__(key, kind)
        self._inner_key = inner_key

    def read(self, value: Any) -> tuple[Any, ...]:
        return super().read(value.get(self._inner_key) if isinstance(value, Mapping) else None)
