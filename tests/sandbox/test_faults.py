"""Rules that make a sandbox misbehave: a wrong one is refused with the name of its place."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from app.sandbox.server import RunningServer
from app.sandbox.vendors import pipe17, rally

RULES: list[tuple[Any, str]] = [
    ({"kind": "status", "match": "fulfillments"}, "$.match"),
    ({"kind": "status", "match": {"method": 5}}, "$.match.method"),
    ({"kind": "status", "match": {"path": "/x"}}, "path"),
    ({"kind": "sulk"}, "$.kind"),
    ({"kind": "status", "times": "often"}, "$.times"),
    ({"kind": "status", "times": 0}, "times"),
    ({"kind": "status", "code": 7}, "code"),
    ({"times": 1}, "kind"),
    ([], "object"),
]


@pytest.mark.parametrize(("rule", "named"), RULES, ids=[named for _, named in RULES])
def test_a_fault_rule_that_is_not_understood_is_a_400_that_names_the_place(
    sandbox: RunningServer, rule: Any, named: str
) -> None:
    reply = requests.post(f"{sandbox.url}/sandbox/faults", json=rule, timeout=10)
    assert reply.status_code == 400
    assert named in reply.json()["message"]
    assert requests.get(f"{sandbox.url}/sandbox/faults", timeout=10).json() == {"faults": []}


def test_a_rule_without_a_path_is_for_the_vendors_api_only(sandbox: RunningServer) -> None:
    rule = {"kind": "status", "match": {"method": "GET", "path_prefix": ""}}
    reply = requests.post(f"{sandbox.url}/sandbox/faults", json=rule, timeout=10)
    assert reply.json()["faults"][0]["match"]["path_prefix"] in (pipe17.BASE_PATH, rally.BASE_PATH)
    requests.delete(f"{sandbox.url}/sandbox/faults", timeout=10)
