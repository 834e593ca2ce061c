"""Gives the numbers of RetailOps one canonical form, so that two spellings of one number are equal (R7)."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"([+-]?)0*([0-9]+)(\.0*)?")


def canonical(number: str) -> str:
    """The number without plus, leading zeros and a fraction of zeros ("007.0" is "7"); another text as it is."""
    found = _WHOLE.fullmatch(number)
    if found is None:
        return number
    return f"-{found[2]}" if found[1] == "-" and found[2] != "0" else found[2]
