"""`channel verify --as-sdk-tool` does what the SDK's own tool does, also where that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.sandbox.server import serve
from tests import ROOT
from tests.cli.verify.servers import BASE, SCHEMAS, reply_to_good_key, run, tokens


def test_p3_its_replay_sends_what_the_sdks_tool_sends_where_and_in_its_order(against: Any) -> None:
    files = ("--as-sdk-tool", "--schema-path", str(SCHEMAS))
    _, _, server = against(*files, "--actions", "inventory,catalog_get", path=f"{BASE}/?a=1")
    callbacks = [uri.removeprefix(f"{BASE}//").removesuffix("_v1?a=1") for uri in server.uris]
    assert callbacks == ["inventory_push"] * 6 + ["catalog_get_config"] * 4
    assert tokens(server) == ["RETAILOPS_SDK", "KDS_SPOLIATER"] * 5
    for body in server.bodies:
        assert body.endswith(b"}\n")
        assert not {b"<"[0], b">"[0], b"&"[0]} & set(body)
        assert list(msgspec.json.decode(body)) == sorted(msgspec.json.decode(body))
    _, report, server = against(*files, "--actions", "order_cancel,typo,cancel")
    assert report == {"ok": True, "judged_by": report["judged_by"], "results": report["results"]}
    assert len(report["results"]) == 6, "unknown names are passed over, and a callback two names match runs twice"
    nothing = reply_to_good_key((500, "application/json", b"{}"))
    result, _, server = against(*files, "--actions", "order_cancel", change=nothing)
    assert (result.exit_code, tokens(server)) == (1, ["RETAILOPS_SDK"] * 3)


def test_p3_its_replay_judges_by_the_rules_the_sdk_has_published_and_says_so(against: Any) -> None:
    def barely(callback: str, status: int, _: dict[str, Any]) -> dict[str, Any] | None:
        """What no rule of the SDK forbids, and RetailOps throws away."""
        if status != 200:
            return None
        return {"orders": [{"channel_date_created": "2026-01-02"}]} if callback == "order_pull" else {"events": None}

    for change in (lambda _, status, __: {} if status == 200 else None, barely):
        result, report, server = against("--as-sdk-tool", change=change)
        refused = [] if change is not barely else ["catalog_push_v1_ex_1.json"]
        assert [each["fixture"] for each in report["results"] if not each["ok"]] == refused
        assert (result.exit_code, len(report["results"])) == (1 if refused else 0, 11)
        assert not any("payment_credit" in uri for uri in server.uris)
        assert against(change=change)[0].exit_code == 1, "ours is not content"
    with serve(server) as running:
        said = [
            run("--base-url", running.url + BASE, "--as-sdk-tool", "--actions", "order_cancel", *own).stdout
            for own in ((), ("--schema-path", str(SCHEMAS)))
        ]
    assert said[0].splitlines()[0] == "judged by the SDK's published rules for answers; it has no payment_credit"
    assert said[1].startswith(f"judged as the SDK's tool judges by {SCHEMAS}, with the fixtures in ")


@pytest.mark.parametrize(
    ("number", "as_multiple", "as_integer"),
    [
        ("0", True, True), ("1.0", True, True), ("1.5", False, False), ("-1e2", True, True),
        ("9007199254740991", True, True), ("9007199254740992", False, True), ("9007199254740993", False, True),
        ("-9007199254740991", True, True), ("-9007199254740992", False, True), ("9007199254740991.0", True, True),
        ("9e15", True, True), ("1e16", False, True), ("9223372036854774784", False, True),
        ("9223372036854775807", False, False), ("1" + "0" * 20, False, False), ("1e300", False, False),
    ],
)  # fmt: skip
def test_p3_its_replay_knows_numbers_as_far_as_the_sdks_tool(
    against: Any, tmp_path: Path, number: str, as_multiple: bool, as_integer: bool
) -> None:
    """The validator in the SDK's own tree divides 64-bit floats for `multipleOf`; `type: integer` ends at 64 bits."""
    document = msgspec.json.decode((SCHEMAS / "order_cancel_v1.json").read_bytes())
    fixture = (ROOT / "verifier_fixtures" / "order_cancel_v1_ex_1.json").read_bytes().rstrip().removesuffix(b"}")
    (tmp_path / "order_cancel_v1_ex_1.json").write_bytes(fixture + b', "far": %s}' % number.encode())
    answer = b'{"status": "success", "events": [], "far": %s}' % number.encode()
    flags = ("--as-sdk-tool", "--schema-path", str(tmp_path), "--tests-path", str(tmp_path))
    for rule, passes in (({"multipleOf": 1}, as_multiple), ({"type": "integer"}, as_integer)):
        for side in ("schema", "targetSchema"):
            changed = msgspec.json.decode(msgspec.json.encode(document))
            changed["links"][0][side]["properties"]["far"] = rule
            (tmp_path / "order_cancel_v1.json").write_bytes(msgspec.json.encode(changed))
            result, report, server = against(*flags, change=reply_to_good_key((200, "application/json", answer)))
            assert (result.exit_code == 0) == passes, (rule, side, report)
            assert bool(server.bodies) == (passes or side == "targetSchema"), "a fixture that does not fit is not sent"
            assert all(msgspec.json.decode(body)["far"] == float(number) for body in server.bodies)


