"""Real processes, which end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.processes import Processes


@pytest.fixture
def run(tmp_path: Path, database_url: str) -> Iterator[Callable[..., Processes]]:
    """Processes on the migrated database of the test."""
    started: list[Processes] = []

    def start(channels: str, **environment: str) -> Processes:
        started.append(Processes(tmp_path, database_url, channels, **environment))
        return started[-1]

    yield start
    for processes in started:
        processes.stop()
