"""Reads words that have one meaning in many spellings: yes and no, and codes."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_YES: Final = frozenset({"true", "1", "yes", "y", "t", "on", "active", "enabled"})
_NO: Final = frozenset({"false", "0", "no", "n", "f", "off", "inactive", "disabled"})
_CURRENCY: Final = re.compile(r"[A-Z]{3}\Z")


NOT_SOLD: Final = (
    "discontinued", "archived", "deleted", "removed", "retired", "obsolete", "withdrawn", "suspended", "blocked",
    "draft", "hidden", "unpublished", "deactivated", "not active", "not enabled", "end of life", "eol",
)  # fmt: skip
"""Words of a state in which goods are not sold, beside those for no; a channel may have others."""


def flag(text: str, more_for_no: Collection[str] = ()) -> bool:
    """Yes or no in any case; `more_for_no` are further words for no and win.

    Raises `ValueError` for a word that means neither yes nor no.
    """
    word = " ".join(text.split()).casefold()
    if word in _NO or word in more_for_no:
        return False
    if word in _YES:
        return True
    raise ValueError("must be a word for yes or no, such as true or false")


def currency(text: str) -> str:
    """A currency's code in upper case.  Raises `ValueError` for what is no code."""
    code = text.strip().upper()
    if not (text.isascii() and _CURRENCY.match(code)):  # upper case of other letters may be ASCII
        raise ValueError("must be a code of three letters such as USD")
    return code
