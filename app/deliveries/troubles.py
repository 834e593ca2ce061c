"""What the log says of a vendor that fails in the background: once that it began, once that it is over.

Every failed call is kept with its delivery or its facts, and tried again; a line for each would bury the one
that an operator has to read.
"""

from __future__ import annotations

import logging
import threading

from app.deliveries.transitions import UNTRIED_CODES

log = logging.getLogger(__name__)


class Troubles:
    """One process's.  `what` is the verb, or the kind of fact."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str, str], str] = {}
        self._lock = threading.Lock()

    def failed(self, channel: str, gateway: str, what: str, code: str, message: str) -> None:
        """Tells it unless the last one failed the same way.  A call that was not even sent tells nothing new."""
        key = (channel, gateway, what)
        with self._lock:
            if code in UNTRIED_CODES or self._codes.get(key) == code:
                return
            self._codes[key] = code
        log.warning("%s fails and stays owed: %s: %s", what, code, message, extra=_about(channel, gateway))

    def succeeded(self, channel: str, gateway: str, what: str) -> None:
        """Tells it if the last one failed."""
        with self._lock:
            code = self._codes.pop((channel, gateway, what), "")
        if code:
            log.warning("%s works again", what, extra=_about(channel, gateway))


def _about(channel: str, gateway: str) -> dict[str, str]:
    return {"channel": channel, "gateway": gateway}
