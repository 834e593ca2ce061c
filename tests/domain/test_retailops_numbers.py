"""Two spellings of one number are one number (R7)."""

from __future__ import annotations

import pytest

from app.domain.retailops_numbers import canonical


@pytest.mark.parametrize(
    ("spelled", "number"),
    [
        ("7", "7"), ("007", "7"), ("7.0", "7"), ("+7.", "7"), ("-07", "-7"), ("0", "0"), ("-0.0", "0"), ("", ""),
        ("9007199254740993", "9007199254740993"), ("7.5", "7.5"), ("A-07", "A-07"), ("7 ", "7 "), ("\u0667", "\u0667"),
    ],
)  # fmt: skip
def test_r7_a_number_has_one_form_and_other_text_stays(spelled: str, number: str) -> None:
    assert canonical(spelled) == number
