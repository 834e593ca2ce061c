"""The collections of Pipe17 and the rules between them, from `entities.json`; what may be written is in `shapes.json`.

The short set of a list is documented for orders only; for the others it holds ids, status and times, so that a
client that forgets `keys=*` notices.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from app.sandbox.bodies import Failure, Json
from app.sandbox.shapes import Shapes

FilterKind = Literal["any", "boolean", "contains", "above", "below", "integer", "external_location"]

_Fault = tuple[tuple[str | int, ...], str]

FOLDER = Path(__file__).parent
SHAPES = Shapes(FOLDER)


class Entity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A collection: its names, how a list shows and filters it, and what holds for every object a client creates."""

    path: str
    singular: str
    id_field: str
    short: tuple[str, ...]
    """Fields of a row without `keys`, besides times and `orgKey`."""
    filters: dict[FilterKind, tuple[str, ...]]
    """Parameters of a list by what they do; each is named after its field, some with `_gt` or `_lt` behind it."""
    alternate_ids: dict[str, str] = {}
    """Prefix of a single read (`ext:`) and the field it reads by."""
    takes_array: bool = False
    is_deletable: bool = False
    is_late: bool = False
    """Whether a created object may appear in reads only some time after its creation was answered."""
    owners: tuple[str, ...] = ()
    """Fields that name the integration an object belongs to, whose key sees it; without any every key does."""
    is_org_wide: bool = False
    """Whether every key sees it all the same while `org_wide_access` is on."""
    own_number: str = ""
    """The field with the client's number, which names one object of each client for ever."""
    references: dict[str, str] = {}
    """Fields that hold the id of another object, and its collection."""
    defaults: Json = {}

    def takes(self, act: Literal["create", "update"]) -> bool:
        """Whether a client may create or update such objects at all."""
        return f"{self.path}.{act}" in SHAPES

    @property
    def methods(self) -> dict[str, str]:
        """HTTP verbs it answers on the collection and on one object."""
        one = ["GET"] + ["PUT"] * self.takes("update") + ["DELETE"] * self.is_deletable
        return {"collection": ", ".join(["GET"] + ["POST"] * self.takes("create")), "one": ", ".join(one)}


class Model(msgspec.Struct, frozen=True):
    """What Pipe17 holds, and what of it follows from what."""

    entities: list[Entity]
    shipment_fields: tuple[str, ...]
    """Fields of an order that its shipping requests take over, and `shipment_line_fields` those of its lines."""
    shipment_line_fields: tuple[str, ...]
    stock_columns: tuple[str, ...]
    """Every quantity of a stock record."""
    reported_columns: tuple[str, ...]
    """Those that a report may state."""
    stock_events: dict[str, dict[str, int]]
    """Sign of the moved quantity per column.  `xferCancel` is the sandbox's name for taking `xferout` back."""


MODEL = msgspec.json.decode((FOLDER / "entities.json").read_bytes(), type=Model)
ENTITIES: dict[str, Entity] = {entity.path: entity for entity in MODEL.entities}


def refuse_problems(shape: str, body: Json) -> None:
    """Raises `Failure` 400 that names every faulty field and what is wrong in it."""
    found = _sentences([(problem.path, problem.rule) for problem in SHAPES.problems(shape, body)])
    if found:
        raise Failure(400, "validation failed: " + "; ".join(found), found)


def _sentences(problems: Iterable[_Fault]) -> list[str]:
    """One for each field, in which those of the fields inside it stand one after the other."""
    fields: dict[tuple[str | int, ...], list[_Fault]] = {}
    for path, rule in problems:
        fields.setdefault(path[:1], []).append((path[1:], rule))
    found = []
    for place, inner in fields.items():
        name = "".join(f"[{part}]" if isinstance(part, int) else part for part in place)
        rules = [rule for path, rule in inner if not path] + _sentences(fault for fault in inner if fault[0])
        found.append(f"{name} {'; '.join(rules)}".lstrip())
    return found
