"""How often the dispatcher looks for what is due."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from app.deliveries import dispatcher
from app.deliveries.attempts import Attempts
from app.deliveries.keeping import Keeper
from app.records.database import Database, DatabaseUnavailable
from tests.waiting import eventually


def test_p5_a_database_that_is_away_is_looked_at_no_more_often_than_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "IDLE_S", 0.1)
    database, looks = Database(f"sqlite:///{tmp_path}/channel.db"), list[float]()

    @contextmanager
    def away() -> Iterator[Connection]:
        looks.append(time.monotonic())
        raise DatabaseUnavailable("its server is being started")
        yield

    monkeypatch.setattr(database, "read", away)
    at_work = dispatcher.Dispatcher(
        database, Attempts({}), {}, lambda *_: None, lambda *_: None, keeper=Keeper(), threads=2, channels=frozenset()
    )
    at_work.start()
    eventually(lambda: len(looks) > 3)
    at_work.stop()
    database.close()
    assert looks[3] - looks[0] >= 0.3
