"""When a vendor that fails is left alone, and when it is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.transport.breaker import Breaker, after_failure, after_nothing, after_success, may_call


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
