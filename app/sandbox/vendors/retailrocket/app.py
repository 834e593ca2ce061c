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
from pathlib import Path
from typing import Any

import msgspec
import requests

from app.sandbox.bodies import Failure, Json
from app.sandbox.calls import call
from app.sandbox.host import Account, Options, Vendor, serve_sandbox
from app.sandbox.page import Field, Play, Result
from app.sandbox.server import RunningServer
from app.sandbox.state import Clock, real_clock
from app.sandbox.vendors.retailrocket import api, people
from app.sandbox.vendors.retailrocket.checks import checked_body
from app.sandbox.vendors.retailrocket.poller import poll
from app.sandbox.vendors.retailrocket.state import API_KEY, PARTNER_ID, SECOND_API_KEY, SECOND_PARTNER_ID, State

POLL_EVERY_S = 15.0
"""How often `channel sandbox` fetches the feed; the vendor pauses 15 minutes to 2 hours."""

FEED_HINT = "`channel retailrocket feed` shows it"


class RetailRocket(Vendor):
    """The sandbox of two stores."""

    title = "Retail Rocket"
    port_offset = 3
    accounts = (
        Account(API_KEY, PARTNER_ID, "api_key and partner_id of a store"),
        Account(SECOND_API_KEY, SECOND_PARTNER_ID, "those of another store"),
    )
    routes = (*api.ROUTES, people.ROUTES)

    def start(self, port: int, options: Options) -> RunningServer:
        """It fetches the feed that the page, or `PUT /sandbox/settings {"feed_url": ...}`, names."""
        return serve_retailrocket(port, state_file=options.state_file, poll_every_s=POLL_EVERY_S)

    def body(self, state: State, shape: str) -> Any:
        return checked_body(shape)

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

        url = Field("url", "Address of the feed", state.settings.feed_url, hint=FEED_HINT)
        about = "The vendor fetches a shop's feed every 15 minutes to 2 hours; this one every 15 s from now on."
        return [Play("feed", "Fetch the feed", about, "Fetch now", [url], fetch)]


VENDOR = RetailRocket()


def serve_retailrocket(
    port: int = 0,
    *,
    clock: Clock = real_clock,
    state_file: Path | None = None,
    poll_every_s: float = 0.0,
) -> RunningServer:
    """Two stores on loopback, empty or as kept in `state_file`.  Faults: `.faults` or `/sandbox/faults`.

    With `poll_every_s` it fetches the feed that `/sandbox/settings` names that often.  Raises `ValueError`,
    `LookupError` or `TypeError` for a file that is not its own.
    """
    state = State(clock=clock, state_file=state_file)
    state.load()
    running = serve_sandbox(VENDOR, state, port=port)
    if poll_every_s:
        poller = threading.Thread(target=_poll_on, args=(running.url, poll_every_s), name="poller", daemon=True)
        poller.start()
    return running


def _poll_on(url: str, every_s: float) -> None:
    """Until the sandbox is stopped."""
    while True:
        time.sleep(every_s)
        try:
            call("POST", f"{url}/sandbox/poll", patience_s=60)
        except requests.RequestException:
            return
