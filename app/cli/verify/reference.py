"""The second opinion on a body: the reference validator, so that this server does not judge itself alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import jsonschema
import msgspec
import referencing
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable

from app.contract.formats import is_date_time
from app.contract.problems import KEPT, Problem, Schema, pointer_to


def _is_integer(_checker: object, value: object) -> bool:
    """The SDK's tool takes 1.0 and 1e2 for integers; draft 4 by the letter does not (contract 1.7)."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


_Validator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft4Validator,
    type_checker=jsonschema.Draft4Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)

_DATES = jsonschema.FormatChecker(formats=())
_DATES.checks("date-time")(lambda value: not isinstance(value, str) or is_date_time(value))


class BadSchema(ValueError):
    """The schema itself cannot be used; the message says why."""


def problems_in(value: object, schema: Schema, *, is_answer: bool) -> list[Problem]:
    """At most 20 problems, each without any value of the body.  Raises `BadSchema`.

    An answer is held to full dates, a request to no format at all (R7).  No address is ever opened.
    """
    try:
        _Validator.check_schema(schema)
        validator = _Validator(schema, registry=referencing.Registry(), format_checker=_DATES if is_answer else None)
        found = (problem for error in validator.iter_errors(value) for problem in _problems(error))
        return list(dict.fromkeys(islice(found, KEPT)))
    except SchemaError as error:
        raise BadSchema(f"not valid as draft 4 at {pointer_to(list(error.absolute_path)) or 'its root'}") from error
    except Unresolvable as error:
        raise BadSchema("a $ref leads out of links[0].schema or targetSchema") from error
    except (re.error, RecursionError) as error:
        raise BadSchema(f"cannot be applied: {type(error).__name__}") from error


def _problems(error: ValidationError) -> Iterator[Problem]:
    place = list(error.absolute_path)
    rule = str(error.validator)
    wanted: Any = error.validator_value
    if rule == "required":
        assert isinstance(error.instance, dict)
        for name in wanted:
            if name not in error.instance:
                yield Problem.at(pointer_to([*place, name]), rule, "is missing")
        return
    form = error.schema.get("x-form") if isinstance(error.schema, dict) else None
    match rule:
        case _ if form:
            text = f"must be {form}"
        case "type":
            text = "must be of type " + (wanted if isinstance(wanted, str) else " or ".join(wanted))
        case "enum":
            text = "must be one of " + ", ".join(msgspec.json.encode(option).decode() for option in wanted)
        case "format" if wanted == "date-time":
            text = "must be a date and time with offset as in RFC 3339"
        case _ if isinstance(wanted, str | int | float):
            text = f"breaks the rule {rule}: {wanted}"
        case _:
            text = f"breaks the rule {rule}"
    yield Problem.at(pointer_to(place), rule, text)
