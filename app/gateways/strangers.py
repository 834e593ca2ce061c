"""Bounds how many of the accounts are kept that requests of a vendor name and no channel has."""

from __future__ import annotations

import time


class Strangers:
    """Anybody can name them, so a few of an hour are kept."""

    MOST = 100
    OTHERS = "others"

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._until_s = 0.0

    def named(self, account: str) -> str:
        """What to keep of this one."""
        now_s = time.monotonic()
        if now_s >= self._until_s:
            self._names, self._until_s = set(), now_s + 3600.0
        name = "".join(char if char.isprintable() else "?" for char in account[:60])
        if len(self._names) < self.MOST:
            self._names.add(name)
        return name if name in self._names else self.OTHERS
