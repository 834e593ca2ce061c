"""`channel verify` passes what RetailOps accepts and fails, with a pointed reason, what RetailOps would not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask

from app.sandbox.server import serve
from tests import ROOT, UPSTREAM, channels
from tests.cli.verify.servers import BASE, SCHEMAS, Change, Wrong, reply_to_good_key, run, tokens


def reasons(report: dict[str, Any]) -> str:
    """Every problem of every test as `pointer|rule|message` lines."""
    return "\n".join(
        f"{problem['pointer']}|{problem['rule']}|{problem['message']}"
        for result in report["results"]
        for problem in result["problems"]
    )


def test_p3_our_server_passes_with_the_test_key(against: Any) -> None:
    result, report, _ = against()
    assert result.exit_code == 0, reasons(report)
    fixtures = sorted(file.name for file in (ROOT / "verifier_fixtures").glob("*_v1_ex_*.json"))
    assert [item["fixture"] for item in report["results"]] == fixtures
    assert all(item["ok"] and item["status"] == 200 and item["problems"] == [] for item in report["results"])
    assert report["totals"]["tests"] == report["totals"]["passed"] == len(fixtures)
    checks = [check for item in report["results"] for check in item["checks"]]
    assert report["totals"]["requests"] == len(checks) > 200
    assert all(check["ms"] <= report["totals"]["slowest_ms"] for check in checks)
    assert report["without_fixture"] == []


def test_p3_it_says_so_in_the_words_of_the_sdks_tool(channel_server: Flask) -> None:
    with serve(channel_server) as server:
        result = run("-base-url", f"{server.url}{BASE}", "-actions=payment_credit", "-use-auth-key=false")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "local verify was successful")
    assert "\x1b[" not in result.stdout
    with serve(Wrong(channel_server, reply_to_good_key((500, "application/json", b"{}")))) as server:
        for as_tool in ((), ("-as-sdk-tool", "-schema-path", str(SCHEMAS))):
            result = run("-base-url", f"{server.url}{BASE}", "-actions=order_cancel", *as_tool)
            assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, "Local verify experienced 3 errors")


def test_p3_our_server_passes_the_published_schemas_and_fixtures(against: Any) -> None:
    if not UPSTREAM.is_dir():
        pytest.skip("the published schemas are not here")
    for tests in (UPSTREAM / "tests", ROOT / "verifier_fixtures"):
        result, report, _ = against(
            "--schema-path", str(UPSTREAM), "--tests-path", str(tests), "--actions", "catalog,inventory,order_"
        )
        if tests == UPSTREAM / "tests":
            assert result.exit_code == 0, reasons(report)
            assert report["totals"]["tests"] == 11
    result, report, _ = against("--schema-path", str(UPSTREAM), "--tests-path", str(UPSTREAM / "tests"))
    assert result.exit_code == 0
    assert report["without_fixture"] == ["calculate_order"]


def only(callback: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    """Change the good answers of one callback."""
    return lambda name, status, body: change(body) if (name, status) == (callback, 200) else None


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def first_order_without_date(body: dict[str, Any]) -> dict[str, Any]:
    first, *others = body["orders"]
    return {**body, "orders": [without(first, "channel_date_created"), *others]}


@pytest.mark.parametrize(
    ("action", "change", "reason"),
    [
        ("order_cancel", lambda _, status, __: {} if status == 200 else None, "tells RetailOps nothing"),
        (
            "order_cancel",
            lambda _, status, body: (403, "application/json", b"{}") if status == 401 else None,
            "|status|for a wrong key, status 403 came instead of 401",
        ),
        (
            "order_cancel",
            lambda _, status, body: (200, "application/json", b"{}") if status == 401 else None,
            "|status|for a wrong key, status 200 came instead of 401",
        ),
        ("order_pull", reply_to_good_key((200, "text/html", b"<h1>Hello</h1>")), "|body|the answer is not JSON"),
        ("order_pull", reply_to_good_key((200, "application/json", b"")), "|body|the answer is empty"),
        ("order_pull", reply_to_good_key((200, "application/json", b"[]")), "|body|the answer is JSON but not an obj"),
        ("order_pull", reply_to_good_key((200, "application/json", b"{} x")), "|body|the answer is not JSON"),
        ("order_pull", reply_to_good_key((201, "application/json", b"{}")), "|status|status 201 came instead of 200"),
        ("inventory_push", only("inventory_push", lambda body: without(body, "events")), "/events|required|"),
        (
            "order_pull",
            only("order_pull", first_order_without_date),
            "/orders/0/channel_date_created|required|/orders/0/channel_date_created: is missing",
        ),
        ("order_pull", only("order_pull", lambda body: {**body, "orders": body["orders"] * 101}), "/orders|maxItems|"),
        (
            "order_pull",
            only(
                "order_pull",
                lambda body: {**body, "orders": [{**body["orders"][0], "channel_date_created": "2026-01-01"}]},
            ),
            "/orders/0/channel_date_created|format|",
        ),
        (
            "order_pull",
            only("order_pull", lambda body: {**body, "next_page_token": "8f0c2b7a-4d1e-4f65-a90b-3c7d2e1f6a58"}),
            "/next_page_token|maxLength|/next_page_token: must have at most 35 characters",
        ),
    ],
)
def test_p3_a_wrong_answer_fails_with_a_pointed_reason(against: Any, action: str, change: Change, reason: str) -> None:
    result, report, _ = against("--actions", action, change=change)
    assert result.exit_code == 1
    assert reason in reasons(report)
    assert report["totals"]["failed"] == report["totals"]["tests"] > 0


def test_p3_what_theirs_passes_and_production_would_refuse_fails(against: Any, tmp_path: Path) -> None:
    """The published answer schemas require nothing, so `{}` and an order without a date pass the SDK's tool."""
    for file in (ROOT / "schemas").glob("*_v1.json"):
        document = msgspec.json.decode(file.read_bytes())
        document["links"][0]["targetSchema"] = {"type": "object"}
        (tmp_path / file.name).write_bytes(msgspec.json.encode(document))
    loose = ("--schema-path", str(tmp_path), "--actions")
    assert against(*loose, "order")[0].exit_code == 0

    result, report, _ = against(*loose, "order_acknowledge", change=lambda _, status, __: {} if status == 200 else None)
    assert result.exit_code == 1
    assert "|minProperties|body: is empty, which tells RetailOps nothing" in reasons(report)

    result, report, _ = against(*loose, "order_pull", change=only("order_pull", first_order_without_date))
    assert result.exit_code == 1
    assert re.search(r"\|/orders/0/channel_date_created: .*; RetailOps would throw the whole", reasons(report))


