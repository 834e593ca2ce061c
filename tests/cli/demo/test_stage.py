"""The processes of the demo, and the commands that run beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.demo import stage
from app.cli.demo.playing import play
from app.cli.demo.stage import Stage


def test_p41_a_step_whose_command_does_not_end_in_time_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stage, "COMMAND_S", 0.01)
    run = Stage(tmp_path).run
    [played] = play([("a command", lambda: run("--version"))], lambda _: None)
    assert (played.held, played.detail) == (False, "RuntimeError: `channel --version` did not end within 0.01 s")
