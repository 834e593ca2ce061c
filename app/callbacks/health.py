"""What the platform, operators and developers ask the server about itself; no vendor is ever called (P24)."""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.callbacks.replies import error_reply, json_reply
from app.contract.openapi import openapi
from app.contract.schemas import Contract
from app.records.database import Database
from app.records.readiness import Readiness


def create_health(database: Database, contract: Contract, *, public_url: str, console_token: str) -> Blueprint:
    """`/healthz`, `/readyz`, `/openapi.json`, and `/metrics` for whoever has the console token."""
    health = Blueprint("health", __name__)
    document = openapi(contract, public_url)
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
        return json_reply(200, document)

    @health.get("/metrics", provide_automatic_options=False)
    def metrics() -> Response:
        given = request.headers.get("Authorization", "").encode()
        if not console_token:
            return error_reply(404, "NOT_FOUND", "no such address")
        if not hmac.compare_digest(given, f"Bearer {console_token}".encode()):
            return error_reply(401, "WRONG_TOKEN", "Authorization must be Bearer and the console token")
        return Response(generate_latest(), 200, content_type=CONTENT_TYPE_LATEST)

    return health
