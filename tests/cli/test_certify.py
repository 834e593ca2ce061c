"""`channel certify` asks RetailOps only for what would pass, and tells clearly what RetailOps said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from click.testing import CliRunner, Result
from flask import Flask

from app import cli
from app.cli.verify.keys import PLACES
from app.contract.schemas import Contract
from app.sandbox.server import RunningServer, serve
from app.sandbox.vendors.retailops import API_KEY, Certifier, RetailOps, serve_certifier
from tests.channels import KEY, PAIR, channel_table
from tests.cli.verify.zoo import TrustsEverybody
from tests.sandboxes import Sandbox

NAME = "Shop-7"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the key of the channel is stored."""
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / PLACES[0]
    file.parent.mkdir()
    file.write_text(KEY)
    file.chmod(0o600)
    return tmp_path


@pytest.fixture
def sandbox() -> Iterator[tuple[RunningServer, Certifier]]:
    """RetailOps' API."""
    server, certifier = serve_certifier()
    with server:
        yield server, certifier


@pytest.fixture
def channel(build_app: Callable[..., Flask], pipe17: Sandbox, home: Path) -> Iterator[str]:
    """The base URL of a real server whose channel has the stored key."""
    with serve(build_app(channel_table(pipe17.url))) as server:
        yield f"{server.url}/api/channel"


def certify(retailops_url: str, base_url: str, *args: str, given: str | None = API_KEY) -> Result:
    flags = ["--retailops-url", retailops_url, "--base-url", base_url]
    named = [] if "--integration-name" in args else ["--integration-name", NAME]
    result = CliRunner().invoke(cli.cli, ["certify", *flags, *named, "--api-key-file", "-", *args], input=given)
    assert KEY not in result.output
    assert API_KEY not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize(("flags", "in_query"), [((), True), (("--api-key-in-header",), False)])
def test_p20_the_key_of_the_api_stands_in_the_query_or_in_a_header_and_never_in_both(
    channel: str, sandbox: tuple[RunningServer, Certifier], flags: tuple[str, ...], in_query: bool
) -> None:
    server, certifier = sandbox
    asking = ("--skip-verify", "--actions", "order_cancel", *flags)
    assert certify(server.url, channel, *asking).exit_code == 0
    assert certifier.keys_in_query == [in_query]
    assert "RetailOps does not accept the API key" in certify(server.url, channel, *asking, given="other").output
    assert (certify(server.url, channel, *asking, given="k\u00e9y\u20ac").exit_code == 2) != in_query


def test_p31_a_server_is_certified_with_its_real_key_and_nothing_real_changes(
    channel: str, sandbox: tuple[RunningServer, Certifier], pipe17: Sandbox, contract: Contract
) -> None:
    server, certifier = sandbox
    before = pipe17.state()
    result = certify(server.url, channel + "/", "--json")
    assert result.exit_code == 0, result.output
    report = msgspec.json.decode(result.stdout)
    assert report["ok"] and report["verify"]["ok"] and report["certification"]["ok"]
    assert "CHANNEL_NOT_CONFIGURED" in {told["code"] for told in report["verify"]["told"]}
    assert pipe17.state()["shipments"] == before["shipments"]
    assert pipe17.state()["fulfillments"] == before["fulfillments"]

    assert [action["action"] for action in report["certification"]["actions"]] == [
        name for name in contract.callbacks if name != "payment_credit"
    ]
    assert certifier.received == [
        {
            "integration_auth_key": KEY,
            "version": 1,
            "target_url": channel,
            "supported_actions": [name for name in contract.callbacks if name != "payment_credit"],
            "integration_name": NAME,
        }
    ]
    (registered,) = certifier.registered
    assert registered["endpoints"]["order_pull"] == f"{channel}/order_pull"
    shown = requests.get(f"{server.url}/sandbox/state", timeout=5)
    assert [each["handle"] for each in shown.json()["registered"]] == [f"{NAME.upper()}_***"]
    assert KEY not in shown.text
    caller = RetailOps(channel, certifier.keys[0], *PAIR, contract)
    assert caller.pull_all()
    caller.close()


