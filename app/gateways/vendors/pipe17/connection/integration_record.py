"""Our integration as Pipe17 keeps it, read tolerantly: nothing of it may stop the traffic for its form alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import marshmallow
from marshmallow import fields

from app.gateways.vendors.pipe17.connection.reading import Reading, Text, read_id


@dataclass(frozen=True)
class IntegrationRecord:
    """Our own integration as Pipe17 keeps it (contract 3.12)."""

    status: str
    error_text: str
    settings: tuple[tuple[str, Any], ...]
    """(path, value) of every setting field."""
    entity_rows: tuple[tuple[str, str, str], ...]
    """(name, direction, mapping uuid)."""

    @property
    def entities(self) -> dict[str, str]:
        """Direction by entity."""
        return {name: direction for name, direction, _ in self.entity_rows}

    @property
    def mappings(self) -> dict[str, str]:
        """Uuid of the field mapping by entity, where there is one."""
        return {name: uuid for name, _, uuid in self.entity_rows if uuid}

    def with_state(self, status: str, error_text: str) -> IntegrationRecord:
        return replace(self, status=status, error_text=error_text)


class _Settings(fields.Field[tuple[tuple[str, Any], ...]]):
    """`{fields: [{path, value}]}` as pairs; a row without a path is nothing."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[tuple[str, Any], ...]:
        rows = value.get("fields") if isinstance(value, Mapping) else None
        named = [row for row in rows or () if isinstance(row, Mapping) and isinstance(row.get("path"), str)]
        return tuple((row["path"], row.get("value")) for row in named)


class _Entities(fields.Field[tuple[tuple[str, str, str], ...]]):
    """`[{name, direction, mappingUuid}]` as triples."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[tuple[str, str, str], ...]:
        rows = [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []
        texts = [[read_id(row.get(name)) for name in ("name", "direction", "mappingUuid")] for row in rows]
        return tuple((name.strip(), direction.strip().lower(), uuid) for name, direction, uuid in texts if name.strip())


class _IntegrationSchema(Reading):
    built = IntegrationRecord
    status = Text("status")
    error_text = Text("errorText")
    settings = _Settings(data_key="settings", load_default=())
    entity_rows = _Entities(data_key="entities", load_default=())


_SCHEMA: Final = _IntegrationSchema()


def read_integration(row: object) -> IntegrationRecord | None:
    """None when it is no object at all."""
    try:
        record: IntegrationRecord = _SCHEMA.load(row)  # type: ignore[arg-type]
    except marshmallow.ValidationError:
        return None
    return record


def count_rules(mapping: Any) -> int:
    """How many rules of a field mapping are enabled."""
    rules = mapping.get("mappings") if isinstance(mapping, dict) else None
    return sum(isinstance(rule, dict) and rule.get("enabled") is not False for rule in rules or ())
