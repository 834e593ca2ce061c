"""When a failed call may be tried again, and by when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.deadline import Deadline
from app.transport.retries import LONGEST_RETRY_AFTER_S, backoff_s, jittered, next_try_s, read_retry_after

ROLLS = st.floats(0, 1, exclude_max=True)
NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)


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


def test_a_deadline_only_ever_comes_nearer() -> None:
    deadline = Deadline.in_s(10.0)
    assert 9.9 < deadline.left_s() <= 10.0
    assert deadline.within_s(60.0) == deadline
    assert deadline.within_s(0.5).left_s() <= 0.5
    assert Deadline.in_s(-1.0).left_s() == 0.0
    assert read_retry_after((NOW + timedelta(days=9)).strftime("%a, %d %b %Y %H:%M:%S GMT"), NOW) == 3600.0
