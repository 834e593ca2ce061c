"""What a value on Rally's wire must look like: a missing or wrong field is a problem, an unknown one a warning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

MAX_DECIMALS = 4
"""Money with more places than any currency has is a binary fraction that leaked."""


class Findings:
    """What is wrong with one body, by dotted path; nothing in here quotes a value."""

    def __init__(self) -> None:
        self.problems: dict[str, list[str]] = {}
        self.warnings: list[str] = []

    def refuse(self, place: str, why: str) -> None:
        self.problems.setdefault(place, []).append(why)

    def warn(self, place: str, why: str) -> None:
        self.warnings.append(f"{place} {why}".lstrip())

    def problem_lines(self) -> list[str]:
        """One line per problem."""
        return [f"{place} {why}".lstrip() for place, reasons in self.problems.items() for why in reasons]


Check = Callable[[Any, str, Findings], None]
"""Looks at a value that stands at a path and reports the findings."""


def anything(value: object, place: str, found: Findings) -> None:
    """Free form."""


def text(value: object, place: str, found: Findings) -> None:
    if not isinstance(value, str):
        found.refuse(place, "must be a string")


def filled(value: object, place: str, found: Findings) -> None:
    if not isinstance(value, str) or not value.strip():
        found.refuse(place, "must be a string that is not empty")


def boolean(value: object, place: str, found: Findings) -> None:
    if not isinstance(value, bool):
        found.refuse(place, "must be a boolean")


def integer(value: object, place: str, found: Findings) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        found.refuse(place, "must be an integer")


def count(value: object, place: str, found: Findings) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        found.refuse(place, "must be an integer of at least 0")


def units(value: object, place: str, found: Findings) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        found.refuse(place, "must be an integer of at least 1")


def number(value: object, place: str, found: Findings) -> None:
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        found.refuse(place, "must be a number")


def money(value: object, place: str, found: Findings) -> None:
    """A decimal amount in major units, which no rounding left half done."""
    number(value, place, found)
    if isinstance(value, Decimal) and -int(value.normalize().as_tuple().exponent) > MAX_DECIMALS:
        found.refuse(place, f"must have at most {MAX_DECIMALS} decimals")


def positive_money(value: object, place: str, found: Findings) -> None:
    money(value, place, found)
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and value < 0:
        found.refuse(place, "must not be negative")


def fraction(value: object, place: str, found: Findings) -> None:
    number(value, place, found)
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and not 0 <= value < 1:
        found.refuse(place, "must be a fraction: 0.0825 is 8.25 percent")


def country(value: object, place: str, found: Findings) -> None:
    if not (isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha() and value.isupper()):
        found.refuse(place, "must be an ISO 3166-1 alpha-2 code")


def currency(value: object, place: str, found: Findings) -> None:
    if not (isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()):
        found.refuse(place, "must be an ISO 4217 code")


def web_address(value: object, place: str, found: Findings) -> None:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        found.refuse(place, "must be an absolute http or https address")


def mapping(value: object, place: str, found: Findings) -> None:
    if not isinstance(value, dict):
        found.refuse(place, "must be an object")


def one_of(*words: str) -> Check:
    """One of these texts."""

    def check(value: object, place: str, found: Findings) -> None:
        if not isinstance(value, str) or value not in words:
            found.refuse(place, "must be one of " + ", ".join(words))

    return check


def nullable(inner: Check) -> Check:
    """Null, or what `inner` wants."""

    def check(value: object, place: str, found: Findings) -> None:
        if value is not None:
            inner(value, place, found)

    return check


def array(inner: Check, *, at_least: int = 0) -> Check:
    """A list whose every item is as `inner` wants it."""

    def check(value: object, place: str, found: Findings) -> None:
        if not isinstance(value, list):
            found.refuse(place, "must be a list")
            return
        if len(value) < at_least:
            found.refuse(place, f"must hold at least {at_least}")
        for position, item in enumerate(value):
            inner(item, f"{place}.{position}".lstrip("."), found)

    return check


def record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these fields; others are let pass with a warning."""
    known = {**required, **(optional or {})}

    def check(value: object, place: str, found: Findings) -> None:
        if not isinstance(value, dict):
            found.refuse(place, "must be an object")
            return
        prefix = f"{place}." if place else ""
        for name in required:
            if name not in value:
                found.refuse(prefix + name, "is required")
        for name, item in value.items():
            inner = known.get(name)
            if inner is None:
                found.warn(prefix + name, "is unknown")
            else:
                inner(item, prefix + name, found)

    return check


def look_at(value: object, check: Check) -> Findings:
    """All there is to say about a whole body."""
    found = Findings()
    check(value, "", found)
    return found
