"""JSON as all sandboxes read and write it, and the one way to refuse a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from flask import Response, request

Json = dict[str, Any]

encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=Decimal).decode
"""Numbers with a fraction are read as `Decimal`: most of them are money."""

_Kind = TypeVar("_Kind")


@dataclass(eq=False)
class Failure(Exception):
    """A request that is refused: HTTP status, message, and the faults one by one in the vendor's own form."""

    status: int
    message: str
    errors: Sequence[str] | Mapping[str, Sequence[str]] | None = None
    retry_after_s: int = field(default=0, kw_only=True)
    """Other than 0: the answer has that header."""

    def __str__(self) -> str:
        return self.message


def existing(held: Mapping[str, _Kind], key: str, message: str = "Not found", *, status: int = 404) -> _Kind:
    """What is held under this key.  Raises `Failure` with the status and the message."""
    if key not in held:
        raise Failure(status, message)
    return held[key]


def json_answer(value: object, status: int = 200) -> Response:
    """An answer with this JSON body."""
    return Response(encode(value), status=status, mimetype="application/json")


def api_body(*, wrong_type: int = 400, wrong_json: int = 400, has_decimals: bool = True) -> Any:
    """The JSON body of a call of the vendor's API.  Raises `Failure` with the vendor's own status for each fault."""
    if request.mimetype != "application/json":
        raise Failure(wrong_type, "Content-Type must be application/json")
    return _sent_json(has_decimals, wrong_json)


def object_body(*, has_decimals: bool = True) -> Json:
    """The object in a body of the control API, {} for none.

    Settings and fault rules hold seconds, not money: they are read without `Decimal`.  Raises `Failure` 400.
    """
    body = _sent_json(has_decimals, 400) if request.get_data() else {}
    if not isinstance(body, dict):
        raise Failure(400, "the body must be an object")
    return body


def _sent_json(has_decimals: bool, wrong_json: int) -> Any:
    raw = request.get_data()
    try:
        return decode(raw) if has_decimals else msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Failure(wrong_json, "the body is not JSON") from None


def readable(content: bytes) -> Any:
    """Parsed JSON, or None for anything else."""
    try:
        return decode(content) if content else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def amount(value: object) -> Decimal | None:
    """A number as somebody wrote it, as a text too; None where it is none."""
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        return None
    return found if found.is_finite() else None


def converted(value: object, kind: type[_Kind], *, is_form: bool = False) -> _Kind:
    """`value` as this kind; a form's texts may stand for numbers.  Raises `Failure` 400 naming the place."""
    try:
        return msgspec.convert(value, kind, strict=not is_form)
    except msgspec.ValidationError as fault:
        raise Failure(400, str(fault)) from None
