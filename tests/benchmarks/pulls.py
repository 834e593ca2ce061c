"""S13: what a page of 100 orders costs in CPU, against encoding and validating the same answer once."""

from __future__ import annotations

import functools
import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import jsonschema_rs
import msgspec
from flask import Flask
from werkzeug.test import create_environ

from app import create_app, settings
from app.contract.schemas import load_contract
from app.deadline import Deadline
from app.domain.orders import Candidate, SourceCancellations
from app.gateways import VENDORS
from app.gateways.calls import Call
from app.sandbox.vendors.pipe17 import BASE_PATH, LEGACY_KEY, serve_pipe17
from tests.benchmarks.bench import KEY, envelope, median
from tests.benchmarks.durable import CHANNEL, databases
from tests.benchmarks.rounds import Row

PULL = "/api/channel/order_pull_v1"
PAGE = 100
T = TypeVar("T")
_SCHEMA = load_contract().callbacks["order_pull"].answer_schema
_VALIDATOR = jsonschema_rs.Draft4Validator(_SCHEMA)


class Prefetched:
    """An order source whose orders were fetched before, so that what the vendor's pages cost is left out."""

    def __init__(self, source: Any, chunks: list[list[Candidate]]) -> None:
        self.source = source
        self._chunks = chunks

    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[Candidate]]:
        return iter(self._chunks)

    def fetch_cancellations(self, since_ms: int | None, until_ms: int, call: Call) -> SourceCancellations:
        return SourceCancellations((), until_ms)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)


def s13(rounds: int, folder: Path) -> Iterator[Row]:
    """CPU of `order_pull` in process, the first hand-out of 100 orders and the repeat, without the vendor's pages.

    The application is called as the server calls it, without a test client, and has handed out one order before: what
    a process does once in its life is none of a page.  What it costs where nothing was handed out is printed beside it.
    """
    with_vendor = serve_pipe17(shipments=PAGE + 20)
    channel = CHANNEL.format(name=LEGACY_KEY, number=32, key=KEY, base_url=with_vendor.url + BASE_PATH)
    channel = channel.replace(f'name = "{LEGACY_KEY}"', 'name = "bench0"').partition("[channel.pipe17.locations]")[0]
    count = 1 + 6 * max(rounds, 3)
    _collect_as_served()
    try:
        for name, urls in databases(folder, count):
            apps = [_app(url, channel) for url in urls]
            answer, whole = _cpu(apps[0], _as_they_come)
            found, new = list[tuple[float, ...]](), list[tuple[float, ...]]()
            reference = list[float]()
            for at, app in enumerate(apps[1:]):  # in turn, so that both sides meet the same noise
                _, (first, *more) = _cpu(app, _after_none if at % 3 == 2 else _after_one)
                (new if at % 3 == 2 else found).append((first, *more))
                reference += [_timed(functools.partial(_reference, answer))[0] for _ in range(5)]
            for app in apps:
                app.extensions["works"].stop()
            first_s, again_s = median([first for first, *_ in found]), median([median(more) for _, *more in found])
            new_s = median([first for first, *_ in new])
            ref_s = median(reference)
            print(f"    {name}: with the vendor's pages {1000 * whole[0]:.1f} ms, then {1000 * min(whole[1:]):.1f} ms")
            print(
                f"    {name}: first {1000 * first_s:.2f} ms, again {1000 * again_s:.2f} ms, REF {1000 * ref_s:.2f} ms"
            )
            print(f"    {name}: first in a process that has handed out nothing {1000 * new_s:.2f} ms")
            yield f"S13 {name} first", first_s / ref_s, "<= 4.0"
            yield f"S13 {name} again", again_s / ref_s, "<= 4.0"
    finally:
        with_vendor.stop()


def _app(url: str, channel: str) -> Flask:
    environ = {"APP_ENV": "production", "DATABASE_URL": url, "CHANNELS": channel, "DELIVERIES": "worker"}
    return create_app(settings.load(environ, vendors=VENDORS))


def _collect_as_served() -> None:
    """Garbage is collected as rarely as `app.serving` has it in each worker.

    Nothing is frozen here: a whole collection before each figure leaves the processor's caches as cold as a pull, which
    comes once in minutes, finds them.
    """
    gc.set_threshold(20_000, 20, 20)


def _as_they_come(app: Flask) -> None:
    """The vendor's pages are read in each pull."""


def _after_none(app: Flask) -> None:
    """A pull has come before, when there was no order."""
    _prefetch(app, [])
    assert _decoded(_answered(app, _request()))["orders"] == []
    _prefetch(app, _candidates(app))


def _after_one(app: Flask) -> None:
    """A pull has come before, when there was one order, which is the vendor's no more."""
    *others, newest = _candidates(app)
    _prefetch(app, [newest])
    assert len(_decoded(_answered(app, _request()))["orders"]) == 1
    _prefetch(app, others)


def _candidates(app: Flask) -> list[Candidate]:
    [source] = app.extensions["works"].gateways.values()
    orders = source.orders.source if isinstance(source.orders, Prefetched) else source.orders
    return candidates(orders)


def candidates(orders: Any) -> list[Candidate]:
    """What this order source offers."""
    fetched = orders.fetch_orders(None, 2**47, Call(Deadline.in_s(60.0), "benchmark", "question"))
    return [candidate for chunk in fetched for candidate in chunk]


def _prefetch(app: Flask, candidates: list[Candidate]) -> None:
    gateways = app.extensions["works"].gateways
    [(place, source)] = gateways.items()
    orders = source.orders.source if isinstance(source.orders, Prefetched) else source.orders
    gateways[place] = replace(source, orders=Prefetched(orders, [candidates]))


def _cpu(app: Flask, begin: Callable[[Flask], None]) -> tuple[dict[str, Any], list[float]]:
    """An answer, and the CPU seconds of this thread for the first hand-out and four repeats."""
    begin(app)
    taken = [_timed(functools.partial(_answered, app, _request())) for _ in range(5)]
    answer = _decoded(taken[-1][1])
    assert len(answer["orders"]) == PAGE, len(answer["orders"])
    return answer, [seconds for seconds, _ in taken]


def _request() -> dict[str, Any]:
    """A pull as WSGI has it."""
    return create_environ(PULL, method="POST", data=json.dumps(envelope(KEY)), content_type="application/json")


def _answered(app: Flask, request: dict[str, Any]) -> bytes:
    """The body of the answer."""
    statuses: list[str] = []
    start: Any = lambda status, headers: statuses.append(status)  # noqa: E731
    body = b"".join(app(request, start))
    assert statuses == ["200 OK"], body
    return body


_decoded = functools.partial(msgspec.json.decode, type=dict[str, Any])


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of this thread, and what came of it."""
    gc.collect()
    began_s = time.thread_time()
    done = work()
    return time.thread_time() - began_s, done


def _reference(answer: dict[str, Any]) -> None:
    assert msgspec.json.encode(answer)
    assert _VALIDATOR.is_valid(answer)
