"""RetailOps fetches orders: up to 100 a page, the same ones again until they are acknowledged (R18).

The walk goes by (time of creation, order), never by page number, so acknowledgements between pages
neither skip nor repeat an order.  What cannot be sent correctly is held back and shown to the operator; what changes
between being read and being handed out waits for the next pull.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from app.channel import held_back, orders, paging, purchase_reports, reservations, source_cancellations
from app.channel.order_json import order_json, unfit
from app.channel.paging import Place
from app.channel.services import CallbackRequest, CallbackResult
from app.contract.outgoing import Judged, mend_page
from app.contract.reading import entries, mapping, opaque, text
from app.contract.schemas import Reading
from app.domain.moments import to_ms
from app.domain.orders import Candidate, HeldBack, Order, OrderSketch
from app.domain.texts import are_plain_keys, key_fault, stand_in
from app.errors import GatewayError, HttpError
from app.gateways.capabilities import Gateway, OrderSource
from app.records import cancelled_at_source, handed_out, pulls
from app.records.pulls import TIRED_AFTER, HandOuts, Walk

PAGE = 100
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageRequest:
    """Which orders RetailOps requests."""

    page_token: str
    named: tuple[str, ...]
    names_any: bool = False
    """Whether orders are named at all: of none that can exist, no order is meant."""


def read(body: Mapping[str, Any], reading: Reading) -> PageRequest:
    """A blank token and an empty list both mean "not given"; at most 100 named orders, each once."""
    named = []
    for item in map(mapping, entries(body.get("specific_orders"))):
        refnum = opaque(item.get("channel_refnum")) or opaque(item.get("channel_order_refnum"))
        if refnum:
            named.append(refnum)
    if len(set(named)) > PAGE:
        log.warning("order_pull names %s orders; an answer holds %s, the others are left out", len(set(named)), PAGE)
    possible = [refnum for refnum in dict.fromkeys(named) if not key_fault(refnum)]
    return PageRequest(text(body.get("page_token")), tuple(possible[:PAGE]), bool(named))


def carry_out(payload: PageRequest, request: CallbackRequest) -> CallbackResult:
    """Raises `HttpError` 503 when the source cannot be read, for an empty page would read as "no orders"."""
    gateway = request.order_source
    if gateway is None or gateway.orders is None:
        return CallbackResult()
    source = gateway.orders
    try:
        page = _named(request, source, payload.named) if payload.names_any else _walk(request, source, payload)
    except GatewayError as error:
        retry_after_s = max(int(error.retry_after_s or 0), 30)
        message = f"orders cannot be read from {source.token} now"
        raise HttpError(503, error.code, message, retry_after_s=retry_after_s) from error
    answer, unsendable = mend_page(request.callback, _page_json(page))
    for held in unsendable:
        page.hold(held.refnum, f"RetailOps would refuse it: {held.problems[0].message}")
    if _note_hand_out(request, page, gateway, is_walk=not payload.names_any):
        answer, _ = mend_page(request.callback, _page_json(page))
    return CallbackResult(content=answer)


@dataclass
class _Page:
    """Orders to send and orders held back."""

    pull_ms: int
    orders: list[Order] = field(default_factory=list)
    held: list[HeldBack] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    """Those RetailOps had before and is sent as cancelled."""
    cancelled_until_ms: int | None = None
    """Up to when the source was read for cancellations, where that is to be kept."""
    passed_tired: bool = False
    """Whether the first leg of its walk has come upon orders that were handed out too often."""
    places: dict[str, int] = field(default_factory=dict)
    """Where each stood at its source when it was read."""
    next_token: str = ""

    def take(self, candidate: Candidate) -> None:
        offered = candidate.order
        self.places[candidate.refnum] = candidate.created_ms
        if isinstance(offered, HeldBack):
            self.held.append(HeldBack(stand_in(offered.refnum), offered.reason))
        elif reason := unfit(offered):
            self.held.append(HeldBack(stand_in(offered.refnum), reason))
        else:
            self.orders.append(offered)

    def hold(self, refnum: str, reason: str) -> None:
        self.orders = [order for order in self.orders if order.refnum != refnum]
        self.held.append(HeldBack(refnum, reason))


def _page_json(page: _Page) -> dict[str, Any]:
    return {"next_page_token": page.next_token, "orders": list(map(order_json, page.orders))}


def _named(request: CallbackRequest, source: OrderSource, refnums: tuple[str, ...]) -> _Page:
    """These orders whatever their state, in the order requested; unknown ones are left out."""
    with request.services.database.read() as connection:
        meant = handed_out.meant(connection, request.channel.key, refnums)
    refnums = tuple(dict.fromkeys(meant[refnum] for refnum in refnums))
    found = {item.refnum: item for item in source.fetch_named(refnums, request.call("question"))}
    page = _Page(_now_ms(request))
    for refnum in refnums:
        if refnum in found:
            page.take(found[refnum])
    return page


def _walk(request: CallbackRequest, source: OrderSource, payload: PageRequest) -> _Page:
    secret = request.channel.auth_keys[0].encode()
    place = paging.place(payload.page_token, secret) if payload.page_token else None
    if place is None:
        if payload.page_token not in ("", "string"):
            log.info("channel %s: an order_pull page token is not ours; the walk starts again", request.channel.key)
        place = paging.start(_now_ms(request))
    page = _Page(place.until_ms, passed_tired=place.has_passed_tired)
    before = source_cancellations.standing(request, source)
    if before.has_open and not payload.page_token:
        due = source_cancellations.due(request, source, before)
        page.cancelled_until_ms = due.until_ms
        for candidate in due.orders:
            page.take(candidate)
            page.cancelled.add(candidate.refnum)
    while not _filled(request, source, place, page, secret):
        # Behind the fresh ones, on the same page: RetailOps may never come back with a token (SDK contract 1.6).
        if place.is_second_leg or not page.passed_tired:
            break
        place = Place(True, 0, b"\0" * 8, place.until_ms)
    return page


def _filled(request: CallbackRequest, source: OrderSource, place: Place, page: _Page, secret: bytes) -> bool:
    """Take what this leg has to give; True when the page is full, or the source broke off, and a token says where."""
    last: Candidate | None = None
    try:
        for candidate, is_tired in _from_place(request, source, place, page):
            if len(page.orders) == PAGE:
                break
            page.passed_tired = page.passed_tired or is_tired
            # An order that another pull counts between the two legs stands on both: it is taken once.
            if is_tired == place.is_second_leg and candidate.refnum not in page.places:
                page.take(candidate)
            last = candidate
        else:
            return False
    except GatewayError:
        if len(page.orders) <= len(page.cancelled):
            raise
    if last is not None:
        leg, key = place.is_second_leg, paging.key_of(last.refnum)
        place = Place(leg, last.created_ms, key, place.until_ms, page.passed_tired)
    page.next_token = paging.token(place, secret)
    return True


def _from_place(
    request: CallbackRequest, source: OrderSource, place: Place, page: _Page
) -> Iterator[tuple[Candidate, bool]]:
    """Unacknowledged orders after the place, oldest first, and whether each was handed out too often.

    The records are read once there are more orders than the page has room for: with fewer the source is read on in any
    case.  Orders that came before the source fails are given before its error is raised.
    """
    chunks = source.fetch_orders(place.after_ms or None, place.until_ms, request.call("question"))
    is_over = False
    while not is_over:
        gathered: list[Candidate] = []
        fault: GatewayError | None = None
        try:
            while len(gathered) <= PAGE - len(page.orders):
                gathered += paging.after(place, paging.ordered(next(chunks)))
        except StopIteration:
            is_over = True
        except GatewayError as error:
            fault = error
        acknowledged, tired = _set_aside(request, gathered, place)
        for candidate in gathered:
            if candidate.refnum not in acknowledged:
                yield candidate, candidate.refnum in tired
        if fault is not None:
            raise fault


def _set_aside(request: CallbackRequest, candidates: Sequence[Candidate], place: Place) -> tuple[set[str], set[str]]:
    """Of these orders those that RetailOps has, and those that were handed out too often."""
    known = [item.refnum for item in candidates]
    if not are_plain_keys(known):
        known = [refnum for refnum in known if not key_fault(refnum)]
    if not known:
        return set(), set()
    with request.services.database.read() as connection:
        return pulls.set_aside(connection, request.channel.key, known, place.until_ms)


def _note_hand_out(request: CallbackRequest, page: _Page, source: Gateway, *, is_walk: bool) -> bool:
    """Keep that RetailOps gets this page, less the orders that have moved at their source meanwhile: whether any had.

    A walk counts its hand-outs, once however often its page is requested; orders that were named are not counted.
    """
    channel = request.channel.key
    held = held_back.to_note(request, page.held, PAGE)
    named = [order.refnum for order in page.orders] + [item.refnum for item in held]
    if not named and page.cancelled_until_ms is None:
        return False
    serial = (f"{channel}/{refnum}" for refnum in named)
    wait_s = request.deadline.left_s()
    with request.services.database.write(wait_s=wait_s, serial=serial, is_durable=bool(named)) as connection:
        if page.cancelled_until_ms is not None:
            cancelled_at_source.know_until(connection, channel, source.token, page.cancelled_until_ms)
        if not named:
            return False
        places = {order.refnum: page.places[order.refnum] for order in page.orders}
        moved = source.kept_orders.moved(connection, places) if source.kept_orders is not None else set()
        before = pulls.kept(connection, channel, named)
        if is_walk:  # RetailOps may have acknowledged some since they were read, from a page of another pull
            moved = moved | (before.acknowledged - page.cancelled)
        page.orders = [order for order in page.orders if order.refnum not in moved]
        known = before.handed_out
        fresh = [order for order in page.orders if order.refnum not in known]
        # The source subtracts an order by itself; which it did before RetailOps has it for the first time (R13).
        reservations.moved(connection, request, {line.sku for order in fresh for line in order.lines})
        walk = Walk(page.pull_ms, request.services.clock())
        sketches = [
            OrderSketch(order.refnum, (), order.currency_code, order.payments)  # its lines are kept already
            if order.refnum in known
            else orders.sketch_of(order)
            for order in page.orders
            if order.payments or order.refnum not in known
        ]
        orders.remember_all(connection, channel, sketches, known, walk if is_walk else None)
        given = [order.refnum for order in page.orders]
        cancelled_at_source.count(connection, channel, page.cancelled.intersection(given))
        if is_walk:
            again = {refnum: known[refnum] for refnum in given if refnum in known and refnum not in page.cancelled}
            _count(connection, channel, again, walk)
        held_back.note(connection, request, page.orders, held, before)
        # Of an order that was erased RetailOps is given what its source says, and nothing of that is kept here again.
        reported = [order for order in page.orders if order.refnum not in before.erased]
        purchase_reports.keep(connection, request, reported)
    return bool(moved)


def _count(connection: Connection, channel: str, again: dict[str, HandOuts], walk: Walk) -> None:
    """Count the hand-outs of orders that were handed out before, and say which go last from now on."""
    counted = [refnum for refnum, before in again.items() if before.last_pull_ms != walk.pull_ms]
    pulls.count(connection, channel, counted, walk)
    if tired := [refnum for refnum in counted if again[refnum].times + 1 == TIRED_AFTER]:
        message = "channel %s: %s orders were handed out %s times and never acknowledged; others go first now"
        log.warning(message, channel, len(tired), TIRED_AFTER, extra={"order": tired[0]})


def _now_ms(request: CallbackRequest) -> int:
    return to_ms(request.services.clock())


def answer_json(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    """The page as it was judged, where there is one; this answer has no events."""
    if isinstance(result.content, Judged):
        return result.content
    return {"next_page_token": result.content.get("next_page_token", ""), "orders": result.content.get("orders", [])}
