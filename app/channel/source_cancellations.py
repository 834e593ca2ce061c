"""Orders cancelled at their source after they were handed out: RetailOps gets them again with `cancel: true` (R18).

While RetailOps has open orders the source is queried for them with every `order_pull`.  They are remembered as due,
handed out before the others, and due until RetailOps acknowledges that hand-out; the acknowledgement changes nothing
at the vendor.  The first acknowledgement of an order may be one of its first hand-out that came late, so the
cancellation is handed out once more after it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from app.channel.services import CallbackRequest
from app.domain.orders import Candidate, Order, SourceCancellations
from app.errors import GatewayError
from app.gateways.calls import Call
from app.gateways.capabilities import OrderSource
from app.records import cancelled_at_source, pulls, search_keys
from app.records.search_keys import Number

PER_PAGE = 25
"""Cancelled orders on one page, so that fresh ones keep most of it; those handed out least often go first."""

SHARE = 0.4
"""The part of a callback's time that may go into finding out; the orders themselves need the rest."""

log = logging.getLogger(__name__)


def standing(request: CallbackRequest, source: OrderSource) -> tuple[bool, int | None]:
    """Whether RetailOps has any order that is neither cancelled nor completed, and what `due` is to be given."""
    channel = request.channel.key
    with request.services.database.read() as connection:
        if not pulls.is_any_open(connection, channel):
            return False, None
        return True, cancelled_at_source.known_until_ms(connection, channel, source.token)


def due(request: CallbackRequest, source: OrderSource, since_ms: int | None) -> list[Candidate]:
    """Orders to hand out with `cancel: true` now; none while the source cannot be read.  `since_ms`: see `standing`."""
    refnums = _refreshed(request, source, since_ms)
    if not refnums:
        return []
    try:
        found = source.fetch_named(refnums, request.call("question"))
    except GatewayError as error:
        message = "channel %s: orders called off cannot be read from %s (%s)"
        log.info(message, request.channel.key, source.token, error.code)
        return []
    is_cancelled = {item.refnum: not isinstance(item.order, Order) or item.order.is_cancelled for item in found}
    revived = [refnum for refnum, is_so in is_cancelled.items() if not is_so]
    if revived:
        with request.services.database.write(wait_s=request.deadline.left_s()) as connection:
            cancelled_at_source.revive(connection, request.channel.key, revived)
    return [item for item in found if is_cancelled[item.refnum]]


def _refreshed(request: CallbackRequest, source: OrderSource, since_ms: int | None) -> list[str]:
    """What is due, after the source was read for what was cancelled since; what concerns RetailOps is remembered."""
    channel, database = request.channel.key, request.services.database
    request.leave_turn()
    call = Call(request.deadline.within_s(request.deadline.left_s() * SHARE), request.request_id, "question")
    try:
        found = source.fetch_cancellations(since_ms, int(request.services.clock().timestamp() * 1000), call)
    except GatewayError as error:
        log.info("channel %s: what was called off at %s cannot be read now (%s)", channel, source.token, error.code)
        found = SourceCancellations((), since_ms or 0)  # it is read again with the next pull
    fresh: list[str] = []
    if found.refnums:
        with database.read() as connection:
            fresh = cancelled_at_source.concerning(connection, channel, found.refnums)
    serial = [f"{channel}/{refnum}" for refnum in fresh]
    is_news = fresh or found.until_ms not in (0, since_ms)
    with database.write(wait_s=request.deadline.left_s(), serial=serial) if is_news else database.read() as connection:
        if is_news:
            cancelled_at_source.note(connection, channel, source.token, found, fresh, request.services.clock())
        return cancelled_at_source.due(connection, channel, source.token, PER_PAGE)


def acknowledge(request: CallbackRequest, numbers: Mapping[str, str]) -> None:
    """RetailOps has acknowledged these orders, which it was sent as cancelled; its number by refnum.

    Their source is sent nothing: it has cancelled them itself.
    """
    if numbers:
        with request.services.database.write(wait_s=request.deadline.left_s()) as connection:
            now = request.services.clock()
            cancelled_at_source.acknowledge(connection, request.channel.key, numbers, now)
            known_by = (Number(refnum, "retailops_order", number) for refnum, number in numbers.items())
            search_keys.learn(connection, request.channel.key, known_by, now)
