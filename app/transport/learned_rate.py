"""The settings of calls to a vendor, the same in every vendor's table: how long, how many, and a learned rate (R14)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import marshmallow.fields as mf
import marshmallow.validate as mv

from app.options import option
from app.transport.rates import RatePlan

TIMES: Final = 4.0
"""Up to so many times its setting a rate may grow where the operator names no other limit."""

LEAST_PER_S: Final = 0.2
"""With fewer calls a second one call would wait for half of a callback's time or longer."""


def parallel_calls(default: int) -> Any:
    """The option `parallel_calls`."""
    help = "Calls with this key under way at a time; 0 is no cap."
    return option(mf.Integer(strict=True, validate=mv.Range(0, 64)), help, default=default)


def rate_max(of: str = "requests_per_s") -> Any:
    """The option `rate_max`, or its like for the setting `of`."""
    return option(
        mf.Float(validate=mv.Range(0, 1000)),
        f"Calls per second up to which the rate may grow while calls succeed; 0 is {TIMES:g} times {of}, and the "
        f"same number as {of} never more than that.",
        default=0.0,
    )


@dataclass(frozen=True, kw_only=True)
class LearnedRate:
    """How a rate is learned; `plan_of` and `faults` say by which settings."""

    rate_growth: float = option(
        mf.Float(validate=mv.Range(0, 60)),
        "By which part of its setting the rate grows in a minute of calls that succeed.",
        default=0.2,
    )
    rate_cut: float = option(
        mf.Float(validate=mv.Range(0.1, 1)),
        "By what the rate is multiplied when the vendor throttles (429, or 503 with Retry-After), once in 10 s; it "
        "is back at its setting within 15 minutes of calls that succeed.",
        default=0.5,
    )


@dataclass(frozen=True, kw_only=True)
class KeyCalls(LearnedRate):
    """How calls with one key are made to a vendor that names no rate: the part of its table that is every vendor's."""

    patience_s: float = option(
        mf.Float(validate=mv.Range(0.1, 60)), "Longest wait for one answer, in seconds.", default=5.0
    )
    requests_per_s: float = option(
        mf.Float(validate=mv.Range(0, 1000)),
        "Calls per second with this key; 0 is no cap. The vendor publishes no number, so it is where learning starts.",
        default=5.0,
    )
    rate_max: float = rate_max()


def plan_of(
    options: LearnedRate,
    setting: str = "requests_per_s",
    most_setting: str = "rate_max",
    *,
    named_per_s: float = math.inf,
) -> RatePlan:
    """The plan by these settings; `named_per_s`: what the vendor's contract names, which growth never passes."""
    per_s, most_per_s = getattr(options, setting), getattr(options, most_setting)
    highest = min(most_per_s or TIMES * per_s, named_per_s)
    return RatePlan(per_s, highest, growth=options.rate_growth, cut=options.rate_cut, setting=setting)


def faults(options: LearnedRate, setting: str = "requests_per_s", most_setting: str = "rate_max") -> list[str]:
    """Rules between the settings of one rate."""
    per_s, most_per_s = getattr(options, setting), getattr(options, most_setting)
    found = []
    if 0 < per_s < LEAST_PER_S:
        found.append(f"{setting} is too low: with less than {LEAST_PER_S:g} no call would get its turn in time")
    if 0 < most_per_s < per_s:
        found.append(f"{most_setting} is below {setting}; it may be the same or more")
    return found
