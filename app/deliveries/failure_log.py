"""Logs a vendor that fails in the background: once when the failure begins, once when it is over.

Every failed call is kept with its delivery or its facts, and tried again; a line for each would bury the one
that an operator has to read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from app.deliveries.transitions import UNTRIED_CODES
from app.records.late_events import RefusedFact

log = logging.getLogger(__name__)


WRITE_EVERY_S = 600.0
"""How often refused facts have a line while there are ever more of them."""


class RefusedFacts:
    """Counts the facts vendors refuse: a line for each of ten thousand would bury all others (`channel check`)."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], tuple[int, str, str]] = {}
        self._written_s: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def add(self, channel: str, gateway: str, refused: Sequence[RefusedFact]) -> None:
        """They stand in the next line."""
        if not refused:
            return
        key, first = (channel, gateway), refused[0]
        with self._lock:
            count, subject, reason = self._waiting.get(key, (0, first.subject, first.reason))
            self._waiting[key] = (count + len(refused), subject, reason)

    def write(self, channel: str, gateway: str, *, is_over: bool) -> None:
        """One line with their number and the first of them.  `is_over`: nothing more is owed at the moment."""
        key, now_s = (channel, gateway), time.monotonic()
        with self._lock:
            if key not in self._waiting or not (is_over or now_s - self._written_s.get(key, 0.0) > WRITE_EVERY_S):
                return
            count, subject, reason = self._waiting.pop(key)
            self._written_s[key] = now_s
        extra = {"channel": channel, "sku": subject}
        log.warning("%s refuses %s facts, the first: %s", gateway, count, reason, extra=extra)


class FailureLog:
    """One process's.  `what` is the verb, or the kind of fact."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str, str], str] = {}
        self._lock = threading.Lock()

    def failed(
        self, channel: str, gateway: str, what: str, code: str, message: str, *, order: str = "", delivery: int = 0
    ) -> None:
        """Logs the failure unless the last one was the same.  A call that was not even sent is nothing new.

        `order` and `delivery` are the numbers to look it up by, where it is a call about an order.
        """
        key = (channel, gateway, what)
        with self._lock:
            if code in UNTRIED_CODES or self._codes.get(key) == code:
                return
            self._codes[key] = code
        call = f"{what} (delivery {delivery})" if delivery else what
        about = _about(channel, gateway) | ({"order": order} if order else {})
        log.warning("%s fails and stays owed: %s: %s", call, code, message, extra=about)

    def succeeded(self, channel: str, gateway: str, what: str) -> None:
        """Logs it if the last one failed."""
        with self._lock:
            code = self._codes.pop((channel, gateway, what), "")
        if code:
            log.warning("%s works again", what, extra=_about(channel, gateway))


def _about(channel: str, gateway: str) -> dict[str, str]:
    return {"channel": channel, "gateway": gateway}
