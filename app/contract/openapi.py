"""An OpenAPI 3.0.3 description of the callbacks, made from the schemas so that it cannot disagree with them.

OpenAPI 3.0 knows neither lists of types nor `null` as a type, so a schema with several types becomes
one branch for each, holding the keywords that concern that type.
"""

from __future__ import annotations

from typing import Any

from app.contract.problems import Schema
from app.contract.schemas import Callback, Contract

_ABOUT = {
    "number": ("minimum", "maximum", "multipleOf"),
    "integer": ("minimum", "maximum", "multipleOf"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "array": ("items", "minItems", "maxItems"),
    "object": ("properties", "required", "not"),
    "boolean": (),
}
_FREE = ("title", "description")
_FAULTS = {
    "400": "No callback: not JSON, not an object, or a fault of the envelope.",
    "401": "The key in integration_auth_token is not accepted.",
    "405": "Only POST is served.",
    "413": "The body is larger than MAX_BODY, or holds more JSON values than one for each 11 bytes of that.",
    "500": "A fault of ours; the message holds the request id.",
    "503": "Not now: repeat after the time named in Retry-After.",
}


def openapi(contract: Contract, server_url: str) -> dict[str, Any]:
    """The whole document; `server_url` is the address of this server without `/api/channel`."""
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "RetailOps channel server",
            "version": "1",
            "description": "The callbacks RetailOps makes to a sales channel. The key stands in the body.",
        },
        "servers": [{"url": server_url}],
        "paths": {
            f"/api/channel/{callback.name}_v1": {"post": _operation(callback)}
            for callback in contract.callbacks.values()
        },
        "components": {"schemas": {"Error": _error()}},
    }


def _operation(callback: Callback) -> dict[str, Any]:
    return {
        "operationId": callback.name,
        "summary": callback.title,
        "description": callback.description,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": translated(callback.request_schema)}},
        },
        "responses": {
            "200": {
                "description": "Read and decided.",
                "content": {"application/json": {"schema": translated(callback.answer_schema)}},
            },
            **{status: _fault(status, text) for status, text in _FAULTS.items()},
        },
    }


def _fault(status: str, text: str) -> dict[str, Any]:
    fault: dict[str, Any] = {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status == "503":
        fault["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    if status == "405":
        fault["headers"] = {"Allow": {"description": "POST.", "schema": {"type": "string"}}}
    return fault


def _error() -> Schema:
    event = {
        "type": "object",
        "required": ["event_type", "code", "message", "associations"],
        "properties": {
            "event_type": {"type": "string", "enum": ["error"]},
            "code": {"type": "string"},
            "message": {"type": "string"},
            "diagnostic_data": {"type": "string"},
            "associations": {"type": "array", "items": {"type": "object"}},
        },
    }
    return {
        "description": "What every answer but 200 holds.",
        "type": "object",
        "required": ["events"],
        "properties": {"events": {"type": "array", "minItems": 1, "items": event}},
    }


def translated(schema: Schema) -> Schema:
    """A draft-4 schema of ours in the words of OpenAPI 3.0."""
    free = {key: schema[key] for key in _FREE if key in schema}
    if "enum" in schema:
        return {**free, **_joined(_enum_branches(schema["enum"]), None in schema["enum"])}
    types = schema.get("type")
    if types is None:
        return free
    types = [types] if isinstance(types, str) else types
    branches = [_branch(schema, kind) for kind in types if kind != "null"]
    return {**free, **_joined(branches, "null" in types)}


def _joined(branches: list[Schema], is_nullable: bool) -> Schema:
    if is_nullable:
        # `nullable` only counts beside a `type`, so it goes into a branch and not around them.
        branches = [{**branches[0], "nullable": True}, *branches[1:]]
        if "enum" in branches[0]:
            branches[0]["enum"] = [*branches[0]["enum"], None]
    return branches[0] if len(branches) == 1 else {"anyOf": branches}


def _enum_branches(options: list[Any]) -> list[Schema]:
    kinds = {"boolean": bool, "integer": int, "string": str}
    found = {kind: [option for option in options if type(option) is made] for kind, made in kinds.items()}
    return [{"type": kind, "enum": values} for kind, values in found.items() if values]


def _branch(schema: Schema, kind: str) -> Schema:
    branch: Schema = {"type": kind}
    for key in (key for key in _ABOUT[kind] if key in schema):
        if key == "properties":
            branch[key] = {name: translated(part) for name, part in schema[key].items()}
        elif key == "items":
            branch[key] = translated(schema[key])
        else:
            branch[key] = schema[key]
    ways = [_narrowed(way, kind) for way in schema.get("anyOf", ())]
    if ways and {} not in ways:
        branch["anyOf"] = ways
    return branch


def _narrowed(way: Schema, kind: str) -> Schema:
    """What is left of one way of an `anyOf` for values of one kind; empty when it asks nothing of them."""
    narrowed = {key: way[key] for key in _ABOUT[kind] if key in way}
    if kind == "number" and "integer" in way.get("type", ()):
        narrowed["type"] = "integer"
    return narrowed
