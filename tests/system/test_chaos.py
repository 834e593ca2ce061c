"""Half a minute of chaos on each database: whatever is killed, the vendor ends up with what was answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.postgres import PostgresServer, running_postgres
from tests.system.chaos import DatabaseServer, Result, run
from tests.system.stage import Stage

STORM_S = 22.0
LEAST_LIVES = 35


def test_p22_after_chaos_the_vendor_has_exactly_what_was_answered(tmp_path: Path, seed: int) -> None:
    deliveries = ("inline", "worker")[seed % 2]
    result = _played(tmp_path, f"sqlite:///{tmp_path / 'channel.db'}", deliveries, seed, None)
    assert result.violations == []
    assert result.fulfilments > 15


@pytest.mark.postgresql
def test_p26_after_chaos_on_postgresql_with_a_worker_the_vendor_has_exactly_what_was_answered(
    tmp_path: Path, seed: int, postgres: PostgresServer
) -> None:
    """`postgres` only says whether there is one: this one crashes, so it must not forget what it committed."""
    with running_postgres(is_durable=True) as server, server.database() as url:
        result = _played(tmp_path, url, "worker", seed, server)
    assert result.violations == []
    assert result.fulfilments > 15


def _played(folder: Path, url: str, deliveries: str, seed: int, database: DatabaseServer | None) -> Result:
    with Stage(folder, url, deliveries, shipments=40, vendor_seed=seed) as stage:
        stage.start()
        result = run(stage, seconds=STORM_S, seed=seed, database=database, least_lives=LEAST_LIVES)
    print("\n".join(result.lines()))
    return result
