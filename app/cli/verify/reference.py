"""The second opinion on a body: the reference validator, so that this server does not judge itself alone."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any

import jsonschema
import msgspec
import referencing
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable

from app.contract.formats import OUTGOING
from app.contract.problems import KEPT, Problem, Schema, pointer_to, sentence

Formats = Mapping[str, Callable[[object], bool]]


def _is_integer(_checker: object, value: object) -> bool:
    """The SDK's tool takes 1.0 and 1e2 for integers; draft 4 by the letter does not (SDK contract 1.7)."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


def _is_its_integer(_checker: object, value: object) -> bool:
    """The validator of 2016 reads every number as a 64-bit float and wants its shortest decimal form in 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        number = Decimal(repr(float(value)))
    except OverflowError:
        return False
    return number == number.to_integral_value() and -(2**63) <= number < 2**63


def _is_its_multiple(_validator: object, factor: Any, value: Any, _schema: object) -> Iterator[ValidationError]:
    """The validator of 2016 divides 64-bit floats and knows whole quotients below 2^53 only (SDK contract 9)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    try:
        quotient = float(value) / float(factor)
    except OverflowError:
        quotient = math.inf
    if not (abs(quotient) < 2**53 and quotient.is_integer()):
        yield ValidationError(f"is not a multiple of {factor}")


def _validator_of(integer: Callable[[object, object], bool], **keywords: Any) -> Any:
    return jsonschema.validators.extend(  # type: ignore[no-untyped-call]
        jsonschema.Draft4Validator,
        keywords,
        type_checker=jsonschema.Draft4Validator.TYPE_CHECKER.redefine("integer", integer),
    )


EXACT = _validator_of(_is_integer)
"""Takes numbers as they are written."""

FLOATS = _validator_of(_is_its_integer, multipleOf=_is_its_multiple)
"""Reads numbers as the validator in the SDK's own tree (2016) does: `multipleOf: 1` ends at 2^53 - 1."""

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"), (bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"),
)  # fmt: skip


class BadSchema(ValueError):
    """The schema itself cannot be used; the message says why."""


@cache
def _flaw(schema: bytes) -> str:
    """Why a schema cannot be used.  The answer is kept: a run asks about the same few dozen again and again."""
    try:
        EXACT.check_schema(msgspec.json.decode(schema))
    except SchemaError as error:
        return f"not valid as draft 4 at {pointer_to(list(error.absolute_path)) or 'its root'}"
    return ""


class Reference:
    """One schema, checked once, that judges many bodies.

    `formats`: what is held to a format (R7).  An answer is held to full dates, a request to none.
    `numbers`: the validator's reading of numbers.  Raises `BadSchema`.  No address is ever opened.
    """

    def __init__(self, schema: Schema, formats: Formats = OUTGOING, numbers: Any = EXACT) -> None:
        checker = jsonschema.FormatChecker(formats=())
        for name, is_right in formats.items():
            checker.checks(name)(lambda value, is_right=is_right: not isinstance(value, str) or is_right(value))
        if flaw := _flaw(msgspec.json.encode(schema)):
            raise BadSchema(flaw)
        self._validator = numbers(schema, registry=referencing.Registry(), format_checker=checker)

    def is_valid(self, value: object) -> bool:
        """Raises `BadSchema`."""
        return not self.problems(value)

    def problems(self, value: object) -> list[Problem]:
        """All problems, each without any value of the body; beyond 20 they are counted in one more.

        Raises `BadSchema`.
        """
        try:
            found = dict.fromkeys(
                problem for error in self._validator.iter_errors(value) for problem in _problems(error)
            )
        except Unresolvable as error:
            raise BadSchema("not whole: a $ref leads neither into itself nor into the file's definitions") from error
        except (re.error, RecursionError) as error:
            raise BadSchema(f"cannot be applied: {type(error).__name__}") from error
        # A date is held to a format and, for validators that know none, to a pattern: one fault.
        dates = {problem.pointer for problem in found if problem.rule == "format"}
        found = {each: None for each in found if each.rule != "pattern" or each.pointer not in dates}
        kept = list(islice(found, KEPT))
        if len(found) > KEPT:
            kept.append(Problem("", "more", f"{len(found) - KEPT} more problems of this answer are not listed"))
        return kept


def _problems(error: ValidationError) -> Iterator[Problem]:
    place = list(error.absolute_path)
    rule = str(error.validator)
    expected: Any = error.validator_value
    if rule == "required":
        assert isinstance(error.instance, dict)
        for name in expected:
            if name not in error.instance:
                yield Problem.at(pointer_to([*place, name]), rule, "is missing")
        return
    schema = error.schema if isinstance(error.schema, dict) else {}
    form = schema.get("x-form")
    match rule:
        case "type" if "x-missing" in schema:
            # `x-form` speaks of the property that has to be given, not of this value.
            text = f"must be of type {expected}, not {_kind(error.instance)}"
        case "type":
            kinds = expected if isinstance(expected, str) else " or ".join(expected)
            kind = _kind(error.instance)
            text = f"must be {form or f'of type {kinds}'}, " + ("of 64 bits" if kind in kinds else f"not {kind}")
        case "enum":
            text = "must be one of " + ", ".join(msgspec.json.encode(option).decode() for option in expected)
        case "format" if expected == "date-time":
            text = "must be a date and time with offset as in RFC 3339, such as 2026-01-02T03:04:05Z"
        case "maxItems" | "minItems":
            limit = "at most" if rule == "maxItems" else "at least"
            text = f"has {len(error.instance)} elements, {limit} {expected} are allowed"  # type: ignore[arg-type]
        case _:
            text = sentence(rule, {"limit": expected, "multiple_of": expected}, schema)
    yield Problem.at(pointer_to(place), rule, text)


def _kind(value: object) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "object")
