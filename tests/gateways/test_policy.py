"""When a vendor is called and when again: properties of the pure parts, behaviour of the gate."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Unavailable
from app.gateways.policy import (
    LONGEST_RETRY_AFTER_S,
    Breaker,
    CallKind,
    Deadline,
    Gate,
    LocalRate,
    TokenBucket,
    after_failure,
    after_nothing,
    after_success,
    backoff_s,
    jittered,
    may_call,
    next_try_s,
    read_retry_after,
    take,
)

ROLLS = st.floats(0, 1, exclude_max=True)
KINDS: st.SearchStrategy[CallKind] = st.sampled_from(["question", "command", "fact"])
NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# Trying again


def test_the_wait_doubles_from_one_second_and_stops_at_five_minutes() -> None:
    assert [backoff_s(attempt) for attempt in (1, 2, 3, 4, 9, 10, 5000)] == [1, 2, 4, 8, 256, 300, 300]


@given(st.integers(-5, 10_000), st.none() | st.floats(-10, 1e9), ROLLS)
def test_the_next_try_is_never_before_the_vendors_wish_and_never_out_of_sight(
    attempt: int, wish_s: float | None, roll: float
) -> None:
    wait_s = next_try_s(attempt, wish_s, roll)
    assert 0.5 <= wait_s <= LONGEST_RETRY_AFTER_S + 30
    assert wait_s >= min(wish_s or 0.0, LONGEST_RETRY_AFTER_S)
    assert backoff_s(attempt) / 2 <= jittered(backoff_s(attempt), roll) <= backoff_s(attempt)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0), (" 0 ", 0.0), ("1.5", 1.5), ("99999999999999", 3600.0), ("-3", None), ("soon", None),
        ("", None), (None, None), ("٣", None), ("1e3", None), ("Sat, 31 Jan 2026 08:30:20 GMT", 20.0),
        ("Sat, 31 Jan 2026 08:29:00 GMT", 0.0), ("Sat, 31 Jan 2026 09:30:10 +0100", 10.0),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_as_a_date_and_capped(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOW) == seconds


@given(st.text() | st.from_regex(r"\A[A-Z][a-z]{2}, \d+ Jan \d+ \d+:\d+:\d+ [A-Z+0-9]+\Z"))
def test_no_retry_after_header_can_hurt(value: str) -> None:
    seconds = read_retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER_S


# The breaker


def _opened(now: float = 0.0) -> Breaker:
    state = Breaker()
    for _ in range(5):
        state = after_failure(state, now)
    return state


def test_p14_five_failures_in_a_row_open_the_breaker_and_a_success_between_them_does_not() -> None:
    state = Breaker()
    for _ in range(4):
        state = after_failure(state, 0.0)
    assert may_call(state, 0.0)[0]
    assert not may_call(after_failure(state, 0.0), 4.9)[0]
    state = after_success(state)
    for _ in range(4):
        state = after_failure(state, 0.0)
    assert may_call(state, 0.0)[0]


def test_p14_calls_begun_before_the_breaker_opened_do_not_keep_it_open_when_they_fail() -> None:
    state = _opened()
    for _ in range(16):
        state = after_failure(state, 4.0)
    assert may_call(state, 5.0)[0]


def test_p14_half_open_lets_one_probe_through_and_its_report_decides() -> None:
    is_let, probing = may_call(_opened(), 5.0)
    assert is_let and not may_call(probing, 5.1)[0]
    assert may_call(after_success(probing), 5.2) == (True, Breaker())
    assert may_call(after_nothing(probing), 5.2)[0], "a probe that told nothing makes room for another"
    assert may_call(probing, 35.1)[0], "and so does one that never came back"
    failed = after_failure(probing, 6.0)
    assert not may_call(failed, 15.9)[0] and may_call(failed, 16.0)[0]


def test_p14_the_open_time_grows_to_a_minute() -> None:
    state, now, opens = _opened(), 0.0, []
    for _ in range(6):
        assert state.open_until is not None
        opens.append(state.open_until - now)
        now = state.open_until
        is_let, state = may_call(state, now)
        assert is_let
        state = after_failure(state, now)
    assert opens == [5, 10, 20, 40, 60, 60]


@given(st.lists(st.tuples(st.sampled_from(["ask", "well", "ill", "nothing"]), st.floats(0, 20)), max_size=60))
def test_p14_whatever_happens_the_breaker_lets_a_call_through_within_a_minute(
    events: list[tuple[str, float]],
) -> None:
    state, now = Breaker(), 0.0
    for event, passed_s in events:
        now += passed_s
        if event == "ask":
            _, state = may_call(state, now)
        elif event == "well":
            state = after_success(state)
            assert state.refuses_for_s(now) == 0.0
        elif event == "ill":
            state = after_failure(state, now)
        else:
            state = after_nothing(state)
        assert 0.0 <= state.refuses_for_s(now) <= 60.0
    assert may_call(state, now + state.refuses_for_s(now) + 1e-6)[0]


# The rate


@given(
    st.floats(0.1, 50),
    st.lists(st.tuples(st.floats(0, 2), KINDS), min_size=1, max_size=120),
)
def test_r14_in_any_window_no_more_than_rate_and_burst_and_facts_within_three_fifths(
    rate: float, asks: list[tuple[float, CallKind]]
) -> None:
    bucket, now = TokenBucket.full(rate, 0.0), 0.0
    granted: list[tuple[float, CallKind]] = []
    for passed_s, kind in asks:
        now += passed_s
        is_granted, bucket, wait_s = take(bucket, now, kind)
        assert is_granted == (wait_s == 0.0) and wait_s <= 1 / (0.6 * rate) + 1e-6
        if is_granted:
            granted.append((now, kind))
        else:
            assert take(bucket, now + wait_s, kind)[0], "the wait told is long enough"
    for index, (start, _) in enumerate(granted):
        for upto in range(index, len(granted)):
            span_s = granted[upto][0] - start
            window = [kind for _, kind in granted[index : upto + 1]]
            assert len(window) <= bucket.burst + rate * span_s + 1e-6
            assert window.count("fact") <= max(1.0, 0.6 * bucket.burst) + 0.6 * rate * span_s + 1e-6


def test_r14_facts_that_take_all_they_can_get_leave_two_fifths_to_the_others() -> None:
    bucket, questions = TokenBucket.full(10.0, 0.0), 0
    for tick in range(10_000):
        _, bucket, _ = take(bucket, tick / 100, "fact")
        if tick % 25 == 0:
            is_granted, bucket, _ = take(bucket, tick / 100, "question")
            questions += is_granted
    assert questions == 400, "four a second, each granted at once"


def test_a_rate_of_zero_is_no_cap_and_a_negative_one_a_mistake() -> None:
    rate = LocalRate(0.0)
    assert all(rate.take("fact") == 0.0 for _ in range(1000))
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="rate"):
            LocalRate(wrong)


# The gate


def _code(gate: Gate, kind: CallKind = "command", budget_s: float = 0.0) -> str:
    with pytest.raises(Unavailable) as caught, gate.enter(kind, Deadline.in_s(budget_s)):
        raise AssertionError("nobody may be inside")
    assert not caught.value.outcome_unknown
    return caught.value.code


def test_r14_one_thread_more_than_allowed_is_refused_at_once_and_let_in_afterwards() -> None:
    gate = Gate("rally", max_inside=2)
    with gate.enter("command", Deadline.in_s(1)), gate.enter("fact", Deadline.in_s(1)):
        started = time.monotonic()
        assert _code(gate, "question", budget_s=5.0) == "VENDOR_BUSY"
        assert time.monotonic() - started < 0.2
    with gate.enter("question", Deadline.in_s(1)):
        pass


def test_r14_no_token_within_the_time_left_is_said_at_once() -> None:
    gate = Gate("rally", rate=LocalRate(0.5))
    with gate.enter("command", Deadline.in_s(1)):
        pass
    started = time.monotonic()
    assert _code(gate, budget_s=1.0) == "RATE_LIMITED"
    assert time.monotonic() - started < 0.2
    with gate.enter("command", Deadline.in_s(3)):
        assert time.monotonic() - started > 1.5


def test_p14_an_open_breaker_refuses_until_its_probe_and_a_pause_until_its_end() -> None:
    clock = Clock()
    gate = Gate("rally", clock=clock)
    for _ in range(5):
        with gate.enter("command", Deadline.in_s(1)) as visit:
            visit.failed()
    assert _code(gate) == "BREAKER_OPEN"
    clock.now += 5.0
    with gate.enter("command", Deadline.in_s(1)) as probe:
        assert _code(gate) == "BREAKER_OPEN"
        probe.succeeded()
        probe.pause(1000.0)
    clock.now += 59.0
    assert _code(gate) == "RATE_LIMITED"
    clock.now += 1.1
    with gate.enter("command", Deadline.in_s(1)):
        pass


def test_a_fault_of_ours_inside_the_gate_leaves_it_as_it_was() -> None:
    gate = Gate("rally", max_inside=1, concurrency=1)
    for _ in range(10):
        with pytest.raises(ZeroDivisionError), gate.enter("command", Deadline.in_s(1)):
            raise ZeroDivisionError
    assert gate.breaker == Breaker()
    with gate.enter("command", Deadline.in_s(1)):
        pass


def test_r14_of_those_that_wait_questions_go_first_and_facts_last() -> None:
    gate = Gate("pipe17", concurrency=1, max_inside=16)
    order: list[str] = []

    def visit(kind: CallKind) -> None:
        with gate.enter(kind, Deadline.in_s(5)):
            order.append(kind)
            time.sleep(0.01)

    kinds: list[CallKind] = ["fact", "fact", "command", "question", "command", "question", "fact"]
    threads = [threading.Thread(target=visit, args=(kind,)) for kind in kinds]
    with gate.enter("command", Deadline.in_s(5)):
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        assert order == []
    for thread in threads:
        thread.join()
    assert order == ["question"] * 2 + ["command"] * 2 + ["fact"] * 3


def test_r14_many_threads_together_keep_rate_and_concurrency_and_nobody_is_forgotten() -> None:
    gate = Gate("pipe17", concurrency=2, max_inside=12, rate=LocalRate(100.0, burst=5.0))
    lock, inside, most = threading.Lock(), 0, 0

    def visit(number: int) -> None:
        nonlocal inside, most
        kind: CallKind = ("question", "command", "fact")[number % 3]
        with gate.enter(kind, Deadline.in_s(10)):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.002)
            with lock:
                inside -= 1

    started = time.monotonic()
    with ThreadPoolExecutor(12) as threads:
        list(threads.map(visit, range(90)))
    assert time.monotonic() - started >= (90 - 5) / 100.0
    assert most == 2
    assert _code(Gate("pipe17", max_inside=0)) == "VENDOR_BUSY"


def test_a_deadline_only_ever_comes_nearer() -> None:
    deadline = Deadline.in_s(10.0)
    assert 9.9 < deadline.left_s() <= 10.0
    assert deadline.within_s(60.0) == deadline
    assert deadline.within_s(0.5).left_s() <= 0.5
    assert Deadline.in_s(-1.0).left_s() == 0.0
    assert read_retry_after((NOW + timedelta(days=9)).strftime("%a, %d %b %Y %H:%M:%S GMT"), NOW) == 3600.0
