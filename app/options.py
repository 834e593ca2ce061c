"""How a table of settings is declared, read and explained, the same way for every room that has settings.

A room declares a frozen dataclass whose fields are made with `option()`: the marshmallow field that
reads the value, its default, one sentence of meaning, and whether it is a secret.  Reading reports
every fault at once, with the place and the rule and never the value.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection, Mapping
from functools import cache
from inspect import get_annotations
from typing import Any, TypeVar

import marshmallow
from marshmallow import fields, validate

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


_KINDS: Mapping[type[fields.Field[Any]], str] = {
    fields.String: "must be a text, in quotes",
    fields.Number: "must be a number",
    fields.Integer: "must be a whole number, without quotes",
    fields.Boolean: "must be true or false, without quotes",
    fields.List: "must be a list",
    fields.Nested: "must be a table",
    fields.Dict: "must be a table",
    OneOrMore: "must be a text or a list of texts",
}
"""What a value of another kind is answered with, as a TOML file has it."""


class Table(marshmallow.Schema):
    """A table of TOML: what breaks a rule is named in the words of the file, and an unknown key is a fault."""

    class Meta:
        unknown = marshmallow.EXCLUDE  # `_names_unknown_keys` says more of them than marshmallow does

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.error_messages["type"] = "must be a table"

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        _reword(field_obj)

    @marshmallow.validates_schema(pass_original=True, skip_on_field_errors=False)
    def _names_unknown_keys(self, _: Any, given: Any, **__: Any) -> None:
        if isinstance(given, Mapping) and (surplus := [key for key in given if key not in self.fields]):
            raise marshmallow.ValidationError({key: [_unknown(key, self.fields)] for key in surplus})


def _unknown(key: str, known: Collection[str]) -> str:
    meant = difflib.get_close_matches(key, known, n=1)
    return "is no setting here" + (f"; did you mean {meant[0]}?" if meant else "")


def _reword(field: fields.Field[Any]) -> None:
    """Replace marshmallow's sentences of a field, and of the fields in it, by ours."""
    kind = next(_KINDS[each] for each in type(field).__mro__ if each in _KINDS)
    field.error_messages |= dict.fromkeys(("invalid", "type", "special", "too_large", "null"), kind)
    field.error_messages["required"] = "is missing"
    for rule in field.validators:
        if isinstance(rule, validate.Length):
            what = "characters" if isinstance(field, fields.String) else "entries"
            rule.error = f"must have {_bounds(rule)} {what}"
        elif isinstance(rule, validate.Range):
            rule.error = f"must be {_bounds(rule)}"
        elif isinstance(rule, validate.OneOf):
            rule.error = "must be one of {choices}"
    for part in (getattr(field, "inner", None), getattr(field, "key_field", None), getattr(field, "value_field", None)):
        if part is not None:
            _reword(part)


def _bounds(rule: validate.Length | validate.Range) -> str:
    low = "{min} or more" if getattr(rule, "min_inclusive", True) else "more than {min}"
    high = "at most {max}" if getattr(rule, "max_inclusive", True) else "less than {max}"
    return " and ".join(words for words, bound in ((low, rule.min), (high, rule.max)) if bound is not None)


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
    return Table.from_dict(settings)()


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
