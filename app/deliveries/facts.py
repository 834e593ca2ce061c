"""Sends facts that are due: for each gateway products first, then stock, in batches by turns (R13)."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection

from app.clock import boot_s
from app.deadline import Deadline
from app.deliveries.keeping import persistent
from app.deliveries.transitions import UNTRIED_CODES
from app.deliveries.troubles import RefusedFacts, Troubles
from app.domain.catalogue import ProductSent
from app.domain.events import about
from app.domain.facts import PollResult
from app.errors import GatewayError, Misconfigured
from app.gateways.calls import Call
from app.gateways.capabilities import Gateway, Poll
from app.records import catalogue_batches, catalogue_sync, late_news, obstacles, refused, stock, stock_batches, streams
from app.records.database import Database, DatabaseUnavailable
from app.records.outbox import new_lease
from app.transport.retries import next_try_s

log = logging.getLogger(__name__)

ATTEMPT_S = 15.0
"""How long one batch may take."""

LEASE_S = 30.0
"""How long a sender holds a stream; it may have died."""

TURN_S = 20.0
"""How long facts may go on while a vendor's chores wait, such as reports of what shoppers bought."""

Sent = TypeVar("Sent")
Change = TypeVar("Change")


@dataclass(frozen=True)
class Lease:
    """Under which a sender holds a stream: given `now`, for a call that ends by `deadline`."""

    token: str
    now: datetime
    deadline: Deadline


