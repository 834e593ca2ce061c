"""What keeps calls from each vendor at this moment: an open breaker, the rate, a pause; and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.channel_settings import Channel
from app.operations.pauses import Pause
from app.operations.scope import Scope
from app.records import attention, breakers, gauges, pauses
from app.records.database import Database
from app.records.gauges import LearnedRate
from app.transport.limiters import Limit
from app.transport.rates import RatePlan

__all__ = ["Limit", "RateNow", "VendorLimits", "find", "rate_now"]

AT_THE_RATE: Final = ("RATE_LIMITED", "VENDOR_BUSY")
"""Codes of calls that were not begun because no turn at the vendor came in time, also for a pause of its own (R14)."""


@dataclass(frozen=True)
class RateNow:
    """The rate of one key of a vendor, which all processes share."""

    setting: str
    """The key of the channel's vendor table it begins with."""
    per_s: float
    """Calls a second now, as learned from the vendor's answers."""
    set_per_s: float
    """Calls a second as they are set."""
    throttled_at: datetime | None
    """When the vendor last said that it was too much."""


@dataclass(frozen=True)
class VendorLimits:
    """One gateway of a channel; `channel` is the key of the records."""

    channel: str
    vendor: str
    open_breakers: int
    """Processes that do not call it because it failed several times in a row."""
    owed: int
    """Calls that are owed or being found out."""
    at_the_rate: int
    """Those of them whose last attempt found no turn at the rate in time, and which wait for one."""
    rates: tuple[RateNow, ...]
    pause: Pause | None

    @property
    def advice(self) -> str:
        """What to do; "" where nothing has to be done."""
        if self.pause is not None:
            return f"Paused by {self.pause.who}: `channel resume` lets its calls go on."
        if self.open_breakers:
            return (
                f"{self.vendor} failed several times in a row.  `channel check` says how; calls go on by themselves "
                "once it answers."
            )
        if slowed := next((rate for rate in self.rates if rate.per_s < rate.set_per_s), None):
            return (
                f"{self.vendor} said that it was called too often.  The rate comes back within 15 minutes; if it "
                f"does not last, lower {slowed.setting} or have {self.vendor} grant more."
            )
        if self.at_the_rate:
            settings = " or ".join(rate.setting for rate in self.rates) or "its rate"
            return (
                f"No turn came in time: the rate, or a pause that {self.vendor} asked for.  It goes on by itself; "
                f"{settings} sets the rate."
            )
        return ""


def rate_now(plan: RatePlan, learned: LearnedRate | None) -> float:
    """Calls a second; what was learned with another setting counts no more."""
    if learned is None or learned.setting != plan.per_s:
        return plan.per_s
    return min(max(learned.per_s, plan.lowest), plan.highest)


def find(
    database: Database, scope: Scope, channels: Iterable[Channel], limits: Collection[Limit], *, channel: str = ""
) -> list[VendorLimits]:
    """Of each gateway of these channels, by channel and vendor; `channel`: only of the one with this key.

    `limits`: those of this process's gateways, which are the same in all.  No vendor is called.  Raises
    `DatabaseUnavailable`.
    """
    shown = [item for item in channels if scope.sees(item.key) and channel in ("", item.key)]
    places = [(item.key, token) for item in shown for token in item.gateways]
    now = database.now()
    with database.read() as connection:
        opened = breakers.processes(connection, places, now)
        learned = gauges.learned_rates(connection)
        paused = {(item.channel, item.gateway): item for item in pauses.all_of(connection, scope.keys)}
        owed, waiting = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for row in attention.open_calls(connection, scope.keys):
            owed[row.channel, row.gateway] += row.number if row.state != "parked" else 0
        for row in attention.calls_failed_with(connection, AT_THE_RATE, scope.keys):
            waiting[row.channel, row.gateway] += row.number

    def rate(limit: Limit) -> RateNow:
        known = learned.get(limit.key)
        throttled_at = known.throttled_at if known else None
        return RateNow(limit.plan.setting, rate_now(limit.plan, known), limit.plan.per_s, throttled_at)

    return [
        VendorLimits(
            *place, opened[place], owed[place], waiting[place],
            tuple(rate(item) for item in limits if (item.channel, item.vendor) == place and item.plan.per_s),
            paused.get(place),
        )
        for place in places
    ]  # fmt: skip
