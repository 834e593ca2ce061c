"""From an empty folder to a running server: `channel init`, `channel serve`, `flask run`, and other systems."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from dotenv import dotenv_values

from app import cli, gateways, settings
from app.cli.demo import pipe17
from app.cli.demo.stage import Stage
from app.cli.init import init
from app.contract.schemas import load_contract
from app.gateways import VENDORS
from app.sandbox.vendors.retailops import RetailOps
from tests.command_line import without_ours
from tests.real_server import free_port
from tests.waiting import eventually

BARE = without_ours()
ROOT = Path(__file__).parents[2]


def channel(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=folder, env={**BARE, "PYTHONPATH": str(ROOT), **environ}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@contextmanager
def running(folder: Path, *command: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, env={**BARE, "PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()  # SIGINT would be ignored by what a shell has started in the background
        process.communicate(timeout=30)


def answered(address: str, wanted: object = None) -> requests.Response:
    """The answer of an address, as soon as there is one, with a body such as is wanted."""
    until = time.monotonic() + 30
    while True:
        try:
            reply = requests.get(address, timeout=2)
            if wanted is None or reply.json() == wanted:
                return reply
        except requests.RequestException:
            pass
        if time.monotonic() > until:
            raise AssertionError(f"{address} gave no such answer in 30 s")
        time.sleep(0.1)


@pytest.mark.parametrize(
    "vendors", [chosen for count in (0, 1, 2, 3) for chosen in itertools.combinations(sorted(gateways.REGISTRY), count)]
)
def test_p23_what_init_writes_can_be_used_at_once(
    tmp_path: Path, vendors: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(init, [part for token in vendors for part in ("--vendor", token)])
    assert done.exit_code == 0, done.output
    values = {name: value or "" for name, value in dotenv_values(tmp_path / ".env").items()}
    found = settings.load({**values, "CHANNELS": (tmp_path / "channels.toml").read_text()}, vendors=VENDORS)
    assert {token for one in found.channels for token in one.gateways} == set(vendors or ("rally",))
    assert not any(one.set_aside for one in found.channels)
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0, "others of the machine cannot read the secrets"
    secrets = {values[name] for name in values if name.endswith("_SHOP_KEY") or name == "CONSOLE_TOKEN"}
    assert not any(secret in (tmp_path / "channels.toml").read_text() for secret in secrets)


def test_init_writes_over_nothing_and_makes_new_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(init).exit_code == 0
    first = (tmp_path / ".env").read_text()
    again = CliRunner().invoke(init, ["--vendor", "pipe17"])
    assert again.exit_code == 1 and "channels.toml is there already" in again.output
    assert (tmp_path / ".env").read_text() == first
    (tmp_path / "channels.toml").unlink()
    assert CliRunner().invoke(init).exit_code == 1, ".env holds the only copy of the keys"
    (tmp_path / ".env").unlink()
    assert CliRunner().invoke(init).exit_code == 0
    assert (tmp_path / ".env").read_text() != first


def test_a_variable_that_is_set_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("APP_ENV=development\nPORT=7001\nJOURNAL_DAYS=7 # a week\n")
    shown = channel(tmp_path, "settings", "--json", PORT="7002").stdout
    values = {item["name"]: item["value"] for item in json.loads(shown)["tables"][0]["settings"]}
    assert (values["APP_ENV"], values["PORT"], values["JOURNAL_DAYS"]) == ("development", "7002", "7")


def test_serve_runs_the_real_server_and_takes_a_changed_file(tmp_path: Path) -> None:
    port = free_port()
    assert channel(tmp_path, "init").returncode == 0
    file = tmp_path / "channels.toml"
    body = {"integration_auth_token": dotenv_values(tmp_path / ".env")["RALLY_SHOP_KEY"], "client_id": 1201,
            "channel_info": {"id": 31}, "action": "catalog_get_config", "version": 1}  # fmt: skip
    with running(tmp_path, "app.cli", "serve", "--reload", "--port", str(port), WEB_CONCURRENCY="1") as server:
        answered(f"http://127.0.0.1:{port}/readyz", {"status": "ready"})
        address = f"http://127.0.0.1:{port}/api/channel/catalog_get_config_v1"

        def fanout() -> object:
            try:
                return requests.post(address, json=body, timeout=5).json().get("sku_fanout")
            except requests.ConnectionError:
                return "away"

        assert fanout() == "no_fanout"
        right = file.read_text()
        file.write_text(right + '\nunknown_key = "x"\n')
        time.sleep(1.5)
        assert fanout() == "no_fanout", "a file that cannot be used changes nothing"
        file.write_text(right.replace('gateways = ["rally"]', 'gateways = ["rally"]\nsku_fanout = "related_skus"'))
        until = time.monotonic() + 20
        while fanout() != "related_skus":
            assert time.monotonic() < until, "the changed file was not taken"
            time.sleep(0.2)
        server.send_signal(signal.SIGTERM)
        said, errors = server.communicate(timeout=30)
    assert server.returncode == 0
    assert f"http://127.0.0.1:{port}/rally/merchants/<organization_id>" in said
    own = f"http://127.0.0.1:{port}/api/channel"
    assert re.findall(r"^  channel verify --base-url (\S+)  # is it right\?$", said, re.MULTILINE) == [own]
    assert re.findall(r"^  channel send \w+ --to (\S+)$", said, re.MULTILINE) == [own] * 3
    assert "unknown_key" in errors
    assert body["integration_auth_token"] not in said + errors


def test_the_demo_can_be_looked_into_from_its_folder(tmp_path: Path) -> None:
    """By the commands it prints, which find there what its server runs with."""
    stage = Stage(tmp_path)
    try:
        stage.start_sandbox("pipe17")
        stage.start_server({"pipe17": pipe17.SETTINGS})
        assert stage.retailops("pipe17").call("order_pull", page_token="").status == 200
        checked = json.loads(channel(tmp_path, "check", "--json").stdout)
        assert [part["client_id"] for part in checked["channels"]] == [stage.channel("pipe17")["client_id"]]
        assert {item["name"]: item["state"] for item in checked["server"]}["database"] == "ok"

        def listed() -> list[str]:
            found = channel(tmp_path, "callbacks", "list", "--json")
            return [item["callback"] for item in json.loads(found.stdout)["callbacks"]]

        eventually(lambda: listed() == ["order_pull"])
    finally:
        stage.stop()


def test_flasks_own_server_is_for_development(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "flask", "--app", "app", "run", "--port", str(port)):
        answered(f"http://127.0.0.1:{port}/readyz", {"status": "ready"})
    (tmp_path / "channels.toml").write_text("nonsense = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", "run", "--port", str(port)],
        cwd=tmp_path, env={**BARE, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert "unknown top-level key 'nonsense'" in done.stderr and "Traceback" not in done.stderr


def test_version_is_that_of_the_distribution(tmp_path: Path) -> None:
    assert channel(tmp_path, "--version").stdout == f"channel, version {version('retailops-channel')}\n"


def test_a_vendor_whose_commands_cannot_be_read_stops_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.OF_VENDORS, "acme", "app.gateways.vendors.acme.commands:commands")
    shown = CliRunner().invoke(cli.cli, ["--help"])
    assert shown.exit_code == 0 and "Cannot be loaded: FileNotFoundError" in shown.output, shown.output
    assert {"verify", "rally"} <= {line.split()[0] for line in shown.output.splitlines() if line.startswith("  ")}
    used = CliRunner().invoke(cli.cli, ["acme"])
    assert used.exit_code == 1 and "Cannot be loaded: ModuleNotFoundError" in used.output, used.output


ELSEWHERE = """
import importlib.abc, os, sys
POSIX = {"fcntl", "grp", "pwd", "resource", "termios"}
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in POSIX:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in POSIX:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for name in ("fork", "getuid", "geteuid"):
    delattr(os, name)
