"""The alert rules and the dashboard that ship with the server read metrics that there are, by labels they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.metrics import METRICS

FOLDER = Path(__file__).resolve().parents[1] / "app" / "docs" / "howto" / "monitoring"

SERIES = {
    name: {*metric.labels, *({"le"} if name.endswith("_bucket") else ())}
    for metric in METRICS
    for name in metric.series
}
"""By name of a line at `/metrics` its labels."""

DURATION = re.compile(r"[1-9][0-9]*[smhd]")


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))
    assert set(document) == {"groups"}
    found = []
    for group in document["groups"]:
        assert set(group) == {"name", "rules"} and group["name"]
        found += group["rules"]
    return found


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    return loaded


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])


@pytest.mark.parametrize(("where", "expression"), list(expressions()), ids=lambda value: value[:40])
def test_p43_what_a_rule_or_panel_reads_is_exported(where: str, expression: str) -> None:
    assert all(expression.count(opening) == expression.count(closing) for opening, closing in ("()", "[]", "{}"))
    used = re.findall(r"\b(channel_\w+)(?:\{([^}]*)\})?", expression)
    assert used, "it reads nothing"
    known: set[str] = set()
    for name, matchers in used:
        assert name in SERIES, f"{name} is not exported"
        labels = re.findall(r'(?:^|,)(\w+)(?:=~|!~|!=|=)"[^"]*"', matchers)
        assert len(labels) == (matchers.count('"') // 2), f"the matchers {matchers} cannot be read"
        assert set(labels) <= SERIES[name], f"{name} has no label of {labels}"
        known |= SERIES[name]
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= known


def test_every_rule_says_what_is_wrong_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert DURATION.fullmatch(rule["for"]) and rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}
        for text in rule["annotations"].values():
            shown = re.findall(r"\{\{ *\$labels\.(\w+) *\}\}", text)
            left = re.search(r"\bby \(([^)]*)\)", rule["expr"])
            kept = set(left[1].replace(" ", "").split(",")) if left else set().union(*map(SERIES.get, _names(rule)))
            assert set(shown) <= kept, (rule["alert"], shown)


def _names(rule: dict[str, Any]) -> list[str]:
    return re.findall(r"\bchannel_\w+", rule["expr"])


def test_the_rules_cover_what_nobody_may_miss() -> None:
    read = " ".join(rule["expr"] for rule in rules())
    for name in (
        "channel_oldest_owed_seconds", "channel_last_callback_timestamp_seconds", "channel_vendor_calls_total",
        "channel_refunds_in_doubt", "channel_breaker_open", "channel_held_back",
    ):  # fmt: skip
        assert name in read


def test_the_dashboard_has_the_form_that_grafana_imports() -> None:
    board = dashboard()
    assert board["schemaVersion"] >= 36 and board["title"] and board["uid"]
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, f"{panel['title']} overlaps another"
        taken |= cells
        assert panel["type"] in ("stat", "timeseries") and panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"} <= variables
