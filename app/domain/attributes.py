"""Puts every text of an order into attributes as RetailOps takes them, so that none is cut or left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from app.domain import texts

LONGEST: Final = 100
SHORTEST: Final = 2
"""Characters of an attribute's value at RetailOps."""


def numbered(named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Handle and value of each attribute (`pieces`)."""
    for handle, value in named.items():
        yield from pieces(handle, value)


def all_stand_alone(values: Iterable[str]) -> bool:
    """True for values that `pieces` surely takes as they are, as most are: found out in a tenth of the time."""
    for value in values:
        if not SHORTEST <= len(value) <= LONGEST or not value.isprintable() or value.isspace():
            return False
    return True


def pieces(handle: str, value: str) -> list[tuple[str, str]]:
    """The attributes, by handle and value, that this text needs; a blank one needs none.

    A text too long for one goes over several, `note`, `note_2`, `note_3` ..., which give it back when joined.  One
    that is too short says its name: `note: 7`.
    """
    value = texts.mended(value)
    if not value.strip():
        return []
    if len(value) < SHORTEST:
        value = f"{handle}: {value}"
    if len(value) <= LONGEST:
        return [(handle, value)]
    parts = enumerate(texts.split(value, LONGEST, shortest=SHORTEST), 1)
    return [(handle if number == 1 else f"{handle}_{number}", part) for number, part in parts]
