"""Bounds, mends and splits every text that enters or leaves, so that none is cut silently and none breaks a neighbour.

A character that no database and no JSON can carry is called unreadable here: NUL, half of a surrogate pair, and
`UNREADABLE`, by which the JSON reader marks a value that cannot be represented.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

KEY_LENGTH = 255
"""Characters of a key at most.  PostgreSQL's index takes about 2,700 bytes a row: two keys of this length still fit."""

UNREADABLE = "\ufdd0"
"""Stands for what could not be read: half a surrogate pair, a number out of range.  A Unicode noncharacter, which
nobody may interchange, so that it cannot be mistaken for content."""

REPLACEMENT = "\ufffd"

_BROKEN = re.compile("[\x00\ud800-\udfff\ufdd0]")
_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]"
)
_ZERO_WIDTH_JOINER = "\u200d"


def mended(text: str) -> str:
    """Free text with U+FFFD for each unreadable character."""
    if text.isascii():
        return text.replace("\x00", REPLACEMENT) if "\x00" in text else text
    return _BROKEN.sub(REPLACEMENT, text)


def mended_if_any(text: str | None) -> str | None:
    """As `mended`; None for no text."""
    return None if text is None else mended(text)


def is_readable(text: str) -> bool:
    """True when no character of the text is unreadable."""
    return ("\x00" not in text) if text.isascii() else _BROKEN.search(text) is None


def key_fault(text: str, limit: int = KEY_LENGTH) -> str:
    """Why the text cannot be a key, as the end of a sentence without the text itself; "" when it can."""
    if len(text) > limit:
        return f"must have at most {limit} characters"
    if not is_readable(text):
        return "must be text without NUL and without half a character"
    return ""


def are_plain_keys(texts: Sequence[str]) -> bool:
    """True where each of the texts surely can be a key, as most can; else see `key_fault`."""
    joined = "".join(texts)
    return joined.isprintable() and (len(joined) <= KEY_LENGTH or max(map(len, texts)) <= KEY_LENGTH)


def stand_in(text: str, limit: int = KEY_LENGTH) -> str:
    """The text where it can be a key, else its beginning and a digest: a name in our own records for what has none.

    Raises ValueError for a limit below 20.
    """
    if limit < 20:
        raise ValueError("limit must be at least 20")
    if not key_fault(text, limit):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{mended(text[: limit - 17])}~{digest}"


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters; a text that is too long ends in an ellipsis, so that the cut is seen.

    Only for sentences that a person reads.  Raises ValueError for a limit below 1.
    """
    if limit < 1:
        raise ValueError("limit must be at least 1")
    return text if len(text) <= limit else text[: _boundary(text, limit - 1)] + "…"


def with_signs(text: str) -> str:
    """The text with a sign for each character, but line feeds, that is not seen or moves what is: "[U+202E]".

    Controls command a terminal, marks of direction turn a text round, and blanks of other kinds look like ours.
    """
    return text if text.isprintable() and text.isascii() else _UNSEEN.sub(_sign, text)


def _sign(found: re.Match[str]) -> str:
    return f"[U+{ord(found[0]):04X}]"


def counted(count: int, one: str, more: str = "") -> str:
    """A number of things in words: "1 call", "3,000 calls"; `more` is the plural where that is not `one` with an s."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def split(text: str, limit: int, *, shortest: int = 1) -> list[str]:
    """The text in parts of at most `limit` characters that give it back when joined; [] for an empty text.

    Cuts after a blank where the second half of a part has one, and never between a character and what combines with
    it unless one such sequence is longer than a part.  No part is shorter than `shortest` unless the text is.
    Raises ValueError where `limit` is below twice `shortest`, or `shortest` below 1.
    """
    if shortest < 1 or (limit < 2 * shortest and limit != shortest):
        raise ValueError("limit must be at least twice the shortest part")
    parts: list[str] = []
    at = 0
    while len(text) - at > limit:
        # What is left behind this part must still make one of the shortest length.
        furthest = min(limit, max(len(text) - at - shortest, 1))
        cut = at + _part_length(text[at : at + furthest + 1], furthest, shortest)
        parts.append(text[at:cut])
        at = cut
    return [*parts, text[at:]] if text else parts


def _part_length(window: str, longest: int, shortest: int) -> int:
    """How long the part is that the window begins with; it shows one character more than the part may have."""
    for length in range(longest, max(shortest, longest // 2) - 1, -1):
        if window[length - 1].isspace() and not _is_joined(window, length):
            return length
    length = _boundary(window, longest)
    return length if length >= shortest else longest


def _boundary(text: str, at: int) -> int:
    """The last place up to `at` that does not part what belongs together; `at` itself where there is none."""
    for index in range(at, 0, -1):
        if not _is_joined(text, index):
            return index
    return at


def _is_joined(text: str, at: int) -> bool:
    """True when the characters before and behind the place make one sign: combining marks, joined emoji, flags."""
    if not 0 < at < len(text):
        return False
    before, behind = text[at - 1], text[at]
    if behind.isascii():
        return before == "\r" and behind == "\n"
    if unicodedata.category(behind)[0] == "M" or behind == _ZERO_WIDTH_JOINER or before == _ZERO_WIDTH_JOINER:
        return True
    if "\U0001f3fb" <= behind <= "\U0001f3ff" or "\u1160" <= behind <= "\u11ff":  # skin tones; the rest of a syllable
        return True
    if "\ud800" <= before <= "\udbff" and "\udc00" <= behind <= "\udfff":
        return True
    return _is_flag_letter(before) and _is_flag_letter(behind) and _flag_letters_before(text, at) % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_letters_before(text: str, at: int) -> int:
    count = 0
    while count < at and _is_flag_letter(text[at - 1 - count]):
        count += 1
    return count
