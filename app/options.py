"""How a table of settings is declared, read and explained, the same way for every room that has settings.

A room declares a frozen dataclass whose fields are made with `option()`: the marshmallow field that
reads the value, its default, one sentence of meaning, and whether it is a secret.  Reading reports
every fault at once, with the place and the rule and never the value.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import cache
from inspect import get_annotations
from typing import Any, TypeVar

import marshmallow
from marshmallow import fields

from app.addresses import broken_rule

T = TypeVar("T")

REQUIRED = dataclasses.MISSING


def option(field: fields.Field[Any], help: str, *, default: Any = REQUIRED, secret: bool = False) -> Any:
    """One setting of a table: what reads it, what it means, what holds when it is absent."""
    metadata = {"field": field, "help": help, "secret": secret}
    if default is REQUIRED:
        field.required = True
        return dataclasses.field(metadata=metadata, repr=not secret)
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata, repr=not secret)
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def switch() -> fields.Boolean:
    """True or false and nothing that merely looks like it."""
    return fields.Boolean(truthy={True}, falsy={False})


class OneOrMore(fields.List[Any]):
    """A text, or a list of texts; read as a list either way."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        return super()._deserialize([value] if isinstance(value, str) else value, attr, data, **kwargs)


class CurrencyCode(fields.String):
    """A currency code in any case, read as upper case (R32).  `is_optional` allows an empty one."""

    def __init__(self, *, is_optional: bool = False) -> None:
        super().__init__()
        self._is_optional = is_optional

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        code = str(super()._deserialize(value, attr, data, **kwargs) or "").upper()
        if not re.fullmatch(r"[A-Z]{3}", code, re.ASCII) and (code or not self._is_optional):
            raise marshmallow.ValidationError("must be an ISO 4217 code of three letters, such as USD")
        return code


def secure_address(value: str) -> None:
    """The setting must be a URL a key may be sent to: https, or loopback."""
    if rule := broken_rule(value):
        raise marshmallow.ValidationError(rule)


@dataclasses.dataclass(frozen=True)
class Explained:
    """One setting as `channel settings` shows it."""

    name: str
    help: str
    value: str


def read_table(declared: type[T], table: Mapping[str, Any], place: str, faults: list[str]) -> T | None:
    """Read `table` as `declared`; add every fault to `faults`, each led by `place`."""
    try:
        values = _schema_of(declared).load(table)  # type: ignore[arg-type]
    except marshmallow.ValidationError as error:
        faults.extend(_sentences(error.messages_dict, place))
        return None
    return declared(**values)


@cache
def _schema_of(declared: type[Any]) -> marshmallow.Schema:
    """Made once: it takes longer than reading a table, and a deployment may have hundreds of those."""
    settings = {item.name: item.metadata["field"] for item in dataclasses.fields(declared) if "field" in item.metadata}
    return marshmallow.Schema.from_dict(settings)(unknown=marshmallow.RAISE)


def _sentences(messages: Mapping[Any, Any], place: str) -> list[str]:
    found: list[str] = []
    for key, message in messages.items():
        where = f"{place}.{key}" if key != "_schema" else place
        if isinstance(message, Mapping):
            found.extend(_sentences(message, where))
        else:
            found.extend(f"{where}: {sentence}" for sentence in message)
    return found


def has_default(item: dataclasses.Field[Any]) -> bool:
    """False for a setting that has to be there."""
    return item.default is not dataclasses.MISSING or item.default_factory is not dataclasses.MISSING


def in_order(declared: type[Any]) -> list[dataclasses.Field[Any]]:
    """The settings of a table as people read them: required ones first, then its own before those it inherits."""
    depths = {name: depth for depth, kind in reversed([*enumerate(declared.__mro__)]) for name in get_annotations(kind)}
    return sorted(dataclasses.fields(declared), key=lambda item: (has_default(item), depths[item.name]))


def explain(declared: type[Any], table: Any) -> list[Explained]:
    """Every setting of a table with its meaning, in its order; a secret only as set or not set."""
    shown = []
    for item in in_order(declared):
        if "field" not in item.metadata:
            continue
        if item.metadata["secret"]:
            value = "set" if table is not None and getattr(table, item.name) else "not set"
        elif table is not None:
            value = str(getattr(table, item.name))
        elif item.default is not dataclasses.MISSING:
            value = str(item.default)
        else:
            value = "(required)" if item.default_factory is dataclasses.MISSING else str(item.default_factory())
        shown.append(Explained(item.name, item.metadata["help"], value))
    return shown
