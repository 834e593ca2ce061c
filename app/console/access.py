"""Who may enter the console: three kinds of token, compared in constant time, and what each of them shows."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from app.logs import Tally
from app.operations.scope import Scope
from app.settings import Settings

WRONG_TRIES: Final = 30
"""Wrong tokens that one process takes in a minute before each further one has to wait."""

WRONG_TRIES_S: Final = 60.0

WAIT_S: Final = 1.0
"""How long the answer to a wrong token waits then, without a thread (`caller.ANSWER_AFTER_S`)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Role:
    """What a token opens."""

    title: str
    """For people, such as "looks only"."""
    scope: Scope
    may_act: bool
    session_key: bytes = field(repr=False)
    """Signs the sessions that this token has opened: another token, and they end."""


class Access:
    """The tokens of one configuration, and how often wrong ones were tried in this process."""

    def __init__(self, configured: Settings) -> None:
        """`configured` has a CONSOLE_TOKEN, and channels with the keys of their records."""
        everything = Scope(names=configured.names)
        self._roles = [_role(configured, configured.console_token, "operator", everything, may_act=True)]
        if configured.console_read_token:
            self._roles.append(_role(configured, configured.console_read_token, "looks only", everything))
        for channel in configured.channels:
            if channel.console_read_token:
                alone = Scope(frozenset({channel.key}), configured.names)
                self._roles.append(
                    _role(configured, channel.console_read_token, f"looks at {channel.name} only", alone)
                )
        self._wrong: deque[float] = deque()
        self._lock = threading.Lock()
        self._tally = Tally()

    @property
    def roles(self) -> tuple[Role, ...]:
        return tuple(role for _, role in self._roles)

    def role_of(self, token: str) -> Role | None:
        """What the token opens, None for a wrong one.  It takes as long whichever it is, right or wrong."""
        given = _digest(token.encode("utf-8", "surrogatepass"))
        found = [role for digest, role in self._roles if hmac.compare_digest(digest, given)]
        return found[0] if found else None

    def count_wrong(self, address: str) -> bool:
        """A wrong token was tried from this address.  True when the answer to it has to wait."""
        now_s = time.monotonic()
        with self._lock:
            while self._wrong and self._wrong[0] <= now_s - WRONG_TRIES_S:
                self._wrong.popleft()
            has_to_wait = len(self._wrong) >= WRONG_TRIES
            if not has_to_wait:
                self._wrong.append(now_s)
        if not has_to_wait:
            log.warning("a wrong token was tried at the console", extra={"address": address})
        elif count := self._tally.add("many"):
            log.warning("too many wrong tokens at the console: %s more had to wait", count, extra={"address": address})
        return has_to_wait


def _role(configured: Settings, token: str, title: str, scope: Scope, *, may_act: bool = False) -> tuple[bytes, Role]:
    """The token's digest, and what it opens.  Whoever changes CONSOLE_TOKEN ends every session."""
    key = hmac.new(configured.console_token.encode(), b"session of the console\0" + token.encode(), hashlib.sha256)
    return _digest(token.encode()), Role(title, scope, may_act, key.digest())


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
