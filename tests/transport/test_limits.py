"""Who of one process may call a vendor now: threads that wait for their turn (R14)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from app.deadline import Deadline
from app.errors import Unavailable
from app.transport.breaker import Breaker
from app.transport.limits import QUICK_S, CallLimiter, PausableLimiter
from app.transport.rates import CallKind, RatePlan
from app.transport.shared_rate import SharedRate, local_rate
from tests.stopwatch import Stopwatch
from tests.waiting import eventually


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def emptied(per_s: float) -> SharedRate:
    """A rate of which nothing is saved up."""
    rate = local_rate(RatePlan(per_s))
    while rate.take("fact").wait_s == 0.0:
        pass
    return rate


def code_of(limiter: CallLimiter, kind: CallKind = "command", budget_s: float = 0.0) -> str:
    with pytest.raises(Unavailable) as caught, limiter.enter(kind, Deadline.in_s(budget_s)):
        raise AssertionError("nobody may call")
    assert not caught.value.outcome_unknown
    return caught.value.code


def started(*works: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    return threads


def test_r14_one_thread_more_than_allowed_is_refused_at_once_and_let_in_afterwards() -> None:
    limiter = CallLimiter("rally", threads=3)
    with limiter.enter("command", Deadline.in_s(1)), limiter.enter("question", Deadline.in_s(1)):
        with Stopwatch() as watch:
            assert code_of(limiter, "question", budget_s=5.0) == "VENDOR_BUSY"
        assert watch.took_s < 0.2
    with limiter.enter("question", Deadline.in_s(1)):
        pass


def test_r14_facts_have_threads_of_their_own_and_keep_no_callback_out() -> None:
    limiter = CallLimiter("rally", threads=4, concurrency=5)
    with ExitStack() as facts:
        for _ in range(4):
            facts.enter_context(limiter.enter("fact", Deadline.in_s(1)))
        with limiter.enter("command", Deadline.in_s(1)):
            assert code_of(limiter, "fact", budget_s=0.05) == "VENDOR_BUSY", "five under way are the vendor's most"
    assert held_at_most(limiter) == 3


def held_at_most(limiter: CallLimiter) -> int:
    permits = []
    with pytest.raises(Unavailable, match="VENDOR_BUSY"):
        while True:
            permits.append(limiter.enter("command", Deadline.in_s(0.5)))
    for permit in permits:
        with permit:
            pass
    return len(permits)


def test_p14_a_healthy_vendor_may_hold_three_quarters_of_the_threads_and_any_other_half() -> None:
    clock = Clock()
    limiter = CallLimiter("rally", threads=12, clock=clock)
    assert held_at_most(limiter) == 9
    hanging = limiter.enter("command", Deadline.in_s(1))
    clock.now += QUICK_S
    assert held_at_most(limiter) == 5, "with the one that has had no answer for a second"
    with hanging:
        hanging.succeeded()
    assert held_at_most(limiter) == 9
    for _ in range(10):
        with limiter.enter("command", Deadline.in_s(1)) as slow:
            clock.now += 2.0
            slow.succeeded()
    assert held_at_most(limiter) == 6
    for _ in range(10):
        with limiter.enter("command", Deadline.in_s(1)) as quick:
            clock.now += 0.01
            quick.succeeded()
    assert held_at_most(limiter) == 9
    with limiter.enter("command", Deadline.in_s(1)) as lost:
        lost.failed()
    assert held_at_most(limiter) == 6


def test_p14_waiting_calls_count_among_the_threads_a_vendor_holds() -> None:
    limiter = CallLimiter("rally", threads=4, rate=emptied(1.0))
    codes: list[str] = []

    def call() -> None:
        try:
            with limiter.enter("command", Deadline.in_s(2.5)):
                codes.append("called")
        except Unavailable as error:
            codes.append(error.code)

    for thread in started(*[call] * 10):
        thread.join()
    assert Counter(codes) == {"called": 2, "RATE_LIMITED": 1, "VENDOR_BUSY": 7}


def test_r14_no_token_within_the_time_left_is_said_at_once() -> None:
    begun = time.monotonic()
    limiter = CallLimiter("rally", rate=emptied(0.5))
    with Stopwatch() as watch:
        assert code_of(limiter, budget_s=1.0) == "RATE_LIMITED"
    assert watch.took_s < 0.2
    with limiter.enter("command", Deadline.in_s(10)):
        assert time.monotonic() - begun > 1.5


def test_p14_our_own_throttle_is_a_failure_only_when_the_time_is_over() -> None:
    begun = time.monotonic()
    limiter = CallLimiter("pipe17", threads=16, concurrency=1, rate=emptied(10.0))

    def call(kind: CallKind) -> float:
        with limiter.enter(kind, Deadline.in_s(10.0)) as permit:
            permit.succeeded()
        return time.monotonic() - begun

    kinds: list[CallKind] = ["command", "question"] * 6
    with Stopwatch() as watch, ThreadPoolExecutor(12) as threads:
        waited = sorted(threads.map(call, kinds))
    assert waited[-1] > 1.0 and watch.took_s < 1.9, "each was let through in its turn, the last after 1.2 s"


def test_p14_of_one_kind_the_earliest_deadline_goes_first() -> None:
    """A callback that makes several calls is done with them before one that came later begins."""
    limiter = CallLimiter("pipe17", threads=16, concurrency=1, rate=emptied(20.0))
    order: list[Deadline] = []

    def call(deadline: Deadline) -> None:
        with limiter.enter("command", deadline):
            order.append(deadline)

    deadlines = [Deadline.in_s(budget_s) for budget_s in (18.0, 13.0, 16.0, 12.0, 17.0, 14.0)]
    with limiter.enter("command", Deadline.in_s(5)):
        threads = started(*(lambda deadline=deadline: call(deadline) for deadline in deadlines))
        eventually(lambda: len(limiter._waiting) == len(deadlines))
    for thread in threads:
        thread.join()
    assert order == sorted(deadlines, key=lambda deadline: deadline.at_s)


def test_p14_an_open_breaker_refuses_until_its_probe_and_a_pause_until_its_end() -> None:
    clock = Clock()
    limiter = CallLimiter("rally", clock=clock)
    for _ in range(5):
        with limiter.enter("command", Deadline.in_s(1)) as permit:
            permit.failed()
    assert code_of(limiter) == "BREAKER_OPEN"
    clock.now += 5.0
    with limiter.enter("command", Deadline.in_s(1)) as probe:
        assert code_of(limiter) == "BREAKER_OPEN"
        probe.succeeded()
        probe.throttled(1000.0)
    clock.now += 59.0
    assert code_of(limiter) == "RATE_LIMITED"
    clock.now += 1.1
    with limiter.enter("command", Deadline.in_s(1)):
        pass


def test_p14_those_that_wait_are_refused_as_soon_as_the_breaker_opens() -> None:
    limiter = CallLimiter("rally", threads=16, concurrency=5)
    codes: list[str] = []
    permits = [limiter.enter("command", Deadline.in_s(1)) for _ in range(5)]
    threads = started(*[lambda: codes.append(code_of(limiter, budget_s=10.0))] * 4)
    eventually(lambda: len(limiter._waiting) == 4)
    for permit in permits:
        with permit:
            permit.failed()
    for thread in threads:
        thread.join()
    assert codes == ["BREAKER_OPEN"] * 4


def test_p14_a_throttled_call_cuts_the_rate_and_counts_as_no_success() -> None:
    rate = local_rate(RatePlan(8.0, 32.0))
    limiter = CallLimiter("rally", rate=rate)
    begun = time.monotonic()
    with limiter.enter("command", Deadline.in_s(1)) as permit:
        permit.succeeded()
        permit.throttled(0.0)
    learned = rate.seen()
    assert learned is not None and learned.rate == 4.0 and learned.cut_at > 0.0
    with limiter.enter("command", Deadline.in_s(10)) as permit:
        assert time.monotonic() - begun > 0.2, "a quarter of a second at 4 calls a second"
        permit.succeeded()


def test_a_fault_of_ours_while_calling_leaves_the_limiter_as_it_was() -> None:
    limiter = CallLimiter("rally", threads=1, concurrency=1)
    for _ in range(10):
        with pytest.raises(ZeroDivisionError), limiter.enter("command", Deadline.in_s(1)):
            raise ZeroDivisionError
    assert limiter.breaker == Breaker()
    with limiter.enter("command", Deadline.in_s(1)):
        pass


def test_a_fault_of_the_rate_leaves_nobody_waiting_for_ever() -> None:
    class Broken(SharedRate):
        def take(self, kind, waiting=(0, 0, 0)):  # type: ignore[no-untyped-def]
            raise ZeroDivisionError

    limiter = CallLimiter("rally", threads=4, rate=Broken.__new__(Broken))
    for _ in range(10):
        with pytest.raises(ZeroDivisionError), limiter.enter("question", Deadline.in_s(1)):
            raise AssertionError("nobody may call")


def test_r14_of_those_that_wait_questions_go_first_and_facts_last() -> None:
    limiter = CallLimiter("pipe17", concurrency=1)
    order: list[str] = []

    def call(kind: CallKind) -> None:
        with limiter.enter(kind, Deadline.in_s(10)):
            order.append(kind)

    kinds: list[CallKind] = ["fact", "fact", "command", "question", "command", "question", "fact"]
    with limiter.enter("command", Deadline.in_s(5)):
        threads = started(*(lambda kind=kind: call(kind) for kind in kinds))
        eventually(lambda: len(limiter._waiting) == len(kinds))
        assert order == []
    for thread in threads:
        thread.join()
    assert order == ["question"] * 2 + ["command"] * 2 + ["fact"] * 3


def test_p14_commands_that_never_end_leave_facts_their_fifth() -> None:
    limiter = CallLimiter("pipe17", concurrency=1, rate=local_rate(RatePlan(100.0)))
    granted: Counter[CallKind] = Counter()

    def call(kind: CallKind) -> None:
        while time.monotonic() < end_s:
            with limiter.enter(kind, Deadline.in_s(5)):
                granted[kind] += 1

    for _ in range(3):  # on a machine that is busy with other things facts may come back too late for their turn
        granted.clear()
        end_s = time.monotonic() + 2.0
        with Stopwatch() as watch:
            for thread in started(*[lambda: call("command")] * 4, lambda: call("fact")):
                thread.join()
        print(granted)
        if 0.14 <= granted["fact"] / granted.total() <= 0.26 or not watch.is_disturbed:
            break
    assert granted.total() >= 70 * min(watch.took_s, 2.0) and 0.14 <= granted["fact"] / granted.total() <= 0.26


def test_r14_many_threads_together_keep_rate_and_concurrency_and_nobody_is_forgotten() -> None:
    begun = time.monotonic()
    limiter = CallLimiter("pipe17", concurrency=2, threads=16, rate=emptied(100.0))
    lock, inside, most = threading.Lock(), 0, 0

    def call(number: int) -> None:
        nonlocal inside, most
        kind: CallKind = ("question", "command", "fact")[number % 3]
        with limiter.enter(kind, Deadline.in_s(10)):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.015)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(call, range(90)))
    assert time.monotonic() - begun >= 0.89
    assert most == 2


def test_r34_a_paused_gateway_gets_no_permit_while_another_channel_with_the_same_key_does() -> None:
    paused: set[tuple[str, str]] = set()
    limiter = CallLimiter("rally", threads=4)
    first, second = (PausableLimiter(limiter, name, "rally", paused) for name in ("first", "second"))
    paused.add(("first", "rally"))
    with pytest.raises(Unavailable) as refused:
        first.enter("command", Deadline.in_s(1))
    assert refused.value.code == "PAUSED" and not refused.value.outcome_unknown
    with second.enter("command", Deadline.in_s(1)) as permit:
        permit.succeeded()
    paused.clear()
    with first.enter("command", Deadline.in_s(1)) as permit:
        permit.succeeded()
