"""Reads Pipe17's lists page by page, so that rows that move, repeat or tie are neither missed nor doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

from app.domain.moments import moment_text
from app.errors import BrokenReply, GatewayError
from app.gateways.vendors.pipe17.connection.api import Params
from app.gateways.vendors.pipe17.orders.shipments import RequestState, Shipment
from app.gateways.wire_objects import read

T = TypeVar("T")

FIRST_LOOK_BACK_S: Final = 7 * 86_400.0
"""How far the very first poll for changes goes back."""

Placed = tuple[int, Shipment | RequestState]
"""Milliseconds of creation, and the request; of one that cannot be read only its state."""


def in_order(pages: Iterable[list[Any]], until_ms: int) -> Iterator[list[Placed]]:
    """The requests created up to `until_ms`, oldest first, each once, in chunks.

    All requests of one millisecond stand in one chunk: those of the newest one are held until a later
    page proves that no more of them come.  Raises `BrokenReply` when pages go on and bring nothing new.
    """
    seen: set[str] = set()
    waiting: list[Placed] = []
    newest_ms = 0
    idle_pages = 0
    for rows in pages:
        fresh = [item for row in rows if (item := _placed(row, newest_ms)) and _is_new(item, seen)]
        idle_pages = 0 if fresh else idle_pages + 1
        if idle_pages == 2:
            raise BrokenReply("PAGES_REPEAT", "pipe17 gives the same page of requests again and again")
        waiting += fresh
        newest_ms = max((ms for ms, _ in waiting), default=newest_ms)
        if newest_ms > until_ms:
            break
        complete = [item for item in waiting if item[0] < newest_ms]
        waiting = [item for item in waiting if item[0] >= newest_ms]
        if complete:
            yield sorted(complete, key=itemgetter(0))
    rest = [item for item in waiting if item[0] <= until_ms]
    if rest:
        yield sorted(rest, key=itemgetter(0))


@dataclass(frozen=True)
class Changed(Generic[T]):
    """What a list of changes held, each object once.

    `until_ms` is the newest change seen, by Pipe17's own clock, and where the next poll begins; `is_all` is False when
    the poll broke off.
    """

    items: tuple[T, ...]
    until_ms: int
    is_all: bool


def changed(
    pages: Callable[[Params], Iterable[list[Any]]],
    read: Callable[[Any], tuple[str, int | None, T] | None],
    since_ms: int | None,
    now_ms: int,
    *,
    overlap_s: float,
) -> Changed[T]:
    """What changed since the last poll; `read` gives of a row id, time of the change and what is to be kept.

    `pages` is the list with further parameters.  Every poll looks back beyond the last one by `overlap_s`, because
    rows may move between pages and appear late.  Raises a `GatewayError` when nothing came that the next poll could
    go on from.
    """
    if since_ms is None:
        since_ms = max(now_ms - int(FIRST_LOOK_BACK_S * 1000), 0)
    begin_ms = max(since_ms - int(overlap_s * 1000), 0)
    params: Params = {"updatedSince": moment_text(begin_ms), "order": "updatedAt"}
    found: dict[str, T] = {}
    newest_ms = 0
    is_in_order = is_all = True
    try:
        for rows in pages(params):
            fresh = 0
            for object_id, at_ms, item in filter(None, map(read, rows)):
                fresh += object_id not in found
                found[object_id] = item
                if at_ms is not None:
                    is_in_order = is_in_order and at_ms >= newest_ms
                    newest_ms = max(newest_ms, at_ms)
            if rows and not fresh:
                break  # Pages that repeat themselves must not keep us here.
    except GatewayError:
        # What came is the oldest part, and the next poll goes on from there, if the list kept its order.
        if not found or not is_in_order:
            raise
        is_all = False
    return Changed(tuple(found.values()), max(since_ms, newest_ms), is_all)


def _placed(row: Any, newest_ms: int) -> Placed | None:
    """A row without a usable time stands where it was found; one without an id cannot be named at all."""
    state = read(Shipment, row) or read(RequestState, row)
    at_ms = state.created_ms if isinstance(state, Shipment) else None
    return None if state is None else (newest_ms if at_ms is None else at_ms, state)


def _is_new(item: Placed, seen: set[str]) -> bool:
    shipment_id = item[1].shipment_id
    if shipment_id in seen:
        return False
    seen.add(shipment_id)
    return True