from app.cli import main
main()
"""


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("verify", "-base-url", "http://127.0.0.1:9/api/channel", "-actions", "order_cancel"), 1),
        (("send", "order_cancel", "--key", "test", "--to", "http://127.0.0.1:9", "--yes"), 1),
        (("auth-key", "generate"), 0),
        (("auth-key", "show"), 0),
        (("certify", "--help"), 0),
        (("db", "upgrade"), 2),
        (("serve",), 2),
    ],
)
def test_what_needs_no_server_runs_where_python_runs(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    if command == ("auth-key", "show"):
        assert channel(tmp_path, "auth-key", "generate", HOME=str(tmp_path)).returncode == 0
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *command],
        cwd=tmp_path, env={**BARE, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "APP_ENV": "development"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert ("need a POSIX system" in done.stderr) == (command[0] in ("db", "serve"))


def test_p41_from_nothing_to_an_order_of_a_checkout_played_on_the_page(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "app.cli", "sandbox", "rally", "--port", "0", "--json") as sandbox:
        assert sandbox.stdout is not None
        shown = json.loads(sandbox.stdout.readline())
        (rally,) = shown["sandboxes"]
        (tmp_path / "channels.toml").write_text(shown["channels_toml"])
        (tmp_path / ".env").write_text(f"{shown['env']}\nPUBLIC_URL=http://127.0.0.1:{port}\nPORT={port}\n")
        with running(tmp_path, "app.cli", "serve", WEB_CONCURRENCY="1"):
            answered(f"http://127.0.0.1:{port}/readyz", {"status": "ready"})
            for command in (["rally", "hooks", "register"], ["send", "catalog_push"]):
                done = channel(tmp_path, *command, APP_ENV="development")
                assert done.returncode == 0, done.stdout + done.stderr
            key = dotenv_values(tmp_path / ".env")["RALLY_SHOP_KEY"] or ""
            retailops = RetailOps(f"http://127.0.0.1:{port}/api/channel", key, 1201, 31, load_contract())
            stock = {"sku": "SAMPLE-MUG-RED", "quantity_available": 5, "quantity_detail": []}
            assert retailops.call("inventory_push", inventory_updates=[stock]).is_accepted
            at_rally = f"{rally['admin_url']}merchants/org-demo-1"
            # Goods are sent in the background: until some are there, nothing can be bought on the page.
            eventually(lambda: requests.get(f"{at_rally}/products", timeout=5).json()["products"])
            form = {"name": "checkout-org-demo-1", "quantity of SAMPLE-MUG-RED": "2", "is_paid": "on"}
            played = requests.post(f"{rally['admin_url']}page/play", form, headers={"Accept": "text/html"}, timeout=30)
            assert "is placed, charged " in played.text
            (order,) = requests.get(f"{at_rally}/orders", timeout=5).json()["orders"]
            assert [pulled["channel_order_refnum"] for pulled in retailops.pull_all()] == [order]
            retailops.close()