def test_p8_a_redirect_is_a_failure_and_is_not_followed(against: Any) -> None:
    result, report, server = against("--actions", "order_cancel", change=lambda *_: (302, "text/plain", b"elsewhere"))
    assert result.exit_code == 1
    assert "status 302 came instead of 200; redirects are not followed" in reasons(report)
    assert {uri.rpartition("/")[2] for uri in server.uris} == {"order_cancel_v1"}


@pytest.mark.parametrize(
    ("as_tool", "said"),
    [
        ((), "status 302 came instead of 200; redirects are not followed (http://[)"),
        (("--as-sdk-tool",), "the server redirects to an address that cannot be used"),
    ],
)
def test_a_redirect_to_no_address_is_a_verdict_and_no_fault_of_ours(as_tool: tuple[str, ...], said: str) -> None:
    def lost(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("302 Found", [("Location", "http://[")])
        return [b""]

    with serve(lost) as server:
        result = run("--base-url", server.url, "--actions", "order_cancel", *as_tool)
    assert result.exit_code == 1
    assert said in result.stdout


def test_https_at_a_server_that_speaks_http_is_told_from_a_bad_certificate(against: Any) -> None:
    with serve(lambda _, __: []) as server:
        result = run("--base-url", server.url.replace("http:", "https:"), "--actions", "order_cancel")
    assert "does --base-url mean http?" in result.stdout
    assert "certificate" not in result.stdout


def test_a_summary_names_every_place_that_is_to_be_mended(against: Any, channel_server: Flask) -> None:
    with serve(Wrong(channel_server, lambda _, status, __: {} if status == 200 else None)) as server:
        result = run("--base-url", server.url + BASE, "--actions", "order_pull,cancel")
    for places in (
        "/next_page_token and /orders: are missing - in order_pull",
        "/status and /events: are missing - in ",
    ):
        assert places in result.stdout


def test_a_credit_that_is_a_success_once_and_something_else_again_fails(against: Any) -> None:
    good = iter(range(100))

    def once(_: str, status: int, body: dict[str, Any]) -> dict[str, Any] | None:
        return {**body, "status": "timeout" if next(good) else "success"} if status == 200 else None

    _, report, _ = against("--actions", "payment_credit", change=once)
    assert "|repeat|for the same call again, /status: is timeout; the first time it was success" in reasons(report)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark"),
        (b'{"events": ["\xe9"]}', "it is not in UTF-8"),
        (b"[" * 100_000, "it is nested too deep"),
    ],
)
def test_why_an_answer_is_no_json_is_said(against: Any, body: bytes, said: str) -> None:
    wrong = reply_to_good_key((200, "application/json", body))
    _, report, _ = against("--actions", "order_cancel", change=wrong)
    assert said in reasons(report)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("slow", "timeout"), ("hang", "timeout"), ("drip_headers", "timeout"), ("drip_body", "timeout"),
        ("reset_after", "connection"), ("half_body", "connection"), ("refuse", "connection"),
    ],
)  # fmt: skip
def test_p3_a_late_or_broken_answer_is_told_and_the_run_goes_on(against: Any, kind: str, rule: str) -> None:
    fault = {"kind": kind, "times": 1, "delay_s": 4.0}
    result, report, _ = against("--actions", "catalog_get_config", "--timeout", "2", rules=(fault,))
    assert result.exit_code == 1
    first, *others = report["results"]
    assert [problem["rule"] for problem in first["problems"]] == [rule]
    assert first["ms"] < 3900
    assert others
    assert all(item["ok"] for item in others)


