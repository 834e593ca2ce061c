"""The settings: environment variables, `[[channel]]`, and each vendor's table, from where they are declared."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

from app.channel_settings import Channel
from app.docs.generated.tables import code, table
from app.gateways import VENDORS
from app.options import Explained, explain, has_default
from app.settings import SECRET_VARIABLES, explain_environment


def text() -> str:
    """A heading and a table for each place that has settings."""
    variables = explain_environment({})
    parts = [
        "## Environment variables\n",
        table(
            ("Name", "Default", "Meaning"),
            ((code(item.name), _default(item, item.name in SECRET_VARIABLES), item.help) for item in variables),
        ),
        *_declared("[[channel]]", Channel),
    ]
    for token in VENDORS:
        try:
            parts.extend(_declared(f"[channel.{token}]", VENDORS[token].options))
        except ImportError as error:
            parts.append(f"## `[channel.{token}]`\n\nThis vendor cannot be loaded: {type(error).__name__}.\n")
    return "\n".join(parts)


def _declared(place: str, declared: type[Any]) -> Iterator[str]:
    yield f"## `{place}`\n"
    fields = {item.name: item for item in dataclasses.fields(declared)}
    rows = []
    for item in explain(declared, None):
        field = fields[item.name]
        default = _default(item, field.metadata["secret"]) if has_default(field) else "required"
        rows.append((code(item.name), default, item.help))
    yield table(("Name", "Default", "Meaning"), rows)
    for name, hint in typing.get_type_hints(declared).items():
        for inner in typing.get_args(hint):
            if dataclasses.is_dataclass(inner) and isinstance(inner, type):
                yield from _declared(f"[{place.strip('[]')}.{name}]".join("[]"), inner)


def _default(item: Explained, is_secret: bool) -> str:
    if is_secret:
        return "not set (a secret)"
    return code(item.value) if item.value not in ("", "()", "{}", "None") else "empty"
