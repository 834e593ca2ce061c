"""The text of `/metrics` as figures by name and labels."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

TOKEN = "token-of-the-operator-0001"


Lines = dict[tuple[str, tuple[str, ...]], float]


def lines_of(text: str) -> Lines:
    """By name and values of the labels, those in the order of their names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
