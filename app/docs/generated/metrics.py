"""The metrics of `/metrics`, from where they are declared."""

from __future__ import annotations

from prometheus_client.metrics import MetricWrapperBase

from app import metrics
from app.docs.generated.tables import code, table


def text() -> str:
    """One row for each metric."""
    declared = [item for item in vars(metrics).values() if isinstance(item, MetricWrapperBase)]
    rows = []
    for metric in sorted((next(iter(item.describe())) for item in declared), key=lambda one: one.name):
        suffix = "_total" if metric.type == "counter" else ""
        [labels] = {item._labelnames for item in declared if next(iter(item.describe())).name == metric.name}
        shown = ", ".join(code(label) for label in labels)
        rows.append((code(metric.name + suffix), metric.type, shown, metric.documentation))
    return table(("Name", "Type", "Labels", "Meaning"), rows)
