"""RetailOps fetches orders: up to 100 a page, the same ones again until they are acknowledged (R18).

The walk goes by (time of creation, order), never by page number, so acknowledgements between pages
neither skip nor repeat an order.  What cannot be sent correctly is held back and shown to the operator; what changes
between being read and being handed out waits for the next pull.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from app.channel import called_off, observing, orders, paging, reserving
from app.channel.desk import Asked, Desk
from app.channel.order_json import order_json, unfit
from app.channel.outcome import Outcome
from app.channel.paging import Place
from app.contract.outgoing import mend
from app.contract.reading import entries, mapping, opaque, text
from app.contract.schemas import Reading
from app.domain.orders import Candidate, HeldBack, Order, OrderSketch, SketchLine
from app.domain.texts import key_fault, stand_in
from app.errors import GatewayError, Rejected
from app.gateways.interface import Gateway
from app.records import orders as kept
from app.records.tables import IS_OPEN_ORDER, handed_out, held_back

PAGE = 100
TIRED_AFTER = 5
"""Hand-outs without acknowledgement after which an order goes behind fresh ones (R18)."""

TIRED_FOR = timedelta(days=7)
"""An order its source has not offered for so long is not looked for any more."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """Which orders RetailOps asks for."""

    page_token: str
    named: tuple[str, ...]
    names_any: bool = False
    """Whether orders are named at all: of none that can exist, no order is meant."""


def read(body: Mapping[str, Any], reading: Reading) -> Wanted:
    """A blank token and an empty list both mean "not given"; at most 100 named orders, each once."""
    named = []
    for item in map(mapping, entries(body.get("specific_orders"))):
        refnum = opaque(item.get("channel_refnum")) or opaque(item.get("channel_order_refnum"))
        if refnum:
            named.append(refnum)
    if len(set(named)) > PAGE:
        log.warning("order_pull names %s orders; an answer holds %s, the others are left out", len(set(named)), PAGE)
    possible = [refnum for refnum in dict.fromkeys(named) if not key_fault(refnum)]
    return Wanted(text(body.get("page_token")), tuple(possible[:PAGE]), bool(named))


def carry_out(wanted: Wanted, asked: Asked, desk: Desk) -> Outcome:
    """Raises `Rejected` 503 when the source cannot be read, for an empty page would read as "no orders"."""
    source = desk.order_source(asked.channel)
    if source is None:
        return Outcome()
    try:
        page = _named(desk, asked, source, wanted.named) if wanted.names_any else _walk(desk, asked, source, wanted)
    except GatewayError as error:
        retry_after_s = max(int(error.retry_after_s or 0), 30)
        message = f"orders cannot be read from {source.token} now"
        raise Rejected(503, error.code, message, retry_after_s=retry_after_s) from error
    shown: dict[str, Any] = {"next_page_token": page.next_token, "orders": list(map(order_json, page.orders))}
    content, unsendable = mend(asked.callback, shown)
    for held in unsendable:
        page.hold(held.refnum, f"RetailOps would refuse it: {held.problems[0].message}")
    if page.orders or page.held:
        refnums = [order.refnum for order in page.orders] + [held.refnum for held in page.held]
        serial = [f"{asked.channel.key}/{refnum}" for refnum in refnums]
        with desk.database.write(wait_s=asked.deadline.left_s(), serial=serial) as connection:
            moved = kept.moved(connection, asked.channel.key, page.places)
            page.orders = [order for order in page.orders if order.refnum not in moved]
            _note_moved_stock(connection, desk, asked, page.orders)
            tired = []
            for order in page.orders:
                _remember(connection, asked, order)
                if order.refnum in page.called_off:
                    called_off.count(connection, asked.channel.key, order.refnum)
                elif not wanted.names_any and _count(connection, desk, asked, order.refnum, page.pull_ms):
                    tired.append(order.refnum)
            if tired:
                message = "channel %s: %s orders were handed out %s times and never acknowledged; others go first now"
                log.warning(message, asked.channel.key, len(tired), TIRED_AFTER, extra={"order": tired[0]})
            _note_held_back(connection, desk, asked, page)
            observing.see(connection, desk, asked.channel, page.orders)
        content["orders"] = [item for item in content["orders"] if item["channel_order_refnum"] not in moved]
    return Outcome(content=content)


@dataclass
class _Page:
    """Orders to send and orders held back."""

    pull_ms: int
    orders: list[Order] = field(default_factory=list)
    held: list[HeldBack] = field(default_factory=list)
    called_off: set[str] = field(default_factory=set)
    """Those RetailOps had before and is told of as cancelled."""
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


def _named(desk: Desk, asked: Asked, source: Gateway, refnums: tuple[str, ...]) -> _Page:
    """These orders whatever their state, in the order asked for; unknown ones are left out."""
    with desk.database.read() as connection:
        meant = orders.meant(connection, asked.channel.key, refnums)
    refnums = tuple(dict.fromkeys(meant[refnum] for refnum in refnums))
    found = {item.refnum: item for item in source.fetch_named(refnums, asked.call("question"))}
    page = _Page(_now_ms(desk))
    for refnum in refnums:
        if refnum in found:
            page.take(found[refnum])
    return page


def _walk(desk: Desk, asked: Asked, source: Gateway, wanted: Wanted) -> _Page:
    secret = asked.channel.auth_keys[0].encode()
    place = paging.place(wanted.page_token, secret) if wanted.page_token else None
    if place is None:
        if wanted.page_token not in ("", "string"):
            log.info("channel %s: an order_pull page token is not ours; the walk starts again", asked.channel.key)
        place = paging.start(_now_ms(desk))
    page = _Page(place.until_ms)
    has_open = called_off.is_any_open(desk, asked)
    if has_open and not wanted.page_token:
        called_off.find_out(desk, asked, source)
        for candidate in called_off.due(desk, asked, source):
            page.take(candidate)
            page.called_off.add(candidate.refnum)
    while not _filled(desk, asked, source, place, page, secret):
        # Behind the fresh ones, on the same page: RetailOps may never come back with a token (SDK contract 1.6).
        if place.is_second_leg or not has_open or not _has_tired(desk, asked.channel.key, place):
            break
        place = Place(True, 0, b"\0" * 8, place.until_ms)
    return page


def _filled(desk: Desk, asked: Asked, source: Gateway, place: Place, page: _Page, secret: bytes) -> bool:
    """Take what this leg has to give; True when the page is full, or the source broke off, and a token says where."""
    last: Candidate | None = None
    try:
        for candidate, is_tired in _from_place(desk, asked, source, place):
            if len(page.orders) == PAGE:
                break
            # An order that another pull counts between the two legs stands on both: it is taken once.
            if is_tired == place.is_second_leg and candidate.refnum not in page.places:
                page.take(candidate)
            last = candidate
        else:
            return False
    except GatewayError:
        if len(page.orders) <= len(page.called_off):
            raise
    page.next_token = paging.token(_after(place, last), secret)
    return True


def _after(place: Place, last: Candidate | None) -> Place:
    if last is None:
        return place
    return Place(place.is_second_leg, last.created_ms, paging.key_of(last.refnum), place.until_ms)


def _from_place(desk: Desk, asked: Asked, source: Gateway, place: Place) -> Iterator[tuple[Candidate, bool]]:
    """Unacknowledged orders after the place, oldest first, and whether each was handed out too often."""
    since_ms = place.after_ms or None
    for chunk in source.fetch_orders(since_ms, place.until_ms, asked.call("question")):
        ordered = sorted(chunk, key=lambda item: (item.created_ms, paging.key_of(item.refnum)))
        with desk.database.read() as connection:
            known = [item.refnum for item in ordered if not key_fault(item.refnum)]
            standing = _standing(connection, asked.channel.key, known, place.until_ms)
        for candidate in ordered:
            at = (candidate.created_ms, paging.key_of(candidate.refnum))
            times, is_acknowledged = standing.get(candidate.refnum, (0, False))
            if at > (place.after_ms, place.after_key) and not is_acknowledged:
                yield candidate, times >= TIRED_AFTER


def _standing(connection: Connection, channel: str, refnums: list[str], pull_ms: int) -> dict[str, tuple[int, bool]]:
    """Per order how often earlier walks handed it out, and whether RetailOps has it."""
    rows = connection.execute(
        select(handed_out.c.refnum, handed_out.c.times, handed_out.c.last_pull_ms, handed_out.c.acknowledged_at).where(
            handed_out.c.channel == channel, handed_out.c.refnum.in_(refnums)
        )
    )
    return {row.refnum: (row.times - (row.last_pull_ms == pull_ms), row.acknowledged_at is not None) for row in rows}


def _has_tired(desk: Desk, channel: str, place: Place) -> bool:
    with desk.database.read() as connection:
        row = connection.execute(
            select(handed_out.c.refnum)
            .where(
                handed_out.c.channel == channel,
                handed_out.c.acknowledged_at.is_(None),
                IS_OPEN_ORDER,
                handed_out.c.times >= TIRED_AFTER,
                handed_out.c.last_pull_ms != place.until_ms,
                handed_out.c.last_handed_at > desk.clock() - TIRED_FOR,
            )
            .limit(1)
        ).first()
    return row is not None


def _remember(connection: Connection, asked: Asked, order: Order) -> None:
    """The lines as bought, for all that is computed of the order later."""
    lines = tuple(
        SketchLine(
            line.refnum,
            line.sku,
            line.quantity,
            line.source_sku,
            needs_shipping=line.item_type == "ship",
            charged=line.unit_price * line.quantity - line.discount,
            tax=line.all_tax,
            tax_rates=line.tax_rates,
            unit_price=line.unit_price if order.carries_money else None,
        )
        for line in order.lines
    )
    sketch = OrderSketch(
        order.refnum,
        lines,
        order.currency_code,
        order.payments,
        shipping=max(order.shipping_amount - order.discount_amount, Decimal(0)),
        shipping_tax=order.shipping_tax,
    )
    orders.remember(connection, asked.channel.key, sketch)


def _count(connection: Connection, desk: Desk, asked: Asked, refnum: str, pull_ms: int) -> bool:
    """Count the hand-out once per walk, however often its page is asked for; True where others go first from now on."""
    channel = asked.channel.key
    times = connection.execute(
        update(handed_out)
        .where(handed_out.c.channel == channel, handed_out.c.refnum == refnum, handed_out.c.last_pull_ms != pull_ms)
        .values(times=handed_out.c.times + 1, last_pull_ms=pull_ms, last_handed_at=desk.clock())
        .returning(handed_out.c.times)
    ).scalar()
    return bool(times == TIRED_AFTER)


def _note_moved_stock(connection: Connection, desk: Desk, asked: Asked, given: Sequence[Order]) -> None:
    """The source subtracts an order by itself; which it did before RetailOps has it for the first time (R13)."""
    known = orders.known(connection, asked.channel.key, [order.refnum for order in given]) if given else {}
    skus = {line.sku for order in given if order.refnum not in known for line in order.lines}
    reserving.moved(connection, desk, asked.channel, skus)


def _note_held_back(connection: Connection, desk: Desk, asked: Asked, page: _Page) -> None:
    """The operator sees what is held back, and no longer what could be sent."""
    channel = asked.channel.key
    seen = [order.refnum for order in page.orders] + [held.refnum for held in page.held]
    known = set(
        connection.execute(
            select(held_back.c.refnum).where(held_back.c.channel == channel, held_back.c.refnum.in_(seen))
        ).scalars()
    )
    sent = [order.refnum for order in page.orders if order.refnum in known]
    if sent:
        connection.execute(delete(held_back).where(held_back.c.channel == channel, held_back.c.refnum.in_(sent)))
    news = [held for held in page.held if held.refnum not in known]
    for held in news:
        connection.execute(
            insert(held_back),
            {"channel": channel, "refnum": held.refnum, "reason": held.reason, "since": desk.clock()},
        )
    if news:
        message = "channel %s: %s more orders are held back, the first: %s"
        log.warning(message, channel, len(news), news[0].reason, extra={"order": news[0].refnum})


def _now_ms(desk: Desk) -> int:
    return int(desk.clock().timestamp() * 1000)
