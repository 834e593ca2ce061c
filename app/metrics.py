"""Counters and durations for `/metrics`, labelled with callback, vendor and outcome class, never with ids."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

CALLBACKS = Counter(
    "channel_callbacks_total", "Callbacks answered, by callback and HTTP status.", ["callback", "status"]
)
CALLBACK_SECONDS = Histogram(
    "channel_callback_seconds",
    "Time from the first byte read to the answer, by callback.",
    ["callback"],
    buckets=(0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 12),
)
_answered: dict[tuple[str, int], tuple[Counter, Histogram]] = {}


def callback_answered(callback: str, status: int, duration_s: float) -> None:
    """Count an answer; the labelled counters are looked up once each."""
    key = (callback, status)
    found = _answered.get(key)
    if found is None:
        found = _answered[key] = (CALLBACKS.labels(callback, status), CALLBACK_SECONDS.labels(callback))
    found[0].inc()
    found[1].observe(duration_s)


VENDOR_CALLS = Counter(
    "channel_vendor_calls_total", "Calls to vendors, by vendor and HTTP status (0: no answer).", ["vendor", "status"]
)
