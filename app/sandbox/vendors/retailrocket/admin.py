"""The other side of the sandbox: what was imported, what was bought, what went wrong; no key, never hit by faults."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Flask, Response, request

from app.sandbox.faults import Faults
from app.sandbox.vendors.retailrocket.fields import Failure
from app.sandbox.vendors.retailrocket.poller import poll
from app.sandbox.vendors.retailrocket.state import Json, Settings, State


def add_admin(app: Flask, state: State, faults: Faults) -> None:
    """Adds `/sandbox/...` to the application."""

    @app.get("/sandbox/state")
    def show_state() -> Response:
        with state.lock:
            return _json({**state.as_json(), "purchases": state.purchases(), "faults": faults.as_json()})

    @app.get("/sandbox/products")
    def imported() -> Response:
        """What the vendor knows of the shop's goods, and which offers it skipped."""
        with state.lock:
            return _json({"products": list(state.products.values()), "skipped": state.skipped, "polls": state.polls})

    @app.get("/sandbox/purchases")
    def purchases() -> Response:
        """Order lines by transaction and product; `times` above 1 is a line counted twice."""
        with state.lock:
            return _json({"purchases": state.purchases(), "uploaded": state.csv_orders})

    @app.get("/sandbox/subscribers")
    def subscribers() -> Response:
        with state.lock:
            return _json({"subscribers": state.subscribers})

    @app.route("/sandbox/settings", methods=["GET", "PUT"])
    def settings() -> Response:
        with state.lock:
            if request.method == "PUT":
                try:
                    state.settings = msgspec.convert(msgspec.to_builtins(state.settings) | _body(), Settings)
                except msgspec.ValidationError as fault:
                    raise Failure(400, str(fault)) from None
                state.save()
            return _json(msgspec.to_builtins(state.settings))

    @app.route("/sandbox/faults", methods=["GET", "POST", "DELETE"])
    def rules() -> Response:
        if request.method == "POST":
            try:
                faults.add(_body())
            except (ValueError, TypeError, msgspec.MsgspecError) as fault:
                raise Failure(400, str(fault)) from None
        elif request.method == "DELETE":
            faults.clear()
        return _json({"faults": faults.as_json()})

    @app.post("/sandbox/reset")
    def reset() -> Response:
        with state.lock:
            faults.clear()
            state.forget()
            state.save()
        return _json({})

    @app.post("/sandbox/poll")
    def poll_now() -> Response:
        """Fetch the feed once: that of the body's `url`, else of the settings."""
        url = _body().get("url") or state.settings.feed_url
        if not isinstance(url, str) or not url:
            return _json({"status": 0, "fault": "no feed_url is set"})
        return _json(poll(state, url))


def _body() -> Json:
    raw = request.get_data()
    try:
        body = msgspec.json.decode(raw) if raw else {}
    except msgspec.DecodeError:
        raise Failure(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Failure(400, "the body must be an object")
    return body


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), mimetype="application/json")
