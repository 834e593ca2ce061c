"""What the words of states mean, as the glossary of the documentation defines them: one definition for all pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

GLOSSARY = Path(__file__).parents[1] / "docs" / "explain" / "glossary.md"


@cache
def meanings() -> Mapping[str, str]:
    """Definitions by word in lower case: rows of the glossary's tables (of two the first) and its bold terms."""
    text = GLOSSARY.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for word, said in re.findall(r"^\| ([^|`]+?) \| ([^|]+?) \|$", text, re.M):
        found.setdefault(word.lower(), _plain(said))
    for term, said in re.findall(r"^\*\*([^*]+)\.\*\* (.+?)(?=\n\n|\Z)", text, re.M | re.S):
        found.setdefault(term.lower(), _plain(said))
    found.pop("state", None)
    return found


def _plain(text: str) -> str:
    """Without links, marks of emphasis and line breaks."""
    text = re.sub(r"\s*\(\[[^\]]*\]\([^)]*\)\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(text.replace("`", "").replace("**", "").split())
