"""`channel forget` has words for what it removes."""

from __future__ import annotations

from app.cli import forget
from app.records import forgetting


def test_forget_has_a_word_for_every_kind_of_record() -> None:
    assert set(forget.WORDS) == set(forgetting.kinds())
