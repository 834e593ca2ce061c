"""`channel serve` runs the real server; flask runs its own, for development."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import requests
from dotenv import dotenv_values

from app.cli import serve
from tests import ROOT
from tests.cli.processes import BARE, answered, channel, closed_terminal, errors_until, running
from tests.real_server import free_port
from tests.waiting import eventually


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
            except requests.RequestException:  # while one server takes the place of another
                return "away"

        assert fanout() == "no_fanout"
        second = channel(tmp_path, "serve", "--port", str(port))
        assert (second.returncode, second.stdout) == (1, ""), "it takes what listens there for itself"
        assert second.stderr.startswith(f"Error: port {port} is in use")
        right = file.read_text()
        file.write_text(right + '\nunknown_key = "x"\n')
        errors = errors_until(server, "unknown_key")
        assert fanout() == "no_fanout", "a file that cannot be used changes nothing"
        file.write_text(right.replace('gateways = ["rally"]', 'gateways = ["rally"]\nsku_fanout = "related_skus"'))
        eventually(lambda: fanout() == "related_skus", found=fanout)  # the changed file was taken
        server.send_signal(closed_terminal())
        said, rest = server.communicate(timeout=30)
    assert server.returncode == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=5)  # what it started has ended with it
    assert f"http://127.0.0.1:{port}/rally/merchants/<organization_id>" in said
    own = f"http://127.0.0.1:{port}/api/channel"
    assert re.findall(r"^  channel verify --base-url (\S+)  # is it right\?$", said, re.MULTILINE) == [own]
    assert re.findall(r"^  channel send \w+ --to (\S+)$", said, re.MULTILINE) == [own] * 3
    assert body["integration_auth_token"] not in said + errors + rest


def test_the_port_is_looked_at_where_the_server_will_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn takes a name for IPv4, whatever address of it is the first."""
    real = socket.getaddrinfo

    def both(_host: str, port: int, family: int = 0, *kind: int, **kinds: int) -> list[Any]:
        found = [one for address in ("::1", "127.0.0.1") for one in real(address, port, 0, *kind, **kinds)]
        return [one for one in found if family in (0, one[0])]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(click.ClickException, match="is in use"):
        serve._look_for_room("localhost", listener.getsockname()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="nothing tells a process of it elsewhere")
def test_p21_what_serve_starts_ends_with_it_also_when_it_is_killed() -> None:
    port = free_port()
    program = (
        "from app.cli.server_process import ServerProcess\n"
        f"ServerProcess('http.server', '--bind', '127.0.0.1', '{port}', own_session=True).wait()"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL) as parent:
        eventually(lambda: is_listening(port))
        parent.kill()
    eventually(lambda: not is_listening(port))


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
