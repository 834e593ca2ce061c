"""One vendor key, several processes, one rate: nobody exceeds it and facts never crowd out the rest (R14)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from app.gateways.policy import CallKind, LocalRate, TokenBucket
from app.records.rates import SharedRate, ask, rates_of
from tests.conftest import migrate
from tests.records.test_migrations import open_database


@pytest.mark.postgresql
def test_p26_p14_processes_together_keep_to_the_rate_and_facts_to_their_share(postgres_url: str) -> None:
    migrate(postgres_url)
    databases = [open_database(postgres_url) for _ in range(3)]
    granted: Counter[CallKind] = Counter()
    lock = threading.Lock()
    per_s, runs_s = 40.0, 2.0
    begun = time.monotonic()

    def work(rate: SharedRate, kind: CallKind) -> None:
        while time.monotonic() - begun < runs_s:
            wait_s = rate.take(kind)
            if wait_s > 0:
                time.sleep(min(wait_s, 0.2))
                continue
            with lock:
                granted[kind] += 1

    workers: list[tuple[SharedRate, CallKind]] = [
        (SharedRate(own, "key", per_s), kind) for own in databases for kind in ("command", "fact")
    ]
    threads = [threading.Thread(target=work, args=item) for item in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own in databases:
        own.close()
    most = per_s + per_s * runs_s + 1  # the burst and what flowed in
    print(f"granted {dict(granted)} of at most {most:.0f}")
    assert 0.8 * most <= granted.total() <= most
    assert granted["fact"] <= 0.6 * most + 1
    assert granted["command"] >= 0.4 * most * 0.8


@pytest.mark.postgresql
def test_p26_a_waiting_question_of_one_process_goes_before_the_commands_of_another(postgres_url: str) -> None:
    migrate(postgres_url)
    one, other = open_database(postgres_url), open_database(postgres_url)
    asking, commanding = SharedRate(one, "key", 2.0), SharedRate(other, "key", 2.0)
    assert commanding.take("command") == commanding.take("command") == 0.0
    wait_s = asking.take("question")
    assert 0.0 < wait_s <= 0.5
    time.sleep(wait_s)
    assert commanding.take("command") > 0.0, "the token that came in the meantime is the question's"
    assert asking.take("question") == 0.0
    one.close(), other.close()


@pytest.mark.postgresql
def test_p26_without_the_database_each_process_keeps_to_the_rate_alone(postgres_url: str) -> None:
    migrate(postgres_url)
    database = open_database(postgres_url)
    rate = SharedRate(database, "key", 1.0)
    assert rate.take("question") == 0.0
    database.close()
    assert rate.take("question") == 0.0
    assert rate.take("question") > 0.0


def test_r14_a_mark_holds_the_lower_ranks_back_and_ends_by_itself() -> None:
    empty = TokenBucket(rate=2.0, burst=2.0, tokens=0.0, fact_tokens=0.0, at=100.0)
    waiting = ask(empty, 0.0, 0.0, "question", 100.0)
    assert waiting.wait_s == 0.5 and waiting.question_until > 100.5
    command = ask(waiting.bucket, waiting.question_until, 0.0, "command", 100.6)
    assert command.wait_s > 0.0 and command.command_until > 0.0
    served = ask(command.bucket, command.question_until, command.command_until, "question", 100.6)
    assert served.wait_s == 0.0 and served.question_until == 0.0
    later = ask(waiting.bucket, waiting.question_until, 0.0, "command", 101.0)
    assert later.wait_s == 0.0, "a question that never came back holds nobody for long"
    fact = ask(waiting.bucket, 0.0, command.command_until, "fact", 100.7)
    assert fact.wait_s > 0.0 and fact.command_until == command.command_until


def test_p14_on_sqlite_each_process_has_its_part(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/channel.db")
    rate = rates_of(database, 4)("key", 8.0)
    assert isinstance(rate, LocalRate)
    assert [rate.take("question"), rate.take("question")] == [0.0, 0.0] and rate.take("question") > 0.4
    database.close()
