"""Orders cancelled at their source after they were handed out: RetailOps gets them again with `cancel: true` (R18).

While RetailOps has open orders the source is queried for them with every `order_pull`.  They are remembered as due,
handed out before the others, and due until RetailOps acknowledges that hand-out; the acknowledgement changes nothing
at the vendor.  The first acknowledgement of an order may be one of its first hand-out that came late, so the
cancellation is handed out once more after it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from app.channel.services import CallbackRequest
from app.domain.moments import to_ms
from app.domain.orders import Candidate, Order
from app.errors import GatewayError
from app.gateways.calls import Call
from app.gateways.capabilities import OrderSource
from app.records import cancelled_at_source, search_keys
from app.records.search_keys import Number

PER_PAGE = 25
"""Cancelled orders on one page, so that fresh ones keep most of it; those handed out least often go first."""

MOST_NOTED = 500
"""Orders noted as cancelled in one pull: each is locked, and all connections share PostgreSQL's few thousand locks."""

SHARE = 0.4
"""The part of a callback's time that may go into finding out; the orders themselves need the rest."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """What is known of cancellations before more are read from the source."""

    has_open: bool
    """Whether RetailOps has any order that is neither cancelled nor completed; where not, nothing can be due."""
    until_ms: int | None
    """Up to when, by the source's clock, it is known which orders it cancelled; None at first."""
    due: tuple[str, ...]


@dataclass(frozen=True)
class Due:
    """Orders to hand out with `cancel: true`; `until_ms` is to be kept with the hand-out, where it is not None."""

    orders: list[Candidate]
    until_ms: int | None = None


def standing(request: CallbackRequest, source: OrderSource) -> Standing:
    """What is remembered now."""
    channel = request.channel.key
    with request.services.database.read() as connection:
        return Standing(*cancelled_at_source.standing(connection, channel, source.token, PER_PAGE))


def due(request: CallbackRequest, source: OrderSource, before: Standing) -> Due:
    """What is to be handed out as cancelled now; no orders while the source cannot be read."""
    refnums, until_ms = _refreshed(request, source, before)
    if not refnums:
        return Due([], until_ms)
    try:
        found = source.fetch_named(refnums, request.call("question"))
    except GatewayError as error:
        message = "channel %s: orders called off cannot be read from %s (%s)"
        log.info(message, request.channel.key, source.token, error.code)
        return Due([], until_ms)
    is_cancelled = {item.refnum: not isinstance(order := item.order, Order) or order.is_cancelled for item in found}
    revived = [refnum for refnum, is_so in is_cancelled.items() if not is_so]
    if revived:
        with request.services.database.write(wait_s=request.deadline.left_s()) as connection:
            cancelled_at_source.revive(connection, request.channel.key, revived)
    return Due([item for item in found if is_cancelled[item.refnum]], until_ms)


def _refreshed(request: CallbackRequest, source: OrderSource, before: Standing) -> tuple[tuple[str, ...], int | None]:
    """What is due, after the source was read for what was cancelled since; what concerns RetailOps is remembered.

    Up to when the source was read is remembered with that, or else given back: it can wait for the hand-out.
    """
    channel, database = request.channel.key, request.services.database
    request.leave_turn()
    call = Call(request.deadline.within_s(request.deadline.left_s() * SHARE), request.request_id, "question")
    try:
        found = source.fetch_cancellations(before.until_ms, to_ms(request.services.clock()), call)
    except GatewayError as error:
        log.info("channel %s: what was called off at %s cannot be read now (%s)", channel, source.token, error.code)
        return before.due, None  # it is read again with the next pull
    fresh: list[str] = []
    if found.refnums:
        with database.read() as connection:
            fresh = cancelled_at_source.concerning(connection, channel, found.refnums)
    if not fresh:
        return before.due, None if found.until_ms in (0, before.until_ms) else found.until_ms
    noted = fresh[:MOST_NOTED]
    serial = [f"{channel}/{refnum}" for refnum in noted]
    with database.write(wait_s=request.deadline.left_s(), serial=serial) as connection:
        cancelled_at_source.note(connection, channel, noted, request.services.clock())
        if len(noted) == len(fresh):  # else the next pull reads the others again
            cancelled_at_source.know_until(connection, channel, source.token, found.until_ms)
        return tuple(cancelled_at_source.due(connection, channel, source.token, PER_PAGE)), None


def acknowledge(request: CallbackRequest, numbers: Mapping[str, str]) -> None:
    """RetailOps has acknowledged these orders, which it was sent as cancelled; its number by refnum.

    Their source is sent nothing: it has cancelled them itself.
    """
    with request.services.database.write(wait_s=request.deadline.left_s()) as connection:
        now = request.services.clock()
        cancelled_at_source.acknowledge(connection, request.channel.key, numbers, now)
        known_by = (Number(refnum, "retailops_order", number) for refnum, number in numbers.items())
        search_keys.learn(connection, request.channel.key, known_by, now)
