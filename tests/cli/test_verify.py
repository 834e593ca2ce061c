"""`channel verify` passes what RetailOps accepts and fails, with a pointed reason, what RetailOps would not."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.test import run_wsgi_app

from app import cli, create_app, settings
from app.gateways import VENDORS
from app.sandbox.faults import Faults
from app.sandbox.server import RunningServer, serve
from tests import channels

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
UPSTREAM = ROOT.parent / "shared" / "reference" / "retailops" / "master"
KEY = "a+stored/key0123456789abcdefghij"
BASE = "/api/channel"

Reply = tuple[int, str, bytes]
Change = Callable[[str, int, dict[str, Any]], Reply | dict[str, Any] | None]
"""Given callback, status and body of the right answer: another reply, another body, or None to leave it."""


@pytest.fixture(scope="module")
def channel_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The real application with the test key on an empty database."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    folder = tmp_path_factory.mktemp("verified")
    application = create_app(
        settings.load(
            {"APP_ENV": "development", "DATABASE_URL": f"sqlite:///{folder}/channel.db", "CHANNELS": "# none"},
            vendors=VENDORS,
        )
    )
    root.handlers[:] = handlers
    yield application
    application.extensions["works"].stop()
    root.handlers[:] = handlers
    root.setLevel(level)


class Wrong:
    """The real application, its answers changed on the way out; remembers what it was sent."""

    def __init__(self, application: Flask, change: Change = lambda *_: None) -> None:
        self._application = application
        self._change = change
        self._lock = threading.Lock()
        self.uris: list[str] = []
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raw = environ["wsgi.input"].getvalue()
        with self._lock:
            self.uris.append(environ["RAW_URI"])
            self.bodies.append(raw)
        pieces, status, headers = run_wsgi_app(self._application, environ)
        body = b"".join(pieces)
        callback = environ["PATH_INFO"].rpartition("/")[2].removesuffix("_v1")
        changed = self._change(callback, int(status[:3]), msgspec.json.decode(body))
        if isinstance(changed, dict):
            changed = (int(status[:3]), "application/json", msgspec.json.encode(changed))
        if changed is not None:
            code, kind, body = changed
            status, headers = f"{code} Changed", [("Content-Type", kind), ("Location", "/other")]  # type: ignore
        start_response(status, list(headers))
        return [body]


@pytest.fixture
def against(channel_server: Flask) -> Iterator[Callable[..., tuple[Result, dict[str, Any], Wrong]]]:
    """Verify a server whose answers are changed; the result, its JSON report and the server."""
    running: list[RunningServer] = []

    def verify(
        *args: str, change: Change = lambda *_: None, rules: tuple[dict[str, Any], ...] = (), path: str = BASE
    ) -> tuple[Result, dict[str, Any], Wrong]:
        wrong = Wrong(channel_server, change)
        running.append(serve(wrong, faults=Faults(rules)))
        result = run("--base-url", running[-1].url + path, "--json", *args)
        return result, msgspec.json.decode(result.stdout) if result.stdout else {}, wrong

    yield verify
    for server in running:
        server.stop()


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.cli, ["verify", *args])


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


def reply_to_good_key(reply: Reply) -> Change:
    return lambda _, status, __: reply if status == 200 else None


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
    fault = {"kind": kind, "times": 1, "delay_s": 1.5}
    result, report, _ = against("--actions", "catalog_get_config", "--timeout", "0.6", rules=(fault,))
    assert result.exit_code == 1
    first, *others = report["results"]
    assert [problem["rule"] for problem in first["problems"]] == [rule]
    assert first["ms"] < 1400
    assert others
    assert all(item["ok"] for item in others)


def tokens(server: Wrong) -> list[Any]:
    """The keys of all bodies that were sent, "absent" where there was none."""
    sent = []
    for raw in server.bodies:
        with suppress(msgspec.DecodeError):
            body = msgspec.json.decode(raw)
            sent.append(body.get("integration_auth_token", "absent") if isinstance(body, dict) else "no object")
    return sent


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


@pytest.mark.parametrize("folder", ["retailops", ".retailops"])
def test_p20_the_stored_key_is_sent_and_never_shown(
    against: Any, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "integration_auth_token").write_text(KEY + "\n")
    echo = reply_to_good_key((200, "application/json", msgspec.json.encode({"events": KEY})))
    result, _, server = against("--actions", "order_cancel", "-use-auth-key", "--verbose", change=echo)
    assert tokens(server).count(KEY) == 3, "a server without this key answers 401, so nothing is repeated"
    assert result.exit_code == 1
    assert "***" in result.stderr
    assert KEY not in result.output
    assert "RETAILOPS_SDK" not in result.output


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({"retailops": KEY}, ""),
        ({"retailops": KEY, ".retailops": KEY}, ""),
        ({"retailops": KEY + "\n"}, "the newline behind the key"),
        ({".retailops": KEY}, "finds no key there"),
    ],
)
def test_a_stored_key_the_sdks_tool_would_not_read_the_same_way_is_told(
    against: Any, stored: dict[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_dir=str(tmp_path)))
    for folder, text in stored.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "integration_auth_token").write_text(text)
        (tmp_path / folder / "integration_auth_token").chmod(0o600)
    for flags in (("--use-auth-key",), ("--use-auth-key", "--as-sdk-tool")):
        result, _, server = against("--actions", "order_cancel", *flags)
        assert KEY in tokens(server)
        assert KEY not in result.output
        assert told in result.stderr
        assert ("the SDK's own tool reads only" in result.stderr) == bool(told)


def test_a_key_below_a_home_the_sdks_tool_does_not_know_is_told(
    against: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, key in (("shell", KEY), ("database", KEY[::-1])):
        (tmp_path / folder / "retailops").mkdir(parents=True)
        (tmp_path / folder / "retailops" / "integration_auth_token").write_text(key)
    monkeypatch.setenv("HOME", str(tmp_path / "shell"))
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_dir=str(tmp_path / "database")))
    result, _, server = against("--actions", "order_cancel", "--use-auth-key")
    assert KEY in tokens(server)
    assert f"the SDK's own tool reads only {tmp_path}/database/retailops/" in result.stderr
    assert "something else" in result.stderr


def test_without_a_stored_key_nothing_is_sent(against: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_user(_: int) -> None:
        raise KeyError

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("pwd.getpwuid", no_such_user)
    result, _, server = against("--use-auth-key")
    assert (result.exit_code, server.bodies) == (1, [])
    assert "~/retailops/integration_auth_token" in result.stderr


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
