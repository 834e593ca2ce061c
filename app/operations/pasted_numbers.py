"""What number is meant by a text that somebody has typed or pasted with what stood around it.

Numbers come out of mails, spreadsheets and labels: in quotes, behind "order #", in groups of four digits, with a blank
that nobody sees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from app.domain.retailops_numbers import canonical

_APART = re.compile(r"[\s:=#]+")
_THOUSANDS = re.compile(r"[0-9]{1,3}(,[0-9]{3})+")


def readings(text: str) -> Iterator[str]:
    """The text without blanks around it, then, each once, what else it may mean, the likelier first.

    Whoever searches takes the first of these that is the number of something: an id is whatever its maker chose, so
    that one with a `#` or in quotes is found as it is.
    """
    number = text.strip()
    stripped = bare(number)
    numbered = [bare(word) for word in _APART.split(stripped) if any(map(str.isdecimal, word))]
    named = numbered if len(numbered) == 1 else []  # "order 496"; of several nobody knows which is meant
    joined = "".join(stripped.split())
    found = [number, stripped, joined, *named, *(f"#{it}" for it in (stripped, *named))]
    yield from dict.fromkeys(filter(None, found))


def of_retailops(text: str) -> str:
    """The text as a number of RetailOps (R7), also where a spreadsheet has made "007" or "1,234.0" of it."""
    number = bare(text)
    return canonical(number.replace(",", "") if _THOUSANDS.fullmatch(number.partition(".")[0]) else number)


def words(text: str) -> set[str]:
    """What stands apart in the text, each without the signs at its ends."""
    return {bare(word) for word in _APART.split(text)}


def bare(text: str) -> str:
    """Without characters that nobody sees, and without signs and blanks at its ends; wide digits are plain ones."""
    seen = "".join(each for each in unicodedata.normalize("NFKC", text) if unicodedata.category(each) != "Cf")
    signs = "".join(each for each in seen if not each.isalnum())
    return seen.strip(signs)
