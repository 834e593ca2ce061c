"""The metrics of `/metrics`, from where they are declared."""

from __future__ import annotations

from app import metrics
from app.docs.generated.tables import code, table


def text() -> str:
    """One row for each metric."""
    rows = [
        (code(metric.name), metric.kind, ", ".join(map(code, metric.labels)), metric.meaning)
        for metric in metrics.METRICS
    ]
    return table(("Name", "Type", "Labels", "Meaning"), rows)
