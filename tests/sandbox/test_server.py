"""A sandbox behaves as a real server does."""

from __future__ import annotations

import requests

from app.sandbox.server import RunningServer


def test_a_sandbox_says_what_time_it_is_as_real_servers_do(sandbox: RunningServer) -> None:
    assert requests.get(f"{sandbox.url}/sandbox/faults", timeout=10).headers["Date"].endswith("GMT")
