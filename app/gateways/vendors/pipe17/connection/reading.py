"""How Pipe17's JSON is read: null is absent, and what nobody needs, or has a wrong kind, costs nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import marshmallow
from marshmallow import fields

from app.domain.texts import mended

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Text(fields.Field[str]):
    """Text, or a number as text; a list gives its first text; anything else is nothing."""

    def __init__(self, key: str) -> None:
        super().__init__(data_key=key, load_default="")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, list):
            value = value[0] if value else ""
        if isinstance(value, str):
            return mended(value).strip()
        return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else ""


class Id(fields.Field[str]):
    """An id of Pipe17's, opaque: byte for byte as it came (R32), a number as text; a list gives its first id."""

    def __init__(self, key: str, *, is_required: bool = False) -> None:
        if is_required:
            super().__init__(data_key=key, required=True, validate=marshmallow.validate.Length(min=1))
        else:
            super().__init__(data_key=key, load_default="")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, list):
            value = value[0] if value else ""
        return read_id(value)


def read_id(value: object) -> str:
    """An id as Pipe17 wrote it; "" for what is none."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else ""


LONGEST_ID: Final = 255


def is_possible_id(text: str) -> bool:
    """Whether Pipe17 can be asked for it: an address cannot hold two ids that are dots only."""
    return 0 < len(text) <= LONGEST_ID and text not in (".", "..") and not _CONTROL.search(text)


class Texts(fields.Field[tuple[str, ...]]):
    """The texts of a list."""

    def __init__(self, key: str) -> None:
        super().__init__(data_key=key, load_default=())

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            return ()
        return tuple(mended(item).strip() for item in value if isinstance(item, str) and item.strip())


class Moment(fields.Field[datetime | None]):
    """An ISO-8601 time, UTC unless it says otherwise; an unreadable one is nothing."""

    def __init__(self, key: str) -> None:
        super().__init__(data_key=key, load_default=None)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime | None:
        if not isinstance(value, str):
            return None
        try:
            moment = datetime.fromisoformat(value.strip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            return None


class Number(fields.Field[Decimal]):
    """A quantity; the one kind of field that must be right."""

    def __init__(self, key: str) -> None:
        super().__init__(data_key=key, required=True)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        number = read_number(value)
        if number is None:
            raise marshmallow.ValidationError("must be a number")
        return number


def read_number(value: object) -> Decimal | None:
    """A finite number, also where it stands in a text."""
    if not isinstance(value, int | Decimal | str) or isinstance(value, bool):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


class Figure(fields.Field[Decimal | None]):
    """A number that may be missing; an unreadable one is nothing."""

    def __init__(self, key: str) -> None:
        super().__init__(data_key=key, load_default=None)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal | None:
        return read_number(value)


class Reading(marshmallow.Schema):
    """Null is the same as absent, and what we do not know is left alone."""

    class Meta:
        unknown = marshmallow.EXCLUDE

    built: type[Any]

    @marshmallow.pre_load
    def _without_nulls(self, data: Any, **kwargs: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: value for name, value in data.items() if value is not None}

    @marshmallow.post_load
    def _build(self, data: dict[str, Any], **kwargs: Any) -> Any:
        return self.built(**{name: tuple(v) if isinstance(v, list) else v for name, v in data.items()})
