"""Waiting for a condition, instead of sleeping for a guessed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def eventually(look: Callable[[], Any], patience_s: float = 45.0, found: Callable[[], Any] = lambda: "") -> Any:
    """Wait for the background to get there, also on a machine that is busy with other things.

    It looks often at first and less and less often: most of what is waited for takes milliseconds.
    `found` is what there is instead, for the report of a test that fails.
    """
    give_up_at, pause_s = time.monotonic() + patience_s, 0.005
    while not (seen := look()):
        assert time.monotonic() < give_up_at, f"it did not happen in time; there is {found()}"
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, 0.05)
    return seen
