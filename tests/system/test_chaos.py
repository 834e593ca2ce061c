"""Some seconds of chaos on each database: whatever is hurt, the vendors end up with what was answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.postgres import PostgresServer, running_postgres
from tests.system.chaos.result import Result
from tests.system.chaos.run import run
from tests.system.chaos.stage import stage_of
from tests.system.chaos.storm import DatabaseServer

STORM_S = 20.0
LEAST_LIVES = 35


def test_p22_after_chaos_the_vendors_have_exactly_what_was_answered(tmp_path: Path, seed: int) -> None:
    deliveries = ("inline", "worker")[seed % 2]
    result = _played(tmp_path, f"sqlite:///{tmp_path / 'channel.db'}", deliveries, seed, None)
    assert result.violations == []
    assert result.fulfilments > 15 and result.refunds > 0


@pytest.mark.postgresql
def test_p26_after_chaos_on_postgresql_with_workers_the_vendors_have_exactly_what_was_answered(
    tmp_path: Path, seed: int, postgres: PostgresServer
) -> None:
    """`postgres` only says whether there is one: this one crashes, so it must not forget what it committed."""
    with running_postgres(is_durable=True) as server, server.database() as url:
        result = _played(tmp_path, url, "worker", seed, server)
    assert result.violations == []
    assert result.fulfilments > 15 and result.refunds > 0


def _played(folder: Path, url: str, deliveries: str, seed: int, database: DatabaseServer | None) -> Result:
    with stage_of(folder, url, deliveries, vendor_seed=seed) as stage:
        stage.start()
        result = run(stage, seconds=STORM_S, seed=seed, database=database, least_lives=LEAST_LIVES)
    print("\n".join(result.lines()))
    return result
