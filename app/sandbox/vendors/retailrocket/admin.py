"""The other side of the sandbox: what was imported and bought, and the fetch of the feed."""

from __future__ import annotations

from flask import Flask, Response

from app.sandbox.bodies import json_answer, object_body
from app.sandbox.vendors.retailrocket.poller import poll
from app.sandbox.vendors.retailrocket.state import State


def add_admin(app: Flask, state: State) -> None:
    """Adds what is Retail Rocket's own below `/sandbox/` to the application."""

    @app.get("/sandbox/products")
    def imported() -> Response:
        """What the vendor knows of the shop's goods, and which offers it skipped."""
        with state.lock:
            products = list(state.products.values())
            return json_answer({"products": products, "skipped": state.skipped, "polls": state.polls})

    @app.get("/sandbox/purchases")
    def purchases() -> Response:
        """Order lines by transaction and product; `times` above 1 is a line counted twice."""
        with state.lock:
            return json_answer({"purchases": state.purchases(), "uploaded": state.csv_orders})

    @app.get("/sandbox/subscribers")
    def subscribers() -> Response:
        with state.lock:
            return json_answer({"subscribers": state.subscribers})

    @app.post("/sandbox/poll")
    def poll_now() -> Response:
        """Fetch the feed once: that of the body's `url`, else of the settings."""
        url = object_body().get("url") or state.settings.feed_url
        if not isinstance(url, str) or not url:
            return json_answer({"status": 0, "fault": "no feed_url is set"})
        return json_answer(poll(state, url))
