"""The metrics of `/metrics`, from where they are declared."""

from __future__ import annotations

from app.docs.generated.tables import code, table
from app.metrics import METRICS


def text() -> str:
    """One row for each metric."""
    rows = ((code(one.name), one.kind, ", ".join(map(code, one.labels)), one.meaning) for one in METRICS)
    return table(("Name", "Type", "Labels", "Meaning"), rows)
