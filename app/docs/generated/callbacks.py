"""The callbacks: what each takes and answers, from its schema, and an example, from the verifier's fixtures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.contract.files import FIXTURES
from app.contract.schemas import Callback, load_contract
from app.docs.generated.tables import code, table

ENVELOPE = ("integration_auth_token", "action", "version", "client_id", "channel_info", "channel_info.id")
"""Fields of every request, which are listed once."""


def text() -> str:
    """A section for each callback."""
    callbacks = load_contract().callbacks
    first = next(iter(callbacks.values()))
    envelope = [row for row in _fields(first.request_schema) if row[0].strip("`") in ENVELOPE]
    parts = ["## Fields of every request\n", table(("Field", "Type", "Meaning"), envelope)]
    for callback in callbacks.values():
        parts.extend(_section(callback))
    return "\n".join(parts)


def _section(callback: Callback) -> Iterator[str]:
    yield f"## {callback.name}\n"
    yield f"`POST /api/channel/{callback.name}_v1`. {callback.description}\n"
    if callback.entries:
        rule = "[R6](../explain/rules.md#r6)"
        yield f"Each entry of `{callback.entries}` stands for itself: a bad one costs no other ({rule}).\n"
    own = [row for row in _fields(callback.request_schema) if row[0].strip("`") not in ENVELOPE]
    yield f"### {callback.name}: request\n"
    yield table(("Field", "Type", "Meaning"), own) if own else "Nothing besides the fields of every request.\n"
    yield f"### {callback.name}: answer\n"
    yield table(("Field", "Type", "Meaning"), _fields(callback.answer_schema))
    examples = sorted(FIXTURES.glob(f"{callback.name}_v1_ex_*.json"))
    yield f"### {callback.name}: example\n"
    sent = f"`channel send {callback.name}` sends one with real numbers"
    yield f"One of {len(examples)} in `verifier_fixtures/`; {sent}.\n"
    yield f"```json\n{examples[0].read_text(encoding='utf-8').strip()}\n```\n"


def _fields(schema: Mapping[str, Any], place: str = "") -> list[tuple[str, str, str]]:
    """Every field below an object, with its path, its types and its description."""
    rows: list[tuple[str, str, str]] = []
    required = set(schema.get("required", ()))
    for name, part in schema.get("properties", {}).items():
        path = f"{place}{name}"
        said = [part.get("description") or part.get("title") or ""]
        if "enum" in part:
            said.append("One of " + ", ".join(code(str(word)) for word in part["enum"]) + ".")
        kind = _types(part) + (", required" if name in required else "")
        rows.append((code(path), kind, " ".join(filter(None, said))))
        rows.extend(_fields(part, f"{path}."))
        if isinstance(part.get("items"), dict):
            rows.extend(_fields(part["items"], f"{path}[]."))
    return rows


def _types(part: Mapping[str, Any]) -> str:
    found = part.get("type", ())
    return " or ".join([found] if isinstance(found, str) else found) or "any"
