"""The SDK's own rules for answers, made from ours: `channel verify --as-sdk-tool` judges by them.

The published schemas of answers (SDK contract 1.7, 2; retailops-sdk, branch master) name types, enums and limits of
fields and require almost nothing.  Our schemas say of each field what of it is our own care, so that the rest is
theirs.
"""

from __future__ import annotations

from typing import Any

from app.contract.problems import Schema

NOT_PUBLISHED = frozenset({"payment_credit"})
"""Callbacks for which the SDK's tool has neither schema nor fixture."""

_OURS = frozenset({"pattern", "minItems", "minimum", "not", "required"})
"""Keywords that our answer schemas have and the published ones do not."""

_WITHOUT_NULL = "catalog_push"
"""The one callback whose published list of events may not be null."""


def published_answer(callback: str, answer: Schema) -> Schema:
    """The published rules for the answers to one callback, given our schema of them."""
    rules = _loose(answer, may_be_null=callback != _WITHOUT_NULL)
    # Three places that the keywords of our schemas do not express.
    match callback:
        case "order_pull":
            del rules["properties"]["next_page_token"]["maxLength"]
            order = rules["properties"]["orders"]["items"]["properties"]
            step = order["payment_transactions"]["items"]["properties"]["transaction_type"]
            step["enum"] = [value for value in step["enum"] if value != "credit"]
        case "order_update":
            rules["properties"]["line_items"]["items"]["required"] = ["order_item_id", "refnum"]
    return rules


def _loose(schema: Schema, *, may_be_null: bool) -> dict[str, Any]:
    dropped = _OURS | set(schema.get("x-stricter", ()))
    loose = {name: part for name, part in schema.items() if name not in dropped}
    if "enum" in loose:
        loose["enum"] = [*schema["enum"], *schema.get("x-accepted", ())]
    if schema.get("type") == "array" and may_be_null:
        loose["type"] = ["array", "null"]
    if "items" in loose:
        loose["items"] = _loose(schema["items"], may_be_null=may_be_null)
    if "properties" in loose:
        loose["properties"] = {
            name: _loose(part, may_be_null=may_be_null)
            for name, part in schema["properties"].items()
            if not part.get("x-newer")
        }
    return loose
