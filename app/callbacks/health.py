"""What the platform, operators and developers ask the server about itself; no vendor is ever called (P24)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST

from app.callbacks.exposition import exposition
from app.callbacks.replies import error_reply, json_reply
from app.contract.openapi import openapi
from app.contract.schemas import Contract
from app.operations.measurements import Measured
from app.records.database import Database, DatabaseUnavailable
from app.records.readiness import Readiness


def create_health(
    database: Database,
    contract: Contract,
    *,
    public_url: str,
    tokens: Sequence[str],
    measured: Callable[[], Iterable[Measured]],
) -> Blueprint:
    """`/healthz`, `/readyz`, `/openapi.json`, and `/metrics` for whoever has one of the tokens ("": it is not set)."""
    health = Blueprint("health", __name__)
    document = cache(partial(openapi, contract, public_url))
    readiness = Readiness(database)

    @health.get("/healthz", provide_automatic_options=False)
    def healthz() -> Response:
        return json_reply(200, {"status": "ok"})

    @health.get("/readyz", provide_automatic_options=False)
    def readyz() -> Response:
        reason = readiness.why_not()
        if not reason:
            return json_reply(200, {"status": "ready"})
        reply = json_reply(503, {"status": "not ready", "reason": reason})
        reply.headers["Retry-After"] = "5"
        return reply

    @health.get("/openapi.json", provide_automatic_options=False)
    def openapi_json() -> Response:
        return json_reply(200, document())

    @health.get("/metrics", provide_automatic_options=False)
    def metrics() -> Response:
        if not any(tokens):
            return error_reply(404, "NOT_FOUND", "no such address")
        given = request.headers.get("Authorization", "").encode()
        # Every token is compared, so that the time says nothing about which one was nearly right.
        if not max([hmac.compare_digest(given, f"Bearer {token}".encode()) for token in tokens if token]):
            return error_reply(401, "WRONG_TOKEN", "Authorization must be Bearer and a token of the console")
        try:
            return Response(exposition(measured()), 200, content_type=CONTENT_TYPE_LATEST)
        except DatabaseUnavailable as error:
            reply = error_reply(503, "DATABASE_UNAVAILABLE", f"the records cannot be read now: {error}")
            reply.headers["Retry-After"] = "10"
            return reply

    return health
