"""Metrics in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from app.operations.measurements import Measured
from app.records.counters import Distribution


class _Collected(Collector):
    def __init__(self, measured: Iterable[Measured]) -> None:
        self._measured = measured

    def collect(self) -> Iterator[Family]:
        for each in self._measured:
            metric = each.metric
            if metric.kind == "histogram":
                histogram = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
                for labels, value in each.lines:
                    if isinstance(value, Distribution):
                        histogram.add_metric(labels, list(value.buckets), value.sum_s)
                yield histogram
                continue
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.meaning, labels=metric.labels)
            for labels, value in each.lines:
                if isinstance(value, float):
                    family.add_metric(labels, value)
            yield family


def exposition(measured: Iterable[Measured]) -> bytes:
    """The whole answer of `/metrics`."""
    return generate_latest(_Collected(measured))
