"""A server as a process of its own, which may end at once, never answer, or be asked to stop."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.cli import server_process
from app.cli.server_process import ServerProcess
from tests.real_server import free_port


def test_it_answers_and_ends_when_asked_or_killed(tmp_path: Path) -> None:
    port = free_port()
    for end in (ServerProcess.stop, ServerProcess.kill):
        server = ServerProcess("http.server", str(port), "--bind", "127.0.0.1", folder=tmp_path, log=tmp_path / "log")
        try:
            assert server.answers(f"http://127.0.0.1:{port}/")
            assert server.is_running()
        finally:
            end(server)
        assert not server.is_running()
    assert "GET / HTTP/1.1" in (tmp_path / "log").read_text(), "what it prints is kept"


def test_one_that_ends_before_it_answers_does_not_answer_and_its_words_are_kept(tmp_path: Path) -> None:
    server = ServerProcess("no_such_module", environ={}, log=tmp_path / "log")
    assert not server.answers(f"http://127.0.0.1:{free_port()}/")
    assert "no_such_module" in (tmp_path / "log").read_text()


def test_one_that_never_answers_is_given_up_and_waited_for_no_longer_once_it_is_to_stop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stopping = threading.Event()
    server = ServerProcess("http.server", str(free_port()), "--bind", "127.0.0.1", log=tmp_path / "log")
    elsewhere = f"http://127.0.0.1:{free_port()}/"
    try:
        stopping.set()
        assert not server.answers(elsewhere, stopping)
        monkeypatch.setattr(server_process, "START_S", 0.1)
        assert not server.answers(elsewhere)
        assert server.is_running()
    finally:
        server.kill()
