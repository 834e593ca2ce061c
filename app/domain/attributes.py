"""Puts every text of an order into attributes as RetailOps takes them, so that none is cut or left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from app.domain import texts

LONGEST: Final = 100
SHORTEST: Final = 2
"""Characters of an attribute's value at RetailOps."""


def numbered(named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Handle and value of each attribute; blank texts have none.

    A text too long for one goes over several, `note`, `note_2`, `note_3` ..., which give it back when joined.  One
    that is too short says its name: `note: 7`.
    """
    for handle, value in named.items():
        value = texts.mended(value)
        if not value.strip():
            continue
        if len(value) < SHORTEST:
            value = f"{handle}: {value}"
        if len(value) <= LONGEST:
            yield handle, value
            continue
        for number, part in enumerate(texts.split(value, LONGEST, shortest=SHORTEST), 1):
            yield (handle if number == 1 else f"{handle}_{number}"), part
