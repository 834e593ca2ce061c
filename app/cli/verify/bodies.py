"""Fixtures and answers as JSON objects, read strictly and written the way the SDK's tool writes them."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
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
        raise NotAnObject(f"is not JSON; it must be a JSON object ({_why_not(raw, error)})") from None
    if not isinstance(value, dict):
        raise NotAnObject("is JSON but not an object")
    return value


def _why_not(raw: bytes, error: Exception) -> str:
    match error:
        case RecursionError():
            return "it is nested too deep"
        case UnicodeDecodeError():
            return "it is not in UTF-8"
        case _ if raw.startswith(codecs.BOM_UTF8):
            return "it begins with a byte order mark"
        case _:
            return f"{error}{', it looks like HTML' if raw.lstrip()[:1] == b'<' else ''}"


def written(body: dict[str, Any]) -> bytes:
    """Sorted keys, HTML's characters escaped, a newline at the end."""
    raw = msgspec.json.encode(body, order="sorted")
    for character, escape in _ESCAPED.items():
        raw = raw.replace(character, escape)
    return raw + b"\n"


def mapped(value: Any, of_value: Callable[[Any], Any], of_name: Callable[[str], str] = str) -> Any:
    """JSON of the same form with other texts, numbers and constants, and other names of properties."""
    match value:
        case dict():
            return {of_name(name): mapped(inner, of_value, of_name) for name, inner in value.items()}
        case list():
            return [mapped(inner, of_value, of_name) for inner in value]
        case _:
            return of_value(value)


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
