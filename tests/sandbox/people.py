"""A person at the page of a vendor's sandbox."""

from __future__ import annotations

from typing import Any

import requests

from app.sandbox.server import RunningServer

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def page(server: RunningServer) -> str:
    reply = requests.get(f"{server.url}/sandbox/", headers=BROWSER, timeout=10)
    assert reply.headers["Content-Type"].startswith("text/html")
    return reply.text


def submit(server: RunningServer, form: str, **fields: str) -> requests.Response:
    return requests.post(f"{server.url}/sandbox/page/{form}", fields, headers=BROWSER, timeout=10)


def held(server: RunningServer) -> Any:
    return requests.get(f"{server.url}/sandbox/state", timeout=10).json()