def test_p8_the_stand_in_takes_the_straight_way_and_follows_no_redirect(
    sandbox: tuple[RunningServer, Certifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever proxy this machine names: it calls with a channel's real key."""
    certifier = sandbox[1]
    with serve(lambda environ, start: []) as target, serve(lambda environ, start: []) as elsewhere:
        target.faults.add({"kind": "redirect", "code": 307, "location": f"{elsewhere.url}/taken"})
        elsewhere.faults.add({"kind": "status", "code": 200, "times": 1})
        monkeypatch.setenv("HTTP_PROXY", elsewhere.url)
        body = {"integration_auth_key": KEY, "target_url": target.url, "integration_name": NAME}
        answer = certifier.certify(
            msgspec.json.encode({**body, "supported_actions": ["order_cancel"]}), is_key_in_query=False
        )
    assert answer["action_results"][0]["message"] == "status 307, expected 200"
    assert [rule["times"] for rule in elsewhere.faults.as_json()] == [1], "it was called"


def test_what_would_not_pass_is_not_sent(sandbox: tuple[RunningServer, Certifier], home: Path) -> None:
    retailops, certifier = sandbox
    with serve(TrustsEverybody()) as server:
        result = certify(retailops.url, f"{server.url}/api/channel")
        assert result.exit_code == 1
        assert "for every key but the right one, none at all too, status 200 came instead of 401" in result.stdout
        assert "Nothing was sent to RetailOps" in result.stdout
        assert certifier.received == []

        result = certify(retailops.url, f"{server.url}/api/channel", "--skip-verify")
        assert result.exit_code == 1
        assert len(certifier.received) == 1
        assert "order_cancel: a wrong key was accepted" in result.stdout
        assert result.stdout.endswith("not certified\n")


def success_but(result: dict[str, Any]) -> tuple[int, str, bytes]:
    """A success with the result of one action."""
    return 200, "application/json", msgspec.json.encode({"status": "success", "action_results": [result]})


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((500, "text/html", b"<h1>Oops</h1>"), "status 500: RetailOps itself failed"),
        ((200, "text/html", b"<h1>Welcome</h1>"), "the answer of RetailOps is not JSON"),
        ((200, "application/json", b""), "the answer of RetailOps is empty"),
        ((200, "application/json", b"[]"), "the answer of RetailOps is JSON but not an object"),
        ((200, "application/json", b"{}"), "RetailOps did not say whether it succeeded"),
        ((500, "application/json", b'{"status": "success"}'), "status 500"),
        ((404, "application/json", b"{}"), "--retailops-url is not the address"),
        ((200, "application/json", b'{"ERROR": "no such key", "ERRORCODE": 12}'), "refused: no such key (12)"),
        ((200, "application/json", b'{"status": "error", "message": "name is taken"}'), "says error: name is taken"),
        (success_but({"status": "error", "action": "order_pull", "message": "x"}), "order_pull: x"),
        (success_but({"status": "success", "action": "order_pull"}), "order_cancel: RetailOps said nothing about it"),
        ((302, "/elsewhere", b""), "redirects are not followed"),
        ((200, "application/json", b'{"status": "error", "message": "%s"}' % API_KEY.encode()), "says error: ***"),
    ],
)
def test_every_other_answer_is_a_failure_with_a_reason(home: Path, reply: tuple[int, str, bytes], reason: str) -> None:
    def retailops(_: Any, start_response: Any) -> list[bytes]:
        status, kind, body = reply
        header = ("Location", kind) if 300 <= status < 400 else ("Content-Type", kind)
        start_response(f"{status} Given", [header])
        return [body]

    with serve(retailops) as server:
        flags = ("https://shop.example", "--skip-verify", "--actions", "order_pull,order_cancel")
        result, told = certify(server.url, *flags), certify(server.url, *flags, "--json")
    assert result.exit_code == 1
    assert reason in result.stdout
    report = msgspec.json.decode(told.stdout)
    assert not report["ok"]
    assert report["certification"]["status"] == reply[0]


def test_a_success_without_results_for_the_actions_is_one(home: Path) -> None:
    def retailops(_: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"status": "success", "message": "welcome", "action_results": null}']

    with serve(retailops) as server:
        result = certify(server.url, "https://shop.example", "--skip-verify")
    assert result.exit_code == 0
    assert "certified: SHOP-7 is registered with RetailOps: welcome" in result.stdout
    assert "no result for the single actions" in result.stdout


def test_a_host_that_cannot_be_reached_is_told(sandbox: tuple[RunningServer, Certifier], home: Path) -> None:
    server, _ = sandbox
    server.stop()
    result = certify(server.url, "https://shop.example", "--skip-verify")
    assert (result.exit_code, "nobody listens at --retailops-url" in result.stdout) == (1, True)
    result = certify("http://retailops.invalid", "https://shop.example", "--skip-verify")
    assert (result.exit_code, "--retailops-url" in result.stdout) == (1, True)


def test_a_wrong_api_key_is_told_and_masked(sandbox: tuple[RunningServer, Certifier], home: Path) -> None:
    server, certifier = sandbox
    result = certify(server.url, "https://shop.example", "--skip-verify", given="another/key+of the API\n")
    assert result.exit_code == 1
    assert "RetailOps does not accept the API key" in result.stdout
    assert "refused: the API key is not valid (BAD_APIKEY)" in result.stdout
    assert "another/key" not in result.output
    assert certifier.received == []


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--integration-name", "My_Shop"], "--integration-name"),
        (["--integration-name", "My Shop"], "blanks"),
        (["--integration-name", "Käse"], "letters A to Z"),
        (["--integration-name", ""], "must not be empty"),
        (["--actions", "order"], "'order'"),
        (["--actions", "order_pull,typo"], "'typo'"),
        (["--base-url", "https://shop.example/?a=1"], "no query"),
        (["--base-url", "https://me:pass@shop.example/"], "no password"),
        (["--base-url", "shop.example"], "--base-url"),
        (["--api-key", "x"], "--api-key-file"),
    ],
)
def test_what_retailops_could_not_carry_is_named_before_anything_is_sent(
    home: Path, args: list[str], named: str
) -> None:
    result = certify("http://127.0.0.1:9", "https://shop.example", *args)
    assert result.exit_code == 2
    assert named in " ".join(result.stderr.split())


def test_a_stored_key_that_retailops_would_cut_is_refused(home: Path) -> None:
    (home / PLACES[0]).write_text("KEY_with_underscores_012345678901")
    result = certify("http://127.0.0.1:9", "https://shop.example")
    assert result.exit_code == 1
    assert "underscore" in result.stderr
    assert "KEY_with" not in result.output


def test_the_flags_of_the_sdks_tool_are_taken(sandbox: tuple[RunningServer, Certifier], home: Path) -> None:
    flags = ["-retailops-url", sandbox[0].url, "-base-url=http://127.0.0.1:9/x", "-integration-name", NAME]
    result = CliRunner().invoke(cli.cli, ["certify", *flags, "-use-auth-key", "-api-key", API_KEY, "-skip-verify"])
    assert result.exit_code == 1
    assert "order_pull: the server cannot be reached (ConnectionError)" in result.stdout
    assert "RetailOps' servers cannot reach an address of this machine" in result.stderr
    assert "unencrypted" in result.stderr
