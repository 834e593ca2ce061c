"""What our own work is measured against: the least a server can do, under the same gunicorn settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import jsonschema_rs
import orjson

from app.contract.schemas import load_contract

_SCHEMA = load_contract().callbacks["inventory_push"].request_schema
_VALIDATOR = jsonschema_rs.Draft4Validator(_SCHEMA)


def reference(body: bytes) -> Any:
    """REF: parse and validate, nothing else."""
    parsed = orjson.loads(body)
    assert _VALIDATOR.is_valid(parsed)
    return parsed


def trivial(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A WSGI application that only answers."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "13")])
    return [b'{"events":[]}']


def parse_and_validate(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A WSGI application that does REF for each request."""
    reference(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "13")])
    return [b'{"events":[]}']


def five_packages() -> Callable[..., Any]:
    """A Flask application that imports the five mandated packages and answers one address."""
    import gunicorn  # noqa: F401
    import jsonschema  # noqa: F401
    import marshmallow  # noqa: F401
    import requests  # noqa: F401
    from flask import Flask

    app = Flask("floor")
    app.get("/healthz")(lambda: {"status": "ok", "pid": os.getpid()})
    return app
