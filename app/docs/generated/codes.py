"""The codes of events and errors, from the registry of the core and those of the vendors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from app.docs.generated.tables import code, table
from app.domain.codes import ACTORS, FILE, Subjects, read
from app.gateways import VENDORS, vendors


def text() -> str:
    """Who acts, then a heading and a table for each subject."""
    parts = [table(("Who acts", "That is"), ACTORS.items()), *_sections(read())]
    for token in VENDORS:
        parts.extend(_sections(of_vendor(token)))
    return "\n".join(parts)


def of_vendor(token: str) -> Subjects:
    """The codes that only this vendor's gateway sends, none without a file of them.  The vendor is not imported."""
    file = Path(vendors.__path__[0]) / token / FILE.name
    return read(file) if file.exists() else {}


def _sections(subjects: Subjects) -> Iterator[str]:
    for subject, found in subjects.items():
        yield f"## {subject}\n"
        rows = ((code(name), one.meaning, one.actor, one.action) for name, one in sorted(found.items()))
        yield table(("Code", "Means", "Who acts", "How"), rows)
