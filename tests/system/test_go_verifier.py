"""The SDK's validator in Go, as it is, against our replay of it (P3)."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from app.cli.verify.reference import Reference
from app.cli.verify.sdk_tool import is_its_date_time
from app.contract.problems import Schema
from tests import ROOT
from tests.system.go_verifier import GoVerifier, published_schemas

OWN = (ROOT / "schemas", ROOT / "verifier_fixtures")


def test_p3_its_validator_and_our_replay_of_it_agree(go_verifier: GoVerifier, seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    pairs: list[tuple[Schema, Any]] = []
    for value in (
        "2016-01-01T01:02:03Z", "2016-01-01T01:02:03.5+02:00", "2016-01-01", "10:11:12", "10:11:12Z", "2016-02-30",
        "2016-01-01T01:02:03", "2016-01-01 01:02:03Z", "2016-01-01T25:02:03Z", "yesterday", "", 7, None,
    ):  # fmt: skip
        pairs.append(({"type": "string", "format": "date-time"}, value))
    pairs += [({"type": "integer"}, value) for value in (1, 1.0, 1e2, 1.5, "1", True, None, -0.0)]
    for schemas in (OWN[0], published_schemas(tmp_path)):
        for file in sorted(schemas.glob("*_v1.json")):
            link = json.loads(file.read_text())["links"][0]
            for fixture in sorted(OWN[1].glob(f"{file.stem}_ex_*.json")):
                body = json.loads(fixture.read_text())
                pairs += [(link["schema"], changed(body, draw)) for _ in range(6)]
            answer = (ROOT / "tests" / "contract" / "answers").glob(f"{file.stem.removesuffix('_v1')}*.json")
            for sample in sorted(answer):
                pairs += [(link["targetSchema"], changed(json.loads(sample.read_text()), draw)) for _ in range(6)]
    theirs = go_verifier.verdicts(pairs)
    compiled = {id(schema): Reference(schema, {"date-time": is_its_date_time}) for schema, _ in pairs}
    ours = [compiled[id(schema)].is_valid(value) for schema, value in pairs]
    different = [pair for pair, one, other in zip(pairs, theirs, ours, strict=True) if one != other]
    assert not different, (len(different), different[0])
    assert 0.1 < sum(theirs) / len(theirs) < 0.9, "both verdicts occur"


def changed(value: Any, draw: random.Random) -> Any:
    """A copy with one thing in it of another kind, or gone."""
    copy = json.loads(json.dumps(value))
    node, place = copy, None
    while isinstance(node, dict | list) and node and (place is None or draw.random() < 0.85):
        parent, place = node, draw.choice(list(node) if isinstance(node, dict) else range(len(node)))
        node = parent[place]
    if place is not None:
        parent[place] = draw.choice([None, "", "text", 0, 1, -1, 1.0, 1.5, True, [], {}, "2026-01-02", 10**12])
        if draw.random() < 0.3:
            del parent[place]
    return copy
