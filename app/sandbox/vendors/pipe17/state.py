"""Everything the Pipe17 sandbox remembers, in one place that can be locked, shown, saved and reset."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from app.sandbox import state as host_state
from app.sandbox.bodies import Json, existing
from app.sandbox.vendors.pipe17.entities import ENTITIES
from app.sandbox.vendors.pipe17.samples import SAMPLES

ORG_KEY = "0a17c0de5a4db0c1"


class ApiKey(msgspec.Struct, frozen=True):
    """A key, the integration it belongs to (None: a bare legacy key) and its grants per collection."""

    key: str
    integration: str | None
    methods: dict[str, str]

    def may(self, collection: str, letter: str) -> bool:
        return letter in self.methods.get(collection, "")


PEOPLE = ApiKey("", None, {})
"""Who works in Pipe17's own pages."""

DEFAULT_KEYS = msgspec.convert(SAMPLES["keys"], tuple[ApiKey, ...])


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """Switches of the sandbox; the defaults are a Pipe17 in good health."""

    visible_after_s: float = 0.0
    """How long a created fulfilment, return, receipt or tracking stays out of reads; it counts at once."""
    rate_per_s: float = 0.0
    """Requests per second and key before 429; 0 is no limit."""
    create_status: Literal[200, 201, 202] = 200
    failures_as_200: bool = False
    """Refusals of a readable request (400, 404, 409) answer status 200 with `success` false."""
    post_accepts: Literal["both", "single", "array"] = "both"
    pages_out_of_order: bool = False
    pages_repeat_rows: bool = False
    """Each page after the first begins with the last row of the page before."""
    org_wide_access: bool = True
    """False: an integration's key lists only shipments, fulfilments and locations of its own."""
    webhooks_twice: bool = False
    id_suffix: str = ""
    """Ends every id given from now on, to see whether a client keeps ids as they are."""
    inventory_engine: bool = False
    """True: shipping requests and fulfilments move stock by themselves; in Pipe17 this is off until switched on."""


class State(host_state.State):
    """The organisation.  Fields that begin with `_` are the sandbox's own and never leave through the API."""

    SETTINGS = Settings
    settings: Settings

    tables: dict[str, dict[str, Json]]
    ledger: list[Json]
    keys: dict[str, ApiKey]

    def clear(self, *, rng_seed: int = 0) -> None:
        """Forgets everything; ids and seeded data then follow from `rng_seed` alone."""
        super().clear()
        self.rng_seed = rng_seed
        self.tables = {path: {} for path in ENTITIES}
        self.keys = {key.key: key for key in DEFAULT_KEYS}
        self.notices: list[Json] = []
        self.products_by_sku: dict[str, Json] = {}
        self.stock_rows: dict[tuple[str, str], Json] = {}

    def clear_journal(self) -> None:
        super().clear_journal()
        self.counts: Counter[str] = Counter()

    def new_id(self, kind: str) -> str:
        """16 hex characters that depend on the seed, the kind and how many were made before, and the suffix set."""
        material = f"{self.rng_seed}:{kind}:{self.next_number('id:' + kind)}"
        return hashlib.sha256(material.encode()).hexdigest()[:16] + self.settings.id_suffix

    def add(self, collection: str, fields: Mapping[str, Any], *, integration: str | None) -> Json:
        """Stores a new object, stamped as Pipe17 stamps it, and notes the event for webhooks.

        What a client cannot send, its id and `createdAt`, may be given for the sandbox's own.
        """
        entity = ENTITIES[collection]
        object_id = fields.get(entity.id_field) or self.new_id(collection)
        stored: Json = {entity.id_field: object_id, **entity.defaults, **fields}
        if integration is not None:
            stored["integration"] = integration
        now = stored.setdefault("createdAt", self.stamp())
        stored |= {"updatedAt": now, "orgKey": ORG_KEY}
        if entity.is_late and self.settings.visible_after_s > 0:
            stored["_visibleAt"] = self.clock().timestamp() + self.settings.visible_after_s
        self.tables[collection][stored[entity.id_field]] = stored
        self._index(collection, stored)
        self._note(collection, "create", stored[entity.id_field])
        return stored

    def found(self, collection: str, object_id: str) -> Json:
        """The object with this id.  Raises `Failure` 404."""
        return existing(self.tables[collection], object_id, "No results")

    def change(self, collection: str, stored: Json, changes: Mapping[str, Any]) -> Json:
        if collection == "products" and "sku" in changes:
            self.products_by_sku.pop(stored["sku"], None)
        stored.update(changes)
        self._index(collection, stored)
        stored["updatedAt"] = self.stamp()
        self._note(collection, "update", stored[ENTITIES[collection].id_field])
        return stored

    def delete(self, collection: str, object_id: str) -> None:
        gone = self.tables[collection].pop(object_id)
        if collection == "inventory":
            del self.stock_rows[gone["sku"], gone["locationId"]]
        self._note(collection, "delete", object_id)

    def _index(self, collection: str, stored: Json) -> None:
        if collection == "products":
            self.products_by_sku[stored["sku"]] = stored
        elif collection == "inventory":
            self.stock_rows[stored["sku"], stored["locationId"]] = stored

    def _note(self, collection: str, action: str, object_id: str) -> None:
        if not any(collection in hook["topics"] for hook in self.tables["webhooks"].values()):
            return
        self.notices.append(
            {
                "orgKey": ORG_KEY,
                "entity": collection,
                "action": action,
                "itemId": object_id,
                "timestamp": self.stamp(),
                "requestId": self.new_id("notice"),
            }
        )

    def record_call(self, call: Json) -> None:
        self.counts[call.pop("counted_as")] += 1
        super().record_call(call)

    def view(self) -> Json:
        """Keys are left out; the calls are those since the start."""
        calls = {"calls": dict(self.counts), "recent_calls": list(self.calls)}
        return {**self.held(), "ledger": self.ledger, "settings": self.settings, **calls}

    def held(self) -> dict[str, Sequence[Json]]:
        return {path: list(table.values()) for path, table in self.tables.items()}

    def kept(self) -> Json:
        return {**super().kept(), "rng_seed": self.rng_seed}

    def restore(self, whole: Json) -> None:
        super().restore(whole)
        self.rng_seed = whole["rng_seed"]
        for collection in ("products", "inventory"):
            for stored in self.tables[collection].values():
                self._index(collection, stored)
