"""Fixtures and answers as JSON objects, read strictly and written the way the SDK's tool writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from app.contract.problems import pointer_to

_ESCAPED = {b"<": b"\\u003c", b">": b"\\u003e", b"&": b"\\u0026"}


class NotAnObject(ValueError):
    """Bytes that are not one JSON object; the message goes on after a subject and holds none of them."""


def read_object(raw: bytes) -> dict[str, Any]:
    """Raises `NotAnObject`."""
    if not raw.strip():
        raise NotAnObject("is empty; it must be a JSON object")
    try:
        value = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, msgspec.DecodeError) else type(error).__name__
        looks = ", it looks like HTML" if raw.lstrip()[:1] == b"<" else ""
        raise NotAnObject(f"is not JSON; it must be a JSON object ({reason}{looks})") from None
    if not isinstance(value, dict):
        raise NotAnObject("is JSON but not an object")
    return value


def written(body: dict[str, Any]) -> bytes:
    """Sorted keys, HTML's characters escaped, a newline at the end."""
    raw = msgspec.json.encode(body, order="sorted")
    for character, escape in _ESCAPED.items():
        raw = raw.replace(character, escape)
    return raw + b"\n"


def texts(value: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every text of a value, names of properties too, with its pointer."""
    match value:
        case str():
            yield pointer_to(list(place)), value
        case dict():
            for name, inner in value.items():
                yield pointer_to([*place, name]), name
                yield from texts(inner, (*place, name))
        case list():
            for index, inner in enumerate(value):
                yield from texts(inner, (*place, index))
