"""How fast a vendor key may be called, by a clock that only the tests move: whatever happens, R14 holds."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from app.errors import ChannelError
from app.transport import rates
from app.transport.rates import BLOCK_S, LOWEST_PER_S, RANK, CallKind, RatePlan, RateState
from app.transport.shared_rate import ASK_AGAIN_S, GRACE_S, MemoryStore, SharedRate, Turn, local_rate

SEEDS = st.integers(0, 10**6)
KINDS: tuple[CallKind, ...] = ("question", "command", "fact")
MINUTE_S = 60.0


def seeded(examples: int) -> settings:
    """A seed that fails is shown as it is: there is nothing to make smaller in it."""
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    return settings(max_examples=examples, deadline=None, print_blob=True, phases=phases)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Traffic:
    """Processes that share one rate; each of their calls asks, waits as it was told, and asks again."""

    plan: RatePlan
    processes: int
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        store = MemoryStore(self.clock)
        self.shared = [
            SharedRate(store, "key", self.plan, processes=self.processes, clock=self.clock)
            for _ in range(self.processes)
        ]
        self.granted: list[tuple[float, int, CallKind]] = []
        self.waited_s: dict[CallKind, list[float]] = {kind: [] for kind in KINDS}
        self._waiting: Counter[tuple[int, CallKind]] = Counter()
        self._events: list[tuple[float, int, float, int, CallKind, float]] = []
        self._numbers = count()

    def call(self, process: int, kind: CallKind, at_s: float, *, again_after_s: float = 0.0) -> None:
        """One call at a time after the beginning, or one after another for ever."""
        at = self.clock.now + at_s
        heapq.heappush(self._events, (at, next(self._numbers), at, process, kind, again_after_s))

    def run(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self._events and self._events[0][0] < end:
            self.clock.now, number, begun, process, kind, again_after_s = heapq.heappop(self._events)
            key = (process, kind)
            is_first = begun == self.clock.now
            others = [self._waiting[(process, each)] - (each == kind and not is_first) for each in KINDS]
            turn = self.shared[process].take(kind, others)
            if turn.wait_s > 0.0:
                self._waiting[key] += is_first
                heapq.heappush(
                    self._events, (self.clock.now + turn.wait_s, number, begun, process, kind, again_after_s)
                )
                continue
            self._waiting[key] -= not is_first
            self.granted.append((self.clock.now, process, kind))
            self.shared[process].succeeded()
            self.waited_s[kind].append(self.clock.now - begun)
            if again_after_s:
                self.call(process, kind, again_after_s, again_after_s=again_after_s)
        self.clock.now = end

    def counted(self) -> Counter[CallKind]:
        return Counter(kind for _, _, kind in self.granted)


@seeded(25)
@given(SEEDS, st.sampled_from([0.5, 2.0, 5.0, 12.0, 80.0]), st.integers(1, 4))
@example(0, 5.0, 2)
def test_p14_over_any_window_no_more_than_the_rate_and_one_block_a_process_goes_out(
    seed: int, per_s: float, processes: int
) -> None:
    roll = random.Random(seed)
    traffic = Traffic(RatePlan(per_s), processes)
    for _ in range(roll.randrange(30, 90)):  # bursts, with time between them to save up what may be saved up
        at_s = roll.choice([0.0, 30.0, 60.0]) + roll.choice([0.0, roll.uniform(0, 2)])
        traffic.call(roll.randrange(processes), roll.choice(KINDS), at_s)
    traffic.run(80.0)
    allowance = processes * max(1.0, BLOCK_S * per_s)
    least = math.inf  # of all beginnings of a window up to here: calls before it, less what the rate gave until then
    for number, (at, _, _) in enumerate(traffic.granted):
        least = min(least, number - per_s * at)
        above = number + 1 - per_s * at - least
        assert above <= allowance + 1e-6, f"seed {seed}: {above:.2f} calls above the rate, {allowance:.2f} allowed"


@seeded(25)
@given(SEEDS, st.sampled_from([2.0, 4.0, 5.0]), st.integers(1, 4))
@example(11, 2.0, 3)
def test_p14_while_a_question_waits_nothing_of_lower_priority_goes_out_in_any_process(
    seed: int, per_s: float, processes: int
) -> None:
    roll = random.Random(seed)
    traffic = Traffic(RatePlan(per_s), processes)
    for process in range(processes):
        traffic.call(process, "command", 0.0, again_after_s=0.001)
        traffic.call(process, "fact", 0.0, again_after_s=0.001)
    for _ in range(20):
        traffic.call(roll.randrange(processes), "question", roll.uniform(1, 30))
    traffic.run(40.0)
    ordered = traffic.granted
    waits = traffic.waited_s["question"]
    assert len(waits) == 20
    for at, waited_s in zip((at for at, _, kind in ordered if kind == "question"), waits, strict=True):
        between = [kind for when, _, kind in ordered if at - waited_s < when < at and kind != "question"]
        assert between == [], f"seed {seed}: {between} went out while a question waited {waited_s:.2f} s"


@pytest.mark.parametrize("kind", ["question", "command"])
def test_p14_facts_give_way_at_once_to_what_waits_in_another_process(kind: CallKind) -> None:
    clock = Clock()
    store = MemoryStore(clock)
    sending, waiting = (SharedRate(store, "key", RatePlan(2.0), processes=2, clock=clock) for _ in range(2))
    while sending.take("fact").wait_s == 0.0:
        pass
    clock.now += 0.1
    turn = waiting.take(kind)
    assert turn == Turn(pytest.approx(0.4))
    clock.now += 0.4
    assert not sending.take("fact").is_certain, "the token that has come in the meantime is not for facts"
    assert waiting.take(kind).wait_s == 0.0
    clock.now += 0.5
    assert sending.take("fact").wait_s == 0.0, "and nothing waits any more"


@pytest.mark.parametrize("per_s", [1.0, 5.0, 20.0, 80.0])
@pytest.mark.parametrize("apart", [False, True])
def test_p14_changed_facts_keep_a_fifth_of_the_rate_from_commands_and_no_more(per_s: float, apart: bool) -> None:
    traffic = Traffic(RatePlan(per_s), 2)
    for _ in range(4):
        traffic.call(0, "command", 0.0, again_after_s=0.001)
    for _ in range(4):
        traffic.call(1 if apart else 0, "fact", 0.0, again_after_s=0.001)
    traffic.run(60.0)
    got = traffic.counted()
    assert got.total() >= 0.9 * per_s * 60.0
    assert 0.15 <= got["fact"] / got.total() <= 0.25, got


@pytest.mark.parametrize("per_s", [0.5, 5.0, 80.0])
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_p14_facts_have_the_whole_rate_while_nothing_else_waits(per_s: float, processes: int) -> None:
    traffic = Traffic(RatePlan(per_s), processes)
    traffic.call(processes - 1, "fact", 0.0, again_after_s=0.001)
    traffic.run(60.0)
    assert traffic.counted()["fact"] >= 0.95 * per_s * 60.0


@seeded(20)
@given(SEEDS, st.sampled_from([2.0, 5.0, 40.0]))
def test_p14_commands_that_come_now_and_then_never_wait_for_facts(seed: int, per_s: float) -> None:
    """Beyond what their processes have in hand, 250 ms of the rate, and the token that is on its way."""
    roll = random.Random(seed)
    traffic = Traffic(RatePlan(per_s), 3)
    for process in range(3):
        traffic.call(process, "fact", 0.0, again_after_s=0.001)
    for number in range(10):
        traffic.call(roll.randrange(3), "command", 5.0 * (number + roll.random()))
    traffic.run(55.0)
    assert len(traffic.waited_s["command"]) == 10
    longest_s = max(traffic.waited_s["command"])
    assert longest_s <= max(1.5 / per_s, 0.1) + BLOCK_S, f"seed {seed}: a command waited {longest_s:.2f} s"


def test_a_block_that_was_not_used_goes_back_for_the_others() -> None:
    clock, plan = Clock(), RatePlan(80.0)
    store = MemoryStore(clock)
    one, other = (SharedRate(store, "key", plan, processes=2, clock=clock) for _ in range(2))
    assert one.take("command").wait_s == 0.0
    in_store = store.read("key")
    assert in_store is not None
    capacity, taken = rates.sizes(80.0, 2)
    assert in_store["tokens"] == capacity - taken
    clock.now += 0.01
    updates = dict(in_store)
    assert one.take("command").wait_s == 0.0
    assert store.read("key") == updates, "what a process has in hand costs no look at the store"
    clock.now += BLOCK_S + 0.01
    assert other.take("command").wait_s == 0.0 and one.take("command").wait_s == 0.0
    back = store.read("key")
    assert back is not None and back["at"] == clock.now


def test_a_rate_of_zero_is_no_cap_and_a_negative_one_a_mistake() -> None:
    rate = local_rate(RatePlan(0.0))
    assert all(rate.take("fact").wait_s == 0.0 for _ in range(1000))
    rate.throttled(), rate.succeeded()
    assert rate.take("fact").wait_s == 0.0 and rate.seen() is None
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="rate"):
            RatePlan(wrong)


# Learning


@seeded(100)
@given(SEEDS, st.sampled_from([0.3, 0.5, 5.0, 80.0]), st.floats(1.0, 8.0), st.floats(0.0, 2.0), st.floats(0.1, 1.0))
def test_p14_the_learned_rate_stays_within_its_bounds_and_is_cut_once_in_ten_seconds(
    seed: int, per_s: float, times: float, growth: float, factor: float
) -> None:
    roll = random.Random(seed)
    plan = RatePlan(per_s, per_s * times, growth, factor)
    state, now = rates.current(None, plan, 2, 1000.0), 1000.0
    last_cut: float | None = None
    for _ in range(200):
        now += roll.choice([0.0, roll.expovariate(1.0), roll.uniform(0, 100)])
        before = state = rates.current(state, plan, 2, now)
        if roll.random() < 0.3:
            state = rates.cut(state, plan, now)
            if last_cut is not None and now - last_cut < 10.0:
                assert state == before, f"seed {seed}: calls under way together are one throttling"
            else:
                assert state.rate == max(min(per_s, LOWEST_PER_S), before.rate * factor) and state.tokens == 0.0
                last_cut = now
        else:
            state = rates.grown(state, plan, roll.randrange(0, 50), now)
            most = before.rate + max(growth * per_s, per_s / 10) + 1e-9
            assert before.rate <= state.rate <= most, f"seed {seed}: it grows too fast"
        assert min(per_s, LOWEST_PER_S) <= state.rate <= plan.highest + 1e-9, f"seed {seed}"


@pytest.mark.parametrize("per_s", [0.5, 5.0, 80.0, 500.0])
@pytest.mark.parametrize("growth", [0.0, 0.2])
@pytest.mark.parametrize("every_s", [1.0, 50.0])
def test_p14_a_rate_cut_to_the_lowest_is_back_at_its_setting_within_fifteen_minutes_of_successes(
    per_s: float, growth: float, every_s: float
) -> None:
    plan, now = RatePlan(per_s, 4 * per_s, growth), 1000.0
    state = rates.current(None, plan, 1, now)
    for _ in range(20):
        now += 10.0
        state = rates.cut(rates.current(state, plan, 1, now), plan, now)
    assert state.rate == LOWEST_PER_S
    end = now + 15 * MINUTE_S
    while now + every_s < end:
        now += every_s
        state = rates.grown(rates.current(state, plan, 1, now), plan, 1, now)
    assert state.rate >= per_s


def test_p14_a_rate_in_full_use_grows_by_a_little_up_to_its_limit_and_an_idle_one_does_not() -> None:
    traffic = Traffic(RatePlan(5.0, 20.0), 2)
    traffic.call(1, "fact", 0.0, again_after_s=0.001)
    traffic.run(MINUTE_S)
    after_a_minute = traffic.shared[0].seen()
    assert after_a_minute is not None and 5.9 <= after_a_minute.rate <= 6.0
    traffic.run(20 * MINUTE_S)
    after_all = traffic.shared[0].seen()
    assert after_all is not None and after_all.rate == 20.0
    sent = sum(1 for at, _, _ in traffic.granted if at >= traffic.clock.now - MINUTE_S)
    assert sent >= 0.95 * 20.0 * MINUTE_S

    idle = Traffic(RatePlan(5.0, 20.0), 2)
    idle.call(0, "command", 0.0, again_after_s=30.0)
    idle.run(20 * MINUTE_S)
    rested = idle.shared[0].seen()
    assert rested is not None and rested.rate < 5.2


def test_p14_a_rate_that_is_the_contracts_never_grows_and_a_new_setting_begins_anew() -> None:
    fixed = Traffic(RatePlan(5.0, 5.0), 1)
    fixed.call(0, "fact", 0.0, again_after_s=0.001)
    fixed.run(5 * MINUTE_S)
    assert fixed.counted().total() <= 5.0 * 5 * MINUTE_S + 2
    learned = RateState(5.0, 18.0, 0.0, 1000.0)
    assert rates.current(learned, RatePlan(5.0, 20.0), 1, 1001.0).rate == 18.0
    assert rates.current(learned, RatePlan(5.0, 12.0), 1, 1001.0).rate == 12.0
    assert rates.current(learned, RatePlan(10.0, 40.0), 1, 1001.0).rate == 10.0


def test_p14_what_one_process_learns_the_others_know() -> None:
    clock, plan = Clock(), RatePlan(8.0, 32.0)
    store = MemoryStore(clock)
    one, other = (SharedRate(store, "key", plan, processes=2, clock=clock) for _ in range(2))
    while one.take("command").wait_s == 0.0:
        pass
    one.throttled()
    seen = other.seen()
    assert seen is not None and (seen.rate, seen.cut_at) == (4.0, clock.now)
    assert other.take("question") == Turn(0.25), "nothing is left of what was saved up"


# Without the store


def test_p26_a_busy_store_is_asked_again_and_one_that_is_away_leaves_each_process_its_share() -> None:
    clock, plan = Clock(), RatePlan(4.0)

    class Away(MemoryStore):
        is_away, asked = False, 0

        def update(self, name, decide):  # type: ignore[no-untyped-def]
            self.asked += 1
            if self.is_away:
                raise ChannelError("away")
            return super().update(name, decide)

    store = Away(clock)
    rate = SharedRate(store, "key", plan, processes=2, clock=clock)
    assert rate.take("command").wait_s == 0.0
    store.is_away = True
    busy = rate.take("command")
    assert 0.0 < busy.wait_s <= 0.1 and not busy.is_certain
    store.is_away = False
    assert rate.take("command").wait_s == 0.0, "it was only busy"
    store.is_away = True
    rate.take("command")
    clock.now += GRACE_S
    begun, granted, asked = clock.now, 0, store.asked
    while clock.now < begun + 30.0:
        turn = rate.take("command")
        granted += turn.wait_s == 0.0
        clock.now += turn.wait_s
    assert 0.9 * 30.0 * 2.0 <= granted <= 30.0 * 2.0 + 1.0, "half of 4 a second"
    assert store.asked - asked <= 30.0 / ASK_AGAIN_S + 2, "a store that hangs does not hold up every call"
    store.is_away = False
    clock.now += ASK_AGAIN_S
    assert rate.take("command").wait_s == 0.0 and store.asked > asked


def test_a_clock_that_is_set_back_neither_adds_tokens_nor_stops_anybody() -> None:
    plan = RatePlan(2.0)
    state = RateState(2.0, 2.0, 0.0, 1_000_000.0, question_until=1_000_000.5, grown_at=1_000_000.0, cut_at=999_999.0)
    state = rates.current(state, plan, 1, 996_400.0)
    assert (state.tokens, state.question_until, state.at) == (0.0, 0.0, 996_400.0)
    assert rates.ask(state, rates.Request("fact"), 996_400.0).wait_s == 0.5
    assert RANK["question"] < RANK["command"] < RANK["fact"]
