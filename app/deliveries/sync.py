"""Syncs each vendor with what RetailOps stated: polls, then products, then stock, in batches by turns (R13)."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.clock import boot_s
from app.deadline import Deadline
from app.deliveries.background_work import WorkerProcess
from app.deliveries.failure_log import FailureLog, RefusedFacts
from app.deliveries.keeping import persistent
from app.deliveries.parallel_calls import ParallelCalls
from app.deliveries.transitions import UNTRIED_CODES
from app.deliveries.work_threads import WorkThreads
from app.domain.catalogue import ProductSent
from app.domain.events import about
from app.domain.facts import PollResult
from app.domain.moments import to_ms
from app.domain.stock import StockSent
from app.errors import GatewayError, Misconfigured
from app.gateways.calls import Call
from app.gateways.capabilities import CatalogueSink, Gateway, Poll, StockSink
from app.records import (
    catalogue_batches,
    catalogue_sync,
    due_facts,
    late_events,
    obstacles,
    polls,
    refused,
    stock_batches,
    stock_sync,
    sync_state,
)
from app.records.database import DatabaseUnavailable
from app.records.late_events import RefusedFact
from app.records.outbox import new_lease
from app.transport.retries import next_try_s

log = logging.getLogger(__name__)

ATTEMPT_S = 15.0
"""How long one batch may take."""

LEASE_S = 30.0
"""How long a syncer holds a stream; it may have died."""

TURN_S = 20.0
"""How long facts may go on while a vendor's background work waits, such as reports of what shoppers bought."""

THREADS = 16
"""Further threads on which calls for facts are made, for all streams of a process together; they begin as needed."""

BATCH_S = 3.0
"""How long a batch of a vendor that takes one fact a call is meant to take; what is stated meanwhile waits for it."""

FIRST_BATCH = 50
"""How many facts such a vendor is sent in the first batch, and after a failure."""

SMALLEST_BATCH = 8

Batch = sync_state.Batch[Any]


@dataclass(frozen=True)
class FactKind:
    """A kind of fact: where it is kept, who receives it, and what is said of a refusal."""

    name: str
    callback: str
    sink: Callable[[Gateway], CatalogueSink | StockSink | None]
    claim: Callable[..., Batch | None]
    record: Callable[..., bool]
    """True unless the lease was lost."""
    refusals: Callable[[Sequence[Any]], list[RefusedFact]]
    after: Callable[[Connection, Batch, Sequence[Any], datetime], object]
    """What follows from what the vendor answered, in the transaction that records it."""
    give_back: Callable[[Connection, Batch, Collection[str]], object]
    """No call has begun for these, at least one: what the vendor has of them is as certain as before the claim."""
    requeue: Callable[[Connection, Batch, datetime], object]
    """The lease was lost: somebody else has sent these facts meanwhile, and ours may have arrived last (R13)."""


@dataclass(frozen=True)
class Lease:
    """Under which a syncer holds a stream: given `now`, for a call that ends by `deadline`."""

    token: str
    now: datetime
    deadline: Deadline


def _refused_products(sent: Sequence[ProductSent]) -> list[RefusedFact]:
    return [
        RefusedFact(
            refusal.sku or item.key,
            refusal.reason,
            about("product_id", refusal.product_id) + about("sku_number", refusal.sku),
        )
        for item in sent
        for refusal in item.refusals
    ]


def _refused_levels(sent: Sequence[StockSent]) -> list[RefusedFact]:
    return [RefusedFact(item.sku, item.refusal, about("sku_number", item.sku)) for item in sent if item.refusal]


def _products_made(connection: Connection, batch: Batch, sent: Sequence[ProductSent], at: datetime) -> None:
    """Stock that was refused for want of a product the vendor has now is due again."""
    products = {change.key: change.product for change in batch.changes}
    skus = []
    for item in sent:
        product, no = products[item.key], {refusal.sku for refusal in item.refusals}
        skus += [unit.sku for unit in product.units if unit.sku and unit.sku not in no] if product else []
    refused.products_made(connection, batch.channel, batch.gateway, skus, at)


def _products_lost(connection: Connection, batch: Batch, sent: Sequence[StockSent], at: datetime) -> None:
    """Products whose stock was refused because the vendor says that it does not have them are due when stated again."""
    if lost := {item.lost_product: item.refusal for item in sent if item.lost_product}:
        catalogue_sync.note_lost(connection, batch.channel, batch.gateway, lost)


