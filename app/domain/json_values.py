"""Judges what a JSON text will cost before anything is made of it: a value of three bytes may take 250 in memory, and
an object of a million names keeps every thread of a process waiting while it is made.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from itertools import islice
from typing import Final

_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""Every text, to the end of the body where it is not closed; each byte is passed once."""

_NAMES = re.compile(rb'[,{][ \t\r\n]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t\r\n]*+:', re.DOTALL)
"""Names in objects, from anywhere inside a JSON text; what is skipped for one is never searched for another."""

_MARKS = (b",", b"{", b"[")

_TEXTS_AT_ONCE: Final = 10_000

_LOOKS: Final = 128
_LOOKED_AT: Final = 1024
"""Bytes of each look."""

_SHORTEST_NAME: Final = 8
"""Bytes that a name among many different ones takes with its value, about."""


def has_more_values(raw: bytes | bytearray, most: int) -> bool:
    """True when commas and opening braces and brackets outside texts are more than `most`.

    Every value but the outermost follows one of these, so there are no more values than that and one.
    """
    if len(raw) <= 2 * most:  # a value takes two bytes at least, with its comma or bracket
        return False
    marks = _marks(raw)
    if marks <= most:  # nearly always; what stands in texts is counted too, which takes 50 times as long to avoid
        return False
    texts = _TEXTS.finditer(raw)
    while some := b"".join(text[0] for text in islice(texts, _TEXTS_AT_ONCE)):
        marks -= _marks(some)
        if marks <= most:
            return False
    return True


def has_more_different_names(raw: bytes | bytearray, most: int) -> bool:
    """True when about so many different names stand in a body, by a look at some places of it.

    Rows have the same names again and again, however many they are.  The places are drawn anew each time, so that
    nobody can write a body for them.
    """
    if len(raw) <= _SHORTEST_NAME * most:
        return False
    places = (random.randrange(len(raw) - _LOOKED_AT) for _ in range(_LOOKS))
    times = Counter(_NAMES.findall(b"".join(raw[at : at + _LOOKED_AT] for at in places)))
    seen_once = sum(count == 1 for count in times.values())
    return seen_once * len(raw) > most * _LOOKS * _LOOKED_AT


def _marks(raw: bytes | bytearray) -> int:
    return sum(raw.count(mark) for mark in _MARKS)