def test_p3_no_example_of_ours_needs_numbers_the_sdks_tool_does_not_know(against: Any) -> None:
    flags = ("--as-sdk-tool", "--schema-path", str(SCHEMAS), "--tests-path", str(ROOT / "verifier_fixtures"))
    result, report, _ = against(*flags)
    assert result.exit_code == 0, [each for each in report["results"] if not each["ok"]]
    assert len(report["results"]) == len(list((ROOT / "verifier_fixtures").glob("*_v1_ex_*.json")))


def test_p3_its_replay_reads_and_follows_as_leniently_as_the_sdks_tool(against: Any, tmp_path: Path) -> None:
    flags = ("--as-sdk-tool", "--tests-path", str(tmp_path), "--actions", "order_cancel")
    fixture = (ROOT / "verifier_fixtures" / "order_cancel_v1_ex_1.json").read_bytes()
    (tmp_path / "order_cancel_v1_ex_1.json").write_bytes(b"\n" + fixture + b"and so on")
    assert against(*flags)[0].exit_code == 0, "what stands behind a fixture is not looked at"
    for text, status in (
        (rb"\ud800", 0),
        (rb"\udfff\\", 0),
        (rb"\ud83c\udf81", 0),
        (rb"\ud8zz", 1),
        (b"\xe9", 0),
        (b"\x01", 1),
    ):
        answer = b'{"status": "success", "events": [], "note": "' + text + b'"}'
        result, report, _ = against(*flags, change=reply_to_good_key((200, "application/json", answer)))
        assert result.exit_code == status, (text, report)
    hops = iter(range(100))

    def elsewhere(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("307 Elsewhere", [("Location", f"/{next(hops)}")])
        return [b""]

    with serve(elsewhere) as server:
        assert run("--base-url", server.url, *flags).exit_code == 1
    assert next(hops) == 10, "it gives up after ten requests"


def test_a_schema_file_that_only_the_sdks_tool_cannot_use_is_told(against: Any, tmp_path: Path) -> None:
    for file in (ROOT / "schemas").glob("order_c*_v1.json"):
        document = msgspec.json.decode(file.read_bytes())
        del document["definitions"], document["links"][0]["method"]
        (tmp_path / file.name).write_bytes(msgspec.json.encode(document))
    flags = ("--schema-path", str(tmp_path))
    result, report, _ = against(*flags)
    assert (result.exit_code, report["totals"]["failed"]) == (0, 0)
    definitions, method = report["notes"]
    both = "order_cancel_v1.json, order_complete_v1.json"
    assert definitions.startswith(f"the SDK's own tool cannot use {both}: ")
    assert '"definitions": {}' in definitions
    assert method.startswith(f"the SDK's own tool would not POST for {both}: ")
    assert against(*flags, "--as-sdk-tool")[0].exit_code == 1
