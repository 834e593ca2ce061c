"""Searches a large body for the key of a channel while it streams past, so that a stranger's body is kept nowhere.

It is a look before the judgement: a body that has the key anywhere passes, and is judged when it has been parsed.
JSON may write any character of a name or a text as an escape, so those are read too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from app.channel_settings import LONGEST_KEY

FIELD: Final = "integration_auth_token"

MOST_TRIED: Final = 100
"""Fields of this name that are looked at in one body, for each is compared with every key of the server."""

_NAME: Final = FIELD.encode()
_ESCAPED_BYTES: Final = 6
"""What a character of a name or text takes as an escape."""

_BLANK: Final = rb"[ \t\r\n]*+"
_MOST: Final = LONGEST_KEY * _ESCAPED_BYTES
_VALUE: Final = re.compile(rb'"%b:%b("(?:[^"\\]|\\.){1,%d}+")' % (_BLANK, _BLANK, _MOST), re.DOTALL)
_BEGUN: Final = re.compile(rb'("?+)%b(:?+)%b("(?:[^"\\]|\\.){0,%d}+\\?)?\Z' % (_BLANK, _BLANK, _MOST), re.DOTALL)
"""What stands behind a name where the piece ends before its value does."""
_ESCAPES: Final = (b"\\u005", b"\\u006", b"\\u007")
"""How an escape of one of the name's letters begins."""
_ESCAPED_NAME: Final = re.compile(
    b'"' + b"".join(rb"(?:%c|\\u00%02x)" % (letter, letter) for letter in _NAME), re.IGNORECASE
)


class KeySearch:
    """One body's search.  `holder_of` says whose key a text is, "" for nobody's."""

    def __init__(self, holder_of: Callable[[str], str]) -> None:
        self._holder_of = holder_of
        self._rest = b""
        self._tried = 0

    def feed(self, piece: bytes | bytearray) -> str:
        """Look at the next piece; the holder of the key that was found, "" while there is none."""
        if self._tried >= MOST_TRIED:
            return ""
        window = self._rest + piece
        self._rest = window[-len(_NAME) * _ESCAPED_BYTES :]
        for after_name in _names(window):
            if holder := self._holder(window, after_name):
                return holder
            if self._tried >= MOST_TRIED:
                break
        return ""

    def _holder(self, window: bytes, after_name: int) -> str:
        """Whose key stands behind a name that ends here; what is only begun goes before the next piece."""
        if begun := _BEGUN.match(window, after_name):
            self._rest = b'"' + _NAME + b"".join(begun.groups(b""))
            return ""
        self._tried += 1
        if found := _VALUE.match(window, after_name):
            try:
                return self._holder_of(msgspec.json.decode(found[1], type=str))
            except msgspec.MsgspecError:
                return ""
        return ""


def _names(window: bytes) -> Iterator[int]:
    """Where each name ends, but for its quote."""
    at = -1
    while (at := window.find(_NAME, at + 1)) >= 0:
        yield at + len(_NAME)
    if any(escape in window for escape in _ESCAPES):
        yield from (name.end() for name in _ESCAPED_NAME.finditer(window))