CATALOGUE = FactKind(
    "catalog",
    "catalog_push",
    lambda gateway: gateway.catalogue,
    catalogue_batches.claim,
    catalogue_batches.record,
    _refused_products,
    _products_made,
    catalogue_batches.give_back,
    lambda connection, batch, at: catalogue_sync.owe_anew(connection, batch.channel, batch.gateway, list(batch.seqs)),
)
STOCK = FactKind(
    "stock",
    "inventory_push",
    lambda gateway: gateway.stock,
    stock_batches.claim,
    stock_batches.record,
    _refused_levels,
    _products_lost,
    stock_batches.give_back,
    lambda connection, batch, at: stock_sync.owe_unmoved(
        connection, batch.channel, batch.gateway, list(batch.seqs), at
    ),
)


class Syncer:
    """Sends gateways the facts they have not received, for one process."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process
        self._failures = FailureLog()
        self._refused = RefusedFacts()
        self._threads = WorkThreads(THREADS, "sync-call")
        self._paces: dict[tuple[str, str, str], float] = {}
        """Facts a second of the last batch, by channel, vendor and kind; none after a failure."""
        self.streams = [key for key, gateway in process.gateways.items() if gateway.stock or gateway.catalogue]

    def _new_lease(self) -> Lease:
        """A lease of a stream, to be taken at once."""
        held_until_s = boot_s() + LEASE_S  # before the clock is read, so that it is over before the kept one is
        return Lease(new_lease(), self._process.clock(), Deadline.in_s(ATTEMPT_S).held_until(held_until_s))

    def send(self, channel: str, token: str) -> None:
        """Send batch after batch until nothing is due, the vendor does not take it, or `TURN_S` is over."""
        end_s = time.monotonic() + TURN_S
        is_over = True
        gateway = self._process.gateways[(channel, token)]
        poll = gateway.poll if gateway.poll is not None and gateway.poll.every_s else None
        try:
            while not self._process.is_stopping() and time.monotonic() < end_s:
                with self._process.database.read() as connection:
                    every_s = poll.every_s if poll is not None else 0.0
                    due = due_facts.due(connection, channel, token, self._process.clock(), poll_every_s=every_s)
                # By turns: a product goes before its stock, but a whole catalogue must not hold up all stock.
                has_done = [
                    due.poll and poll is not None and self._poll(poll, channel, token),
                    due.catalogue and self._sync(CATALOGUE, gateway, channel),
                    due.stock and self._sync(STOCK, gateway, channel),
                ]
                if not any(has_done):
                    return
            is_over = self._process.is_stopping()
        except DatabaseUnavailable as error:
            log.warning("facts for %s/%s wait for the database: %s", channel, token, error)
        except Exception:
            log.exception("facts for %s/%s could not be sent", channel, token)
        finally:
            self._refused.write(channel, token, is_over=is_over)

    def _poll(self, poll: Poll, channel: str, token: str) -> bool:
        """Read what the vendor's people changed; True when there is more to do."""
        lease = self._new_lease()
        now, every_s = lease.now, poll.every_s
        with self._process.database.write() as connection:
            turn = polls.take(connection, channel, token, token=lease.token, every_s=every_s, now=now, lease_s=LEASE_S)
        if turn is None:
            return False
        with self._process.database.read() as connection:
            waiting = obstacles.subjects(connection, channel, token)
        polled = self._result(poll, turn, waiting, lease)
        # A poll that broke off and brought nothing new is not repeated at once: it would break off there again.
        has_more = not polled.is_all and (polled.until_ms or 0) > (turn.since_ms or 0)
        next_at = now if has_more else now + timedelta(seconds=every_s)
        with self._process.database.write() as connection:
            if not polls.end(connection, turn, until_ms=polled.until_ms, next_at=next_at):
                return False
            are_due = [
                catalogue_sync.owe_again(connection, channel, token, polled.skus),
                refused.obstacles_gone(connection, channel, token, polled.gone, now),
                stock_sync.owe_unmoved(connection, channel, token, polled.stock, now),
            ]
            return any(are_due) or has_more

    def _result(
        self, poll: Poll, turn: polls.PollTurn, waiting: Mapping[str, Sequence[str]], lease: Lease
    ) -> PollResult:
        """Nothing where the vendor cannot be read."""
        call = Call(lease.deadline, f"poll-{turn.token}", "fact")
        try:
            return poll.since(turn.since_ms, to_ms(lease.now), waiting, call)
        except GatewayError as error:
            message = "channel %s: the publish requests of %s cannot be read now (%s)"
            log.info(message, turn.channel, turn.gateway, error.code)
        except Exception:
            log.exception("the publish requests of %s/%s could not be read", turn.channel, turn.gateway)
        return PollResult((), turn.since_ms, is_all=False)

    def _sync(self, kind: FactKind, gateway: Gateway, channel: str) -> bool:
        """Claim a batch, send it, record what the vendor answered; True when it took any of it."""
        token, sink = gateway.token, kind.sink(gateway)
        if sink is None:
            return False
        lease, begun_s = self._new_lease(), time.monotonic()
        limit = self._limit(kind, sink, channel, token)
        with self._process.database.write() as connection:
            batch = kind.claim(
                connection, channel, token, token=lease.token, limit=limit, now=lease.now, lease_s=LEASE_S
            )
        if batch is None:
            return False
        call, untouched = Call(lease.deadline, f"{kind.name}-{lease.token}", "fact"), set[str]()
        if sink.at_once:
            calls = ParallelCalls(self._threads, sink.at_once, self._process.is_stopping)
            call, untouched = replace(call, send_each=calls.send_each), calls.untouched
        sent = self._push(kind, batch, sink, call, untouched)
        if sent is None:
            return False
        refusals = kind.refusals(sent)

        def record() -> bool:
            with self._process.database.write() as connection:
                at = self._process.clock()
                if not kind.record(connection, batch, sent, now=at, settle_s=gateway.settle_s):
                    kind.requeue(connection, batch, at)
                    return False
                if untouched:
                    kind.give_back(connection, batch, untouched)
                kind.after(connection, batch, sent, at)
                if gateway.observer is None:
                    late_events.note_refused(
                        connection, channel, token, kind.callback, refusals, call.request_id, lease.now
                    )
            return True

        is_recorded = self._recorded(record)
        self._refused.add(channel, token, refusals)
        self._paces[(channel, token, kind.name)] = len(sent) / (time.monotonic() - begun_s)
        return is_recorded and bool(sent)

    def _limit(self, kind: FactKind, sink: CatalogueSink | StockSink, channel: str, token: str) -> int:
        """How many facts the next batch may have: where each costs a call, as many as take about `BATCH_S`."""
        if not sink.at_once:
            return sink.batch
        pace = self._paces.get((channel, token, kind.name), FIRST_BATCH / BATCH_S)
        return min(sink.batch, max(SMALLEST_BATCH, round(pace * BATCH_S)))

    def _recorded(self, record: Callable[[], bool]) -> bool:
        """What `record` gives, tried until the database takes it: what the vendor has is known and is not forgotten.

        Nothing else could be sent meanwhile.  Else a level would be sent again although orders may have moved it there.
        """
        found: list[bool] = []
        persistent(lambda: found.append(record()), self._process.is_stopping)
        return bool(found and found[0])

    def _push(
        self, kind: FactKind, batch: Batch, sink: CatalogueSink | StockSink, call: Call, untouched: Collection[str]
    ) -> list[Any] | None:
        """What the vendor took; None when it took nothing and this kind of fact waits."""
        try:
            sent: list[Any] = sink.push(batch.changes, call)
            self._failures.succeeded(batch.channel, batch.gateway, f"telling {batch.kind}")
            return sent
        except GatewayError as error:
            self._postpone(kind, batch, error, untouched)
        except Exception:
            log.exception("facts for %s/%s failed inside this server", batch.channel, batch.gateway)
            fault = Misconfigured("INTERNAL_FAULT", "this server could not make the call")
            self._postpone(kind, batch, fault, untouched)
        return None

    def _postpone(self, kind: FactKind, batch: Batch, error: GatewayError, untouched: Collection[str]) -> None:
        self._failures.failed(batch.channel, batch.gateway, f"telling {batch.kind}", error.code, error.message)
        self._paces.pop((batch.channel, batch.gateway, kind.name), None)
        was_tried = error.code not in UNTRIED_CODES
        pause_s = next_try_s(batch.attempts + 1, error.retry_after_s, random.random())
        until = self._process.clock() + timedelta(seconds=pause_s)
        with self._process.database.write() as connection:
            if not sync_state.postpone(connection, batch, until=until, was_tried=was_tried, error=str(error)):
                kind.requeue(connection, batch, self._process.clock())
            elif untouched:
                kind.give_back(connection, batch, untouched)
