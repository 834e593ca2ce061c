"""Every metric of `/metrics`: its name, type, labels and meaning, declared once for code, pages and alerts.

Counters and histograms add up what all processes did and are kept in the database; gauges are read from the records
when somebody asks.  So an answer is the same whichever process gives it.  No label names a single object (an order, a
SKU, a request), and none holds a secret or a person's data (P20).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric.  `channel` as a label is a channel's name, `vendor` a gateway's token."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()
    """Upper bounds in seconds of a histogram's buckets; the one without a bound is not named."""

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its lines at `/metrics`."""
        if self.kind != "histogram":
            return (self.name,)
        return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))


CALLBACKS: Final = Metric(
    "channel_callbacks_total",
    "counter",
    ("callback", "status"),
    "Callbacks answered, by callback and HTTP status.  What is refused before a callback is known (an address that "
    "does not exist, a body that never came, a connection too many) is in the log alone.",
)

CALLBACK_SECONDS: Final = Metric(
    "channel_callback_seconds",
    "histogram",
    ("callback",),
    "Time from the whole request to the answer, by callback.  RetailOps waits for 12 s.",
    (0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 12.0),
)

VENDOR_CALLS: Final = Metric(
    "channel_vendor_calls_total",
    "counter",
    ("vendor", "outcome"),
    "Calls to vendors by outcome: ok; refused (the vendor says no); misconfigured (key, grant or address); broken (no "
    "answer of the contract); unknown (it may have been done); not_done (surely not done: no connection, throttled); "
    "not_sent (held back here: breaker, rate, no time left).",
)

VENDOR_SECONDS: Final = Metric(
    "channel_vendor_call_seconds",
    "histogram",
    ("vendor",),
    "Duration of calls to vendors that were sent, the wait for their turn included.",
    (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0),
)

VENDOR_REQUESTS: Final = Metric(
    "channel_vendor_requests_total",
    "counter",
    ("vendor", "status"),
    "Requests of vendors answered here (hooks and webhooks), by HTTP status; those for unknown accounts included.",
)

DELIVERIES: Final = Metric(
    "channel_deliveries",
    "gauge",
    ("state", "channel", "vendor"),
    "Calls owed to vendors that are not over: owed (tried again by itself), checking (it is being found out whether it "
    "was done), parked (waits for a person).",
)

OLDEST_OWED: Final = Metric(
    "channel_oldest_owed_seconds",
    "gauge",
    ("channel", "vendor"),
    "Age of the oldest call that is owed or being checked; 0 where there is none.  Parked calls do not count.",
)

FACTS_OWED: Final = Metric(
    "channel_facts_owed",
    "gauge",
    ("kind", "channel", "vendor"),
    "Products (kind catalogue) and SKUs (kind stock) whose newest state the vendor has not been sent yet.",
)

HELD_BACK: Final = Metric(
    "channel_held_back",
    "gauge",
    ("channel",),
    "Orders that cannot be given to RetailOps as they are and wait for a person.",
)

LATE_EVENTS: Final = Metric(
    "channel_late_events",
    "gauge",
    ("channel",),
    "Failures found after RetailOps had its answer that nobody has dismissed (R15).",
)

REFUNDS_IN_DOUBT: Final = Metric(
    "channel_refunds_in_doubt",
    "gauge",
    ("channel",),
    "Refunds of which nobody knows whether the vendor paid them: a person has to look and decide.",
)

VENDOR_RATE: Final = Metric(
    "channel_vendor_rate",
    "gauge",
    ("setting", "channel", "vendor"),
    "Calls a second that the vendor may get from all processes together, as learned from its answers; `setting` is "
    "the key of the channel's vendor table it begins with.  Absent where there is no limit.",
)

BREAKER_OPEN: Final = Metric(
    "channel_breaker_open",
    "gauge",
    ("channel", "vendor"),
    "Processes that do not call the vendor because it failed several times in a row, or did so within the last 30 s "
    "and wait for a first success.",
)

PAUSED: Final = Metric(
    "channel_paused",
    "gauge",
    ("channel", "vendor"),
    "1 while an operator has paused the vendor for the channel: nothing is sent, what is owed waits.",
)

LAST_CALLBACK: Final = Metric(
    "channel_last_callback_timestamp_seconds",
    "gauge",
    ("channel", "callback"),
    "When RetailOps last sent this callback to this channel with its own key, in seconds since 1970; absent before "
    "the first.",
)

METRICS: Final = (
    CALLBACKS, CALLBACK_SECONDS, LAST_CALLBACK, VENDOR_CALLS, VENDOR_SECONDS, VENDOR_REQUESTS, VENDOR_RATE,
    BREAKER_OPEN, PAUSED, DELIVERIES, OLDEST_OWED, FACTS_OWED, HELD_BACK, LATE_EVENTS, REFUNDS_IN_DOUBT,
)  # fmt: skip
"""All of them, in the order in which they are shown."""
