"""Our own tools reach servers of this machine whatever proxy the environment names."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from app.cli.server_process import ServerProcess
from app.transport import straight
from tests.real_server import free_port


def test_a_proxy_of_the_environment_is_for_others_than_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    port = free_port()
    server = ServerProcess("http.server", str(port), "--bind", "0.0.0.0", folder=tmp_path, log=tmp_path / "log")
    try:
        assert server.answers(f"http://0.0.0.0:{port}/")
        here, elsewhere = f"http://localhost:{port}/", "http://shop.invalid/"
        with straight.session_to(here) as session:
            assert session.get(here, timeout=5).status_code == 200
        with straight.session_to(elsewhere) as session, pytest.raises(requests.exceptions.ProxyError):
            session.get(elsewhere, timeout=5)
    finally:
        server.kill()
