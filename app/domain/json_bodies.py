"""Reads a JSON body so that one value nobody can represent costs its own field and not the whole body.

Half a surrogate pair, a number beyond a double (`1e999`), a whole number of thousands of digits, and the `NaN` and
`Infinity` that some encoders write are each read as the text `texts.UNREADABLE`, which every key, number and date
refuses and which free text shows as U+FFFD.  A good body takes the fast path alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from app.domain.texts import UNREADABLE

MOST_MENDED = 1_000_000
"""Places of one body looked into at most, so that a hostile body of any size costs under a second more."""

LONGEST_NUMBER = 4300
"""Digits of a whole number that the fast reader takes."""

AT_ONCE: Final = 250
"""Elements of a long list that are made at once: while they are, no other thread has its turn."""

_LONG_BYTES: Final = 256 * 1024

_BEGIN_OF_ROWS = re.compile(rb"\[\s*\{")
"""Of a list of objects: a list of millions of short values is quicker made at once, and takes less room."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])

_MARK = UNREADABLE.encode()
_MARK_ESCAPED = b"\\ufdd0"

_ESCAPES = re.compile(
    rb"(?:\\\\)++"  # an escaped backslash, so that what follows it is no escape
    rb"|\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?P<pair>\\u[dD][c-fC-F][0-9a-fA-F]{2})?|[c-fC-F][0-9a-fA-F]{2})"
    rb"|\xed[\xa0-\xbf][\x80-\xbf]"  # half a pair that some encoders write as it is
)
_WINDOW = 1024 * 1024
"""Bytes that are searched at once: other threads have their turn in between."""

_LONGEST_SHORT = 16
"""More than what each pattern looks at besides texts, long numbers and backslashes: those go on to their own ends."""

_HAS_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")

# Every pattern passes each byte once: a text begins at its quote and a number at its first digit, and nothing is
# given back.
_TOKENS = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'  # a text, to the end of the body where it is not closed
    rb"|-?(?:[nN][aA][nN]|[iI]nf(?:inity)?)(?![a-zA-Z0-9_])"
    rb"|(?<![0-9.eE+-])-?[0-9]{%d,}+(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+" % LONGEST_NUMBER,
    re.DOTALL,
)
_HAS_NO_NUMBER = re.compile(rb"[nN][aA][nN]|[iI]nf|[0-9]{%d}" % LONGEST_NUMBER)
"""True for some texts as well; whether it stands in one is seen by `_TOKENS`."""

_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, ArithmeticError)


class NotJson(ValueError):
    """The bytes are no JSON in UTF-8, even with every value mended that can be."""


class JsonReader:
    """Decodes bodies; `number` makes what a number with fraction or exponent becomes of its text (float by default).

    `number` may raise ValueError or ArithmeticError for what it cannot represent.
    """

    def __init__(self, number: Callable[[str], Any] | None = None) -> None:
        self._number = number or float
        self._fast = msgspec.json.Decoder(float_hook=number) if number else msgspec.json.Decoder()

    def read(self, raw: bytes | bytearray) -> tuple[Any, bool]:
        """The value, and whether anything of it had to be mended.  Raises `NotJson`.

        Time and memory grow with the body alone, whatever stands in it.
        """
        try:
            return self._fast.decode(raw), False
        except _FAULTS:
            pass
        try:
            return msgspec.json.Decoder(float_hook=self._numbers()).decode(_mended(raw)), True
        except _FAULTS:
            raise NotJson("not valid JSON in UTF-8") from None

    def read_long(self, raw: bytes | bytearray) -> tuple[Any, bool]:
        """As `read`, but long lists of objects are made piece by piece, and other threads have their turn.

        They are looked for in the body and in its members.  Of a member that stands twice only the last value is
        looked at.
        """
        try:
            return self._members_made(raw, depth=2), False
        except _FAULTS:
            pass  # what was made is let go of first
        return self.read(raw)

    def _members_made(self, raw: bytes | bytearray | msgspec.Raw, *, depth: int) -> dict[str, Any]:
        return {name: self._made(part, depth=depth - 1) for name, part in _members.decode(raw).items()}

    def _made(self, part: msgspec.Raw, *, depth: int) -> Any:
        with memoryview(part) as text:
            is_long = len(text) >= _LONG_BYTES
            is_object, is_list = bytes(text[:1]) == b"{", _BEGIN_OF_ROWS.match(text) is not None
        if is_long and is_object and depth:
            return self._members_made(part, depth=depth)
        return self._rows_made(part) if is_long and is_list else self._fast.decode(part)

    def _rows_made(self, part: msgspec.Raw) -> list[Any]:
        left = _elements.decode(part)
        left.reverse()  # so that what was made is let go of
        made: list[Any] = []
        while left:
            pieces = left[: -AT_ONCE - 1 : -1]
            del left[-AT_ONCE:]
            made += self._fast.decode(b"[%b]" % b",".join(pieces))
        return made

    def _numbers(self) -> Callable[[str], Any]:
        """Makes one body's numbers with fraction or exponent."""
        left = MOST_MENDED
        make = self._number

        def number(written: str) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise NotJson("too many places to mend")
            try:
                made = make(written)
            except (ValueError, ArithmeticError):
                return UNREADABLE
            return made if type(made) is not float or math.isfinite(made) else UNREADABLE

        return number


def _mended(raw: bytes | bytearray) -> bytes | bytearray:
    """The body with a mark for every text and number that cannot be read.  Raises `NotJson` for too many places."""
    mended: bytes | bytearray = raw
    if _has(_HAS_HALF, mended):
        mended = _replaced(mended, _ESCAPES, _readable_escape)
    if _has(_HAS_NO_NUMBER, mended):
        mended = _replaced(mended, _TOKENS, _readable_token)
    return mended


def _has(pattern: re.Pattern[bytes], raw: bytes | bytearray) -> bool:
    starts = range(0, len(raw), _WINDOW)
    return any(pattern.search(raw, at, at + _WINDOW + LONGEST_NUMBER) is not None for at in starts)


def _matches(pattern: re.Pattern[bytes], raw: bytes | bytearray) -> Iterator[re.Match[bytes]]:
    """As `finditer`, which would search a body without any match at once."""
    at = 0
    while at < len(raw):
        end = at + _WINDOW
        for match in pattern.finditer(raw, at, end):
            # What reaches the end of the window may go on behind it.
            whole = match if match.end() < end - _LONGEST_SHORT else pattern.match(raw, match.start())
            if whole is not None:
                yield whole
                at = whole.end()
        at = max(at, end - LONGEST_NUMBER - _LONGEST_SHORT)


def _replaced(
    raw: bytes | bytearray, pattern: re.Pattern[bytes], readable: Callable[[re.Match[bytes]], bytes | None]
) -> bytearray:
    """The body with what `readable` gives for each match; None leaves it as it is."""
    found = bytearray()
    at = 0
    for count, match in enumerate(_matches(pattern, raw)):
        if count == MOST_MENDED:
            raise NotJson("too many places to mend")
        mended = readable(match)
        if mended is not None:
            found += raw[at : match.start()]
            found += mended
            at = match.end()
    found += memoryview(raw)[at:]
    return found


def _readable_escape(found: re.Match[bytes]) -> bytes | None:
    whole: bytes = found[0]
    if whole[0] == 0xED:
        return _MARK
    return None if whole[1] == 0x5C or found["pair"] else _MARK_ESCAPED


def _readable_token(found: re.Match[bytes]) -> bytes | None:
    return None if found[0][:1] == b'"' else b'"' + _MARK + b'"'