def test_a_server_that_fails_is_still_asked_for_its_401_and_stop_on_error_stops(against: Any) -> None:
    nothing = reply_to_good_key((500, "application/json", b"{}"))
    _, report, server = against("--actions", "order_cancel", change=nothing)
    assert report["totals"]["failed"] == 3
    assert tokens(server).count("RETAILOPS_SDK") == tokens(server).count("KDS_SPOLIATER") == 3
    _, report, server = against("--actions", "order_cancel", "--stop-on-error", change=nothing)
    assert report["totals"]["failed"] == tokens(server).count("KDS_SPOLIATER") == 1


def test_every_callback_is_tried_once_in_all_the_ways_the_sdks_tool_does_not_know(against: Any) -> None:
    key = "RETAILOPS_SDK"
    _, report, server = against("--actions", "order_cancel")
    first, *others = report["results"]
    assert [check["name"] for check in first["checks"]] == [
        "the right key", "a wrong key", "no key", "null as key", "a number as key", "a list that holds the key",
        "an empty key", "the key with a blank before it", "the key with a blank behind it",
        "the key in the other case", "the key without its end", "the key behind !!!", "GET",
        "a body that breaks off", "a list as body", "the same call again", "two slashes before the callback",
    ]  # fmt: skip
    assert [[check["name"] for check in other["checks"]] for other in others] == [["the right key", "a wrong key"]] * 2
    assert tokens(server)[:12] == [
        key, "KDS_SPOLIATER", "absent", None, 12345, [key], "", f" {key}", f"{key} ", "retailops_sdk", "RETAILOPS_SD",
        f"!!!{key}",
    ]  # fmt: skip
    statuses = [check["status"] for check in first["checks"]]
    assert statuses == [200] + [401] * 11 + [405, 400, 400, 200, 200]


def test_several_tests_at_once_find_the_same_in_the_same_order(against: Any) -> None:
    change = only("order_pull", first_order_without_date)
    _, alone, _ = against(change=change)
    result, together, _ = against("--jobs", "6", change=change)
    assert result.exit_code == 1
    for report in (alone, together):
        assert report["totals"]["failed"] == 4
    assert [item["problems"] for item in together["results"]] == [item["problems"] for item in alone["results"]]


def test_p3_a_reference_into_the_definitions_of_a_schema_file_is_followed(against: Any, tmp_path: Path) -> None:
    file = ROOT / "schemas" / "order_cancel_v1.json"
    document = msgspec.json.decode(file.read_bytes())
    link = document["links"][0]
    document["definitions"] = {"order": link["schema"]["properties"]["order"], "answer": link["targetSchema"]}
    link["schema"]["properties"]["order"] = {"$ref": "#/definitions/order"}
    link["targetSchema"] = {"$ref": "#/definitions/answer"}
    (tmp_path / file.name).write_bytes(msgspec.json.encode(document))
    assert against("--schema-path", str(tmp_path))[0].exit_code == 0
    result, report, _ = against("--schema-path", str(tmp_path), change=only("order_cancel", lambda _: {"events": []}))
    assert result.exit_code == 1
    assert "/status|required|" in reasons(report)


