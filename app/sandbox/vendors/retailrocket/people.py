"""The other side of the sandbox: what was imported and bought, and the fetch of the feed."""

from __future__ import annotations

from app.sandbox.bodies import Json, object_body
from app.sandbox.routes import Routes
from app.sandbox.vendors.retailrocket.poller import poll
from app.sandbox.vendors.retailrocket.state import State

ROUTES = Routes("/sandbox")


@ROUTES.route("GET", "/products")
def imported(state: State) -> Json:
    """What the vendor knows of the shop's goods, and which offers it skipped."""
    return {"products": list(state.products.values()), "skipped": state.skipped, "polls": state.polls}


@ROUTES.route("GET", "/purchases")
def purchases(state: State) -> Json:
    """Order lines by transaction and product; `times` above 1 is a line counted twice."""
    return {"purchases": state.purchases(), "uploaded": state.csv_orders}


@ROUTES.route("GET", "/subscribers")
def subscribers(state: State) -> Json:
    return {"subscribers": state.subscribers}


@ROUTES.route("POST", "/poll", is_locked=False)
def poll_now(state: State) -> Json:
    """Fetch the feed once: that of the body's `url`, else of the settings."""
    url = object_body().get("url") or state.settings.feed_url
    if not isinstance(url, str) or not url:
        return {"status": 0, "fault": "no feed_url is set"}
    return poll(state, url)
