"""Reads words that have one meaning in many spellings: yes and no, and codes."""

from __future__ import annotations

import re
from typing import Final

_YES: Final = frozenset({"true", "1", "yes", "y", "t", "on", "active", "enabled"})
_NO: Final = frozenset({"false", "0", "no", "n", "f", "off", "inactive", "disabled"})
_CURRENCY: Final = re.compile(r"[A-Z]{3}\Z")


def flag(text: str) -> bool:
    """Raises `ValueError` for a word that means neither yes nor no."""
    word = text.strip().casefold()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError("must be a word for yes or no, such as true or false")


def currency(text: str) -> str:
    """A currency's code in upper case.  Raises `ValueError` for what is no code."""
    code = text.strip().upper()
    if not _CURRENCY.match(code):
        raise ValueError("must be a code of three letters such as USD")
    return code