def test_a_base_url_without_a_path_is_taken(channel_server: Flask) -> None:
    def below(environ: dict[str, Any], start_response: Any) -> Any:
        return channel_server({**environ, "PATH_INFO": BASE + environ["PATH_INFO"]}, start_response)

    for slash in ("", "/"):
        with serve(below) as server:
            result = run("--base-url", server.url + slash, "--actions", "order_cancel")
        assert result.exit_code == 0, result.output


def test_p31_a_pair_that_no_channel_has_is_told_although_the_form_is_right(
    build_app: Any, pipe17: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "retailops").mkdir()
    (tmp_path / "retailops" / "integration_auth_token").write_text(channels.KEY)
    with serve(build_app(channels.channel_table(pipe17.url))) as server:
        result = run("--base-url", server.url + BASE, "--use-auth-key")
    assert result.exit_code == 0, result.output
    assert "tests: error CHANNEL_NOT_CONFIGURED: no channel of this server has" in result.stdout
    assert "this run shows that its answers have the right form, not that a channel works" in result.stdout
    assert "can be read by other users; chmod 600 it" in result.stderr
    assert channels.KEY not in result.output


@pytest.mark.parametrize(
    ("args", "status", "named"),
    [
        (["--actions", "order_pull,typo"], 1, "'typo'"),
        (["--actions", "order_pull,"], 1, "--actions"),
        (["--schema-path", "nowhere"], 1, "--schema-path"),
        (["--base-url", ""], 1, "--base-url"),
        (["--base-url", "ftp://x"], 1, "--base-url"),
        (["--base-url", "http://two words/"], 1, "--base-url: must be http"),
        (["--base-url", "http://no..host/"], 1, "--base-url: must be http"),
        (["-nonsense"], 2, "No such option '-nonsense'"),
        (["-actons", "order_pull"], 2, "'-actons'. Did you mean '-actions'"),
        (["-use-auth-key", "certify"], 2, "`channel certify`"),
        (["install-auth-key", "x"], 2, "`channel auth-key install`"),
        (["nonsense"], 2, "'nonsense'"),
        (["--junit", "nowhere/verify.xml"], 2, "--junit"),
        (["--stop-on-error=perhaps"], 2, "stop-on-error"),
        (["--timeout", "soon"], 2, "timeout"),
    ],
)
def test_what_cannot_be_run_is_named(args: list[str], status: int, named: str) -> None:
    result = run(*args)
    assert result.exit_code == status
    assert named in result.stderr


def test_a_fixture_that_does_not_fit_is_not_sent_and_a_callback_without_fixture_is_told(
    against: Any, tmp_path: Path
) -> None:
    (tmp_path / "order_cancel_v1_ex_1.json").write_text('{"client_id": 1, "channel_info": {"id": 1}, "order": []}')
    result, report, server = against("--tests-path", str(tmp_path), "--actions", "order_cancel,credit")
    assert (result.exit_code, server.bodies) == (1, [])
    assert "/order|type|the fixture does not fit the request schema: /order: must be of type object" in reasons(report)
    assert report["without_fixture"] == ["payment_credit"]
    empty = tmp_path / "empty"
    empty.mkdir()
    result, _, _ = against("--tests-path", str(empty))
    assert (result.exit_code, "--tests-path" in result.stderr) == (1, True)


def test_a_schema_file_is_taken_too_and_its_folder_searched_when_the_tests_path_is_none(
    against: Any, tmp_path: Path
) -> None:
    for source in (ROOT / "schemas" / "order_cancel_v1.json", ROOT / "verifier_fixtures" / "order_cancel_v1_ex_1.json"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    schema = str(tmp_path / "order_cancel_v1.json")
    result, report, _ = against("--schema-path", schema, "--tests-path", str(tmp_path / "none"))
    assert (result.exit_code, report["totals"]["tests"]) == (0, 1)
    Path(schema).write_text('{"links": [{"href": "/x", "schema": {}}]}')
    result = run("--schema-path", schema)
    assert (
        result.exit_code == 1 and f"{schema}: " in result.stderr and "`targetSchema` - at `$.links[0]`" in result.stderr
    )
