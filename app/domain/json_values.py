"""Counts the values of a JSON text before anything is made of them: a value of three bytes may take 250 in memory."""

from __future__ import annotations

import re

_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""Every text, to the end of the body where it is not closed; each byte is passed once."""

_MARKS = (b",", b"{", b"[")


def has_more_values(raw: bytes | bytearray, most: int) -> bool:
    """True when commas and opening braces and brackets outside texts are more than `most`.

    Every value but the outermost follows one of these, so there are no more values than that and one.
    """
    if len(raw) <= 2 * most:  # a value takes two bytes at least, with its comma or bracket
        return False
    marks = sum(raw.count(mark) for mark in _MARKS)
    if marks <= most:  # nearly always; what stands in texts is counted too, which takes 50 times as long to avoid
        return False
    for text in _TEXTS.finditer(raw):
        inside = text[0]
        marks -= sum(inside.count(mark) for mark in _MARKS)
        if marks <= most:
            return False
    return True
