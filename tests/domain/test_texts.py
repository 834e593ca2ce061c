"""Texts are bounded, mended and split in one place (P34)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.texts import KEY_LENGTH, key_fault, mended, shortened, split, stand_in

HALF = "\ud83d"
FAMILY = "👩‍👩‍👧‍👦"
FLAGS = "🇦🇹🇩🇪"


TEXTS = st.text(max_size=400) | st.text("ab \u0301\u200d🇦👩🏽\r\n", max_size=80)


@given(TEXTS, st.integers(4, 60), st.integers(1, 2))
def test_p34_a_split_text_loses_nothing_and_every_part_fits(text: str, limit: int, shortest: int) -> None:
    parts = split(text, limit, shortest=shortest)
    assert "".join(parts) == text
    assert all(len(part) <= limit for part in parts)
    assert all(len(part) >= min(shortest, len(text)) for part in parts)
    assert bool(parts) == bool(text)


def test_p34_a_text_is_split_after_a_blank_and_never_inside_one_sign() -> None:
    assert split("leave it with the neighbour", 12) == ["leave it ", "with the ", "neighbour"]
    assert split("abcdefgh", 4) == ["abcd", "efgh"]
    assert split("abce\u0301f", 4) == ["abc", "e\u0301f"]
    assert split(f"abcd{FAMILY}", 8) == ["abcd", FAMILY]
    assert split(f"x{FLAGS}", 4) == ["x🇦🇹", "🇩🇪"]
    assert split("abcde", 4, shortest=2) == ["abc", "de"]
    assert split("a\u0301" * 3, 4) == ["a\u0301a\u0301", "a\u0301"]
    assert split("e" + "\u0301" * 9, 4) == ["e" + "\u0301" * 3, "\u0301" * 4, "\u0301" * 2], "longer than a part"
    with pytest.raises(ValueError, match="twice"):
        split("abc", 3, shortest=2)


def test_p34_what_cannot_be_carried_is_replaced_in_free_text_and_refused_in_a_key() -> None:
    assert mended(f"a{HALF}b\x00c\ufdd0d") == "a\ufffdb\ufffdc\ufffdd"
    assert mended("tab\t line\n 😀 \u00a0") == "tab\t line\n 😀 \u00a0"
    for broken in (HALF, "\udc00 ", "\x00", "é\x00", "\ufdd0"):
        assert "half a character" in key_fault(f"S-{broken}")
    for whole in ("S-1", "SPOON ", "\u00a0é", "e\u0301", "😀", "a\tb", "x" * KEY_LENGTH, "😀" * KEY_LENGTH):
        assert key_fault(whole) == ""
    assert key_fault("x" * 256) == "must have at most 255 characters"
    assert key_fault("x" * 11, 10) == "must have at most 10 characters"


def test_p34_a_sentence_that_is_shortened_shows_it() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
    assert shortened("abcde\u0301fg", 6) == "abcd…", "no sign is cut in two"


def test_p34_what_cannot_be_a_key_has_one_in_our_own_records() -> None:
    assert stand_in("RLY-1") == "RLY-1"
    named = {stand_in("x" * 256), stand_in("x" * 257), stand_in("x\x00"), stand_in(f"x{HALF}"), stand_in("x\ufffd")}
    assert len(named) == 5
    assert all(key_fault(name) == "" for name in named)
