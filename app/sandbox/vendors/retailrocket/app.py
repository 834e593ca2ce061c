"""The Retail Rocket sandbox over HTTP: a path prefix for each vendor host, and `/sandbox` for people and tests.

`/apptracking/1.0`, `/tracking/1.0`, `/api/api`, `/cdn/api` and `/externalapi/api/3.0` behave as the hosts of those
names; `/sandbox` needs no key and is no part of the vendor.  Answers are `{}`, for no body is documented.  Choices
where the contract leaves them open: 401 for a wrong pair of key and store, 403 for a blocked store, 400 for anything
wrong in a body, 404 for other paths.  HTTP/1.1 only; the loyalty module (contract 2.12) is not played.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import requests

from app.sandbox.bodies import Failure, Json, api_body, object_body
from app.sandbox.calls import call
from app.sandbox.host import Options, Vendor
from app.sandbox.page import Field, Play, Result
from app.sandbox.routes import Routes
from app.sandbox.server import RunningServer
from app.sandbox.vendors.retailrocket import api
from app.sandbox.vendors.retailrocket.checks import checked
from app.sandbox.vendors.retailrocket.poller import poll
from app.sandbox.vendors.retailrocket.state import SAMPLES, State

POLL_EVERY_S = 15.0
"""How often `channel sandbox` fetches the feed; the vendor pauses 15 minutes to 2 hours."""

PEOPLE = Routes("/sandbox")


@PEOPLE.route("GET", "/products")
def imported(state: State) -> Json:
    """What the vendor knows of the shop's goods, and which offers it skipped."""
    return {"products": list(state.products.values()), "skipped": state.skipped, "polls": state.polls}


@PEOPLE.route("GET", "/purchases")
def purchases(state: State) -> Json:
    """Order lines by transaction and product; `times` above 1 is a line counted twice."""
    return {"purchases": state.purchases(), "uploaded": state.csv_orders}


@PEOPLE.route("GET", "/subscribers")
def subscribers(state: State) -> Json:
    return {"subscribers": state.subscribers}


@PEOPLE.route("POST", "/poll", is_locked=False)
def poll_now(state: State) -> Json:
    """Fetch the feed once: that of the body's `url`, else of the settings."""
    url = object_body().get("url") or state.settings.feed_url
    if not isinstance(url, str) or not url:
        return {"status": 0, "fault": "no feed_url is set"}
    return poll(state, url)


class RetailRocket(Vendor):
    """The sandbox of two stores."""

    title = "Retail Rocket"
    port_offset = 3
    accounts = SAMPLES.stores
    remembers = State
    routes = (*api.ROUTES, PEOPLE)

    def start(self, port: int, options: Options) -> RunningServer:
        """It fetches the feed that the page, or `PUT /sandbox/settings {"feed_url": ...}`, names."""
        running = super().start(port, options)
        threading.Thread(target=_poll_on, args=(running.url,), name="poller", daemon=True).start()
        return running

    def body(self, state: State, shape: str) -> Any:
        """An event is named in front of its fields, as in a batch."""
        return checked(shape, api_body(has_decimals=False), *shape.split(".")[1:])

    def error_body(self, status: int, message: str) -> Json:
        return {"error": message}

    def plays(self, state: State) -> list[Play]:
        def fetch(form: Mapping[str, str]) -> Result:
            url = form.get("url", "")
            if not url.startswith(("http://", "https://")):
                raise Failure(400, "the address of the feed must begin with http:// or https://")
            with state.lock:
                state.settings = msgspec.structs.replace(state.settings, feed_url=url)
            done = poll(state, url)
            what = done["fault"] or f"imported {done['imported']}, skipped {done['skipped']} of its offers"
            if done["status"] == 304:
                what = "unchanged since the last time"
            return Result(done["status"] in (200, 304), f"The shop answered {done['status'] or 'nothing'}: {what}", [])

        url = Field("url", "Address of the feed", state.settings.feed_url, hint="`channel retailrocket feed` shows it")
        about = "The vendor fetches a shop's feed every 15 minutes to 2 hours; this one every 15 s from now on."
        return [Play("feed", "Fetch the feed", about, "Fetch now", [url], fetch)]


VENDOR = RetailRocket()


def _poll_on(url: str) -> None:
    """Until the sandbox is stopped."""
    while True:
        time.sleep(POLL_EVERY_S)
        try:
            call("POST", f"{url}/sandbox/poll", patience_s=60)
        except requests.RequestException:
            return
