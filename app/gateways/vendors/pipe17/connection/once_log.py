"""The log lines of one integration, each written once however often what it says is found to be so."""

from __future__ import annotations

import logging
import threading

from app.gateways.vendors.pipe17.connection.integration_record import Flow

log = logging.getLogger(__name__)


class OnceLog:
    """Thread-safe."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._written: set[str] = set()
        self._why_off: dict[Flow, str] = {}

    def is_news(self, sentence: str) -> bool:
        """True the first time."""
        with self._lock:
            is_news = sentence not in self._written
            self._written.add(sentence)
        return is_news

    def warn(self, sentence: str) -> None:
        if self.is_news(sentence):
            log.warning("channel %s: %s", self._channel, sentence)

    def flow(self, flow: Flow, why: str, *, is_on_trial: bool) -> None:
        """A flow that is off, once for each reason, and that it is on again unless it is only on trial."""
        with self._lock:
            if why == self._why_off.get(flow, "") or (is_on_trial and not why):
                return
            self._why_off[flow] = why
        if why:
            log.warning("channel %s: pipe17: the flow '%s' is off: %s", self._channel, flow, why)
        else:
            log.info("channel %s: pipe17: the flow '%s' is on again", self._channel, flow)