class FactSender:
    """Tells gateways what they have not heard, for one process."""

    def __init__(
        self,
        database: Database,
        gateways: Mapping[tuple[str, str], Gateway],
        clock: Callable[[], datetime],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._database = database
        self._gateways = gateways
        self._clock = clock
        self._is_stopping = is_stopping
        self._troubles = Troubles()
        self._refused = RefusedFacts()
        self.streams = [key for key, gateway in gateways.items() if gateway.stock or gateway.catalogue]

    def _new_lease(self) -> Lease:
        """A lease of a stream, to be taken at once."""
        held_until_s = boot_s() + LEASE_S  # before the clock is read, so that it is over before the kept one is
        return Lease(new_lease(), self._clock(), Deadline.in_s(ATTEMPT_S).held_until(held_until_s))

    def send(self, channel: str, token: str) -> None:
        """Send batch after batch until nothing is owed or due, the vendor does not take it, or `TURN_S` is over."""
        end_s = time.monotonic() + TURN_S
        is_over = True
        try:
            while not self._is_stopping() and time.monotonic() < end_s:
                # By turns: a product goes before its stock, but a whole catalogue must not hold up all stock.
                has_done = [
                    self._hear_wishes(channel, token),
                    self._send_catalogue(channel, token),
                    self._send_stock(channel, token),
                ]
                if not any(has_done):
                    return
            is_over = self._is_stopping()
        except DatabaseUnavailable as error:
            log.warning("facts for %s/%s wait for the database: %s", channel, token, error)
        except Exception:
            log.exception("facts for %s/%s could not be sent", channel, token)
        finally:
            self._refused.tell(channel, token, is_over=is_over)

    def _hear_wishes(self, channel: str, token: str) -> bool:
        """Ask now and then which products the vendor's people want to hear again; True when there is more to do."""
        poll = self._gateways[(channel, token)].poll
        now = self._clock()
        if poll is None or not poll.every_s:
            return False
        with self._database.read() as connection:
            if not streams.is_look_due(connection, channel, token, now):
                return False
        lease = self._new_lease()
        with self._database.write() as connection:
            look = streams.take_look(connection, channel, token, token=lease.token, now=lease.now, lease_s=LEASE_S)
        if look is None:
            return False
        with self._database.read() as connection:
            waiting = obstacles.subjects(connection, channel, token)
        wished = self._poll(poll, look, waiting, now, lease.deadline)
        # A look that broke off and brought nothing new is not repeated at once: it would break off there again.
        has_more = not wished.is_all and (wished.until_ms or 0) > (look.since_ms or 0)
        next_at = now if has_more else now + timedelta(seconds=poll.every_s)
        with self._database.write() as connection:
            if not streams.end_look(connection, look, until_ms=wished.until_ms, next_at=next_at):
                return False
            are_owed = [
                catalogue_sync.owe_again(connection, channel, token, wished.skus),
                refused.obstacles_gone(connection, channel, token, wished.gone, now),
                stock.owe_unmoved(connection, channel, token, wished.stock, now),
            ]
            return any(are_owed) or has_more

    def _poll(
        self, poll: Poll, look: streams.Look, waiting: Mapping[str, Sequence[str]], now: datetime, end: Deadline
    ) -> PollResult:
        """Nothing where the vendor cannot be asked."""
        call = Call(end, f"wishes-{look.token}", "fact")
        try:
            return poll.since(look.since_ms, int(now.timestamp() * 1000), waiting, call)
        except GatewayError as error:
            message = "channel %s: what %s wishes of products cannot be read now (%s)"
            log.info(message, look.channel, look.gateway, error.code)
        except Exception:
            log.exception("the wishes of %s/%s could not be read", look.channel, look.gateway)
        return PollResult((), look.since_ms, is_all=False)

    def _send_catalogue(self, channel: str, token: str) -> bool:
        gateway = self._gateways[(channel, token)]
        sink = gateway.catalogue
        if sink is None:
            return False
        now = self._clock()
        with self._database.read() as connection:
            if not catalogue_batches.is_owed(connection, channel, token, now):
                return False
        lease = self._new_lease()
        with self._database.write() as connection:
            batch = catalogue_batches.claim(
                connection,
                channel,
                token,
                token=lease.token,
                limit=sink.batch,
                now=lease.now,
                lease_s=LEASE_S,
            )
        if batch is None:
            return False
        call = Call(lease.deadline, f"catalog-{lease.token}", "fact")
        sent = self._try(batch, sink.push, call)
        if sent is None:
            return False
        said_no = [
            late_news.RefusedFact(
                refusal.sku or item.key,
                refusal.reason,
                about("product_id", refusal.product_id) + about("sku_number", refusal.sku),
            )
            for item in sent
            for refusal in item.refusals
        ]

        def record() -> bool:
            with self._database.write() as connection:
                at = self._clock()
                is_recorded = catalogue_batches.record(connection, batch, sent, now=at, settle_s=gateway.settle_s)
                if not is_recorded:
                    self._owe_lost(connection, batch)
                if is_recorded:
                    refused.products_made(connection, channel, token, _accepted_skus(batch, sent), at)
                if is_recorded and gateway.observer is None:
                    late_news.note_refused(connection, channel, token, "catalog_push", said_no, call.request_id, now)
            return is_recorded

        is_recorded = self._recorded(record)
        self._refused.add(channel, token, said_no)
        return is_recorded and bool(sent)

    def _send_stock(self, channel: str, token: str) -> bool:
        gateway = self._gateways[(channel, token)]
        sink = gateway.stock
        if sink is None:
            return False
        now = self._clock()
        with self._database.read() as connection:
            if not stock_batches.is_owed(connection, channel, token, now):
                return False
        lease = self._new_lease()
        with self._database.write() as connection:
            batch = stock_batches.claim(
                connection, channel, token, token=lease.token, limit=sink.batch, now=lease.now, lease_s=LEASE_S
            )
        if batch is None:
            return False
        call = Call(lease.deadline, f"stock-{lease.token}", "fact")
        sent = self._try(batch, sink.push, call)
        if sent is None:
            return False
        said_no = [
            late_news.RefusedFact(item.sku, item.refusal, about("sku_number", item.sku))
            for item in sent
            if item.refusal
        ]

        def record() -> bool:
            with self._database.write() as connection:
                at = self._clock()
                is_recorded = stock_batches.record(connection, batch, sent, now=at, settle_s=gateway.settle_s)
                if not is_recorded:
                    self._owe_lost(connection, batch)
                if is_recorded and gateway.observer is None:
                    late_news.note_refused(connection, channel, token, "inventory_push", said_no, call.request_id, now)
            return is_recorded

        is_recorded = self._recorded(record)
        self._refused.add(channel, token, said_no)
        return is_recorded and bool(sent)

    def _recorded(self, record: Callable[[], bool]) -> bool:
        """What `record` gives, tried until the database takes it: what the vendor has is known and is not forgotten.

        Nothing else could be sent meanwhile.  Else a level would be sent again although orders may have moved it there.
        """
        found: list[bool] = []
        persistent(lambda: found.append(record()), self._is_stopping)
        return bool(found and found[0])

    def _try(
        self,
        batch: streams.Batch[Change],
        push: Callable[[Sequence[Change], Call], list[Sent]],
        call: Call,
    ) -> list[Sent] | None:
        """What the vendor took; None when it took nothing and this kind of fact waits."""
        try:
            sent = push(batch.changes, call)
            self._troubles.succeeded(batch.channel, batch.gateway, f"telling {batch.kind}")
            return sent
        except GatewayError as error:
            self._postpone(batch, error)
        except Exception:
            log.exception("facts for %s/%s failed inside this server", batch.channel, batch.gateway)
            self._postpone(batch, Misconfigured("INTERNAL_FAULT", "this server could not make the call"))
        return None

    def _postpone(self, batch: streams.Batch[Any], error: GatewayError) -> None:
        self._troubles.failed(batch.channel, batch.gateway, f"telling {batch.kind}", error.code, error.message)
        was_tried = error.code not in UNTRIED_CODES
        pause_s = next_try_s(batch.attempts + 1, error.retry_after_s, random.random())
        until = self._clock() + timedelta(seconds=pause_s)
        with self._database.write() as connection:
            if not streams.postpone(connection, batch, until=until, was_tried=was_tried, error=str(error)):
                self._owe_lost(connection, batch)

    def _owe_lost(self, connection: Connection, batch: streams.Batch[Any]) -> None:
        """The lease was lost: somebody else has sent these facts meanwhile, and ours may have arrived last (R13)."""
        if batch.kind == "catalogue":
            catalogue_sync.owe_anew(connection, batch.channel, batch.gateway, list(batch.seqs))
        else:
            stock.owe_unmoved(connection, batch.channel, batch.gateway, list(batch.seqs), self._clock())


def _accepted_skus(batch: catalogue_batches.Batch, sent: Sequence[ProductSent]) -> list[str]:
    """SKUs of the products the vendor has now, as far as it refused none of them."""
    products = {change.key: change.product for change in batch.changes}
    found = []
    for item in sent:
        product, no = products[item.key], {refusal.sku for refusal in item.refusals}
        found += [unit.sku for unit in product.units if unit.sku and unit.sku not in no] if product else []
    return found
