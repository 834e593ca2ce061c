"""`channel deliveries work` ends calmly on a signal."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.cli.processes import first_line, running
from tests.stopwatch import Stopwatch


def test_p21_the_worker_ends_on_sigterm_with_exit_0(tmp_path: Path) -> None:
    env = {"APP_ENV": "development", "DATABASE_URL": f"sqlite:///{tmp_path}/channel.db"}
    with running(tmp_path, "app.cli", "deliveries", "work", "--json", **env) as process:
        assert first_line(process) == {"working": True, "channels": [], "threads": 16}
        with Stopwatch() as watch:
            process.send_signal(signal.SIGTERM)
            assert process.wait(18) == 0
        assert watch.took_s < 5
