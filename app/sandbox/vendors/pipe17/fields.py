"""What a value sent to Pipe17 must look like, because the sandbox is strict where the vendor may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.sandbox.bodies import Failure

Check = Callable[[object], str | None]
"""Says what is wrong with a value, or nothing when it may be stored."""

INT32_MAX = 2**31 - 1


def parse_moment(text: str) -> datetime:
    """An ISO-8601 time that names its offset.  Raises `ValueError` otherwise."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or "T" not in text:
        raise ValueError("a time needs a date, a time of day and an offset")
    return moment.astimezone(UTC)


def text(value: object) -> str | None:
    return None if isinstance(value, str) else "must be a string"


def filled_text(value: object) -> str | None:
    return None if isinstance(value, str) and value.strip() else "must be a string that is not empty"


def number(value: object) -> str | None:
    return None if isinstance(value, int | Decimal) and not isinstance(value, bool) else "must be a number"


def integer(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and -INT32_MAX - 1 <= value <= INT32_MAX:
        return None
    return "must be a 32-bit integer"


def boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be a boolean"


def number_or_text(value: object) -> str | None:
    return None if isinstance(value, str) or number(value) is None else "must be a number or a string"


def text_or_null(value: object) -> str | None:
    return None if value is None or isinstance(value, str) else "must be a string or null"


def moment(value: object) -> str | None:
    if isinstance(value, str):
        try:
            parse_moment(value)
        except ValueError:
            return "must be an ISO-8601 time with an offset"
        return None
    return "must be an ISO-8601 time with an offset"


def texts(value: object) -> str | None:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return None
    return "must be a list of strings"


def mapping(value: object) -> str | None:
    return None if isinstance(value, dict) else "must be an object"


def mappings(value: object) -> str | None:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return None
    return "must be a list of objects"


def one_of(*words: str) -> Check:
    def check(value: object) -> str | None:
        return None if value in words else "must be one of " + ", ".join(words)

    return check


def record(fields: Mapping[str, Check], *required: str) -> Check:
    """An object that has these fields and no others."""

    def check(value: object) -> str | None:
        if not isinstance(value, dict):
            return "must be an object"
        return "; ".join(problems(value, fields, required)) or None

    return check


def records(fields: Mapping[str, Check], *required: str) -> Check:
    """A list of such objects."""
    check_one = record(fields, *required)

    def check(value: object) -> str | None:
        if not isinstance(value, list):
            return "must be a list"
        found = [(place, check_one(item)) for place, item in enumerate(value)]
        return "; ".join(f"[{place}] {problem}" for place, problem in found if problem) or None

    return check


def problems(body: Mapping[str, Any], fields: Mapping[str, Check], required: Sequence[str] = ()) -> list[str]:
    """Every fault of a body, each naming its field."""
    found = [f"{name} is required" for name in required if name not in body]
    for name, value in body.items():
        check = fields.get(name)
        if check is None:
            found.append(f"{name} is unknown or cannot be written")
            continue
        problem = check(value)
        if problem is not None:
            found.append(f"{name} {problem}")
    return found


def refuse_problems(body: Mapping[str, Any], fields: Mapping[str, Check], required: Sequence[str] = ()) -> None:
    """Raises `Failure` 400 that names every faulty field."""
    found = problems(body, fields, required)
    if found:
        raise Failure(400, "validation failed: " + "; ".join(found), found)


def _country(value: object) -> str | None:
    if isinstance(value, str) and (value == "" or (len(value) == 2 and value.isalpha() and value.isupper())):
        return None
    return "must be an ISO-3166 alpha-2 code"


_ADDRESS_TEXTS = (
    "firstName", "lastName", "company", "address1", "address2", "city", "stateOrProvince",
    "zipCodeOrPostalCode", "email", "phone",
)  # fmt: skip

address = record({**dict.fromkeys(_ADDRESS_TEXTS, text), "country": _country})
custom_fields = records({"name": filled_text, "value": text}, "name", "value")
MARKS: Mapping[str, Check] = {"tags": texts, "customFields": custom_fields}
