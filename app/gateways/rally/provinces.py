"""Provinces by name and code, because Rally sends "Texas" where a tax table says "TX" (contract 4.4)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

_US = """
AL Alabama|AK Alaska|AZ Arizona|AR Arkansas|CA California|CO Colorado|CT Connecticut|DE Delaware
DC District of Columbia|FL Florida|GA Georgia|HI Hawaii|ID Idaho|IL Illinois|IN Indiana|IA Iowa|KS Kansas|KY Kentucky
LA Louisiana|ME Maine|MD Maryland|MA Massachusetts|MI Michigan|MN Minnesota|MS Mississippi|MO Missouri|MT Montana
NE Nebraska|NV Nevada|NH New Hampshire|NJ New Jersey|NM New Mexico|NY New York|NC North Carolina|ND North Dakota
OH Ohio|OK Oklahoma|OR Oregon|PA Pennsylvania|RI Rhode Island|SC South Carolina|SD South Dakota|TN Tennessee|TX Texas
UT Utah|VT Vermont|VA Virginia|WA Washington|WV West Virginia|WI Wisconsin|WY Wyoming|AS American Samoa|GU Guam
MP Northern Mariana Islands|PR Puerto Rico|VI Virgin Islands|AA Armed Forces Americas|AE Armed Forces Europe
AP Armed Forces Pacific
"""
_CA = """
AB Alberta|BC British Columbia|MB Manitoba|NB New Brunswick|NL Newfoundland and Labrador|NS Nova Scotia
NT Northwest Territories|NU Nunavut|ON Ontario|PE Prince Edward Island|QC Quebec|SK Saskatchewan|YT Yukon
YT Yukon Territory
"""
_AU = """
ACT Australian Capital Territory|NSW New South Wales|NT Northern Territory|QLD Queensland|SA South Australia
TAS Tasmania|VIC Victoria|WA Western Australia
"""


def _table(text: str) -> Mapping[str, str]:
    entries = [entry for line in text.strip().splitlines() for entry in line.split("|")]
    return {name.casefold(): code for code, _, name in (entry.partition(" ") for entry in entries)}


_CODES: Final[Mapping[str, Mapping[str, str]]] = {"US": _table(_US), "CA": _table(_CA), "AU": _table(_AU)}
"""Code by folded name; in other countries both sides have to write a province alike."""


def is_same(country_code: str, one: str, other: str) -> bool:
    """Whether both mean one province of the country, by code ("TX", "US-TX") or by name, whatever the case."""
    return bool(one.strip()) and _plain(country_code, one) == _plain(country_code, other)


def _plain(country_code: str, province: str) -> str:
    decomposed = unicodedata.normalize("NFKD", province.strip())
    folded = "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()
    folded = folded.removeprefix(f"{country_code.casefold()}-")
    return _CODES.get(country_code, {}).get(folded, folded).casefold()
