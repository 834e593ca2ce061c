"""Reads Pipe17's lists page by page, so that rows that move, repeat or tie are neither missed nor doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.errors import BrokenReply, GatewayError
from app.gateways.vendors.pipe17 import payloads
from app.gateways.vendors.pipe17.connection.reading import read_id

T = TypeVar("T")
Placed = tuple[int, payloads.Shipment | str]
"""Milliseconds of creation, and the request; of one that cannot be read, only its id."""


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
            yield sorted(complete, key=_moment)
    rest = [item for item in waiting if item[0] <= until_ms]
    if rest:
        yield sorted(rest, key=_moment)


@dataclass(frozen=True)
class Changed(Generic[T]):
    """What a list of changes held, each object once.

    `until_ms` is the newest change seen, and where the next walk begins; `is_all` is False when the walk broke off.
    """

    items: tuple[T, ...]
    until_ms: int
    is_all: bool


def changed(
    pages: Iterable[list[Any]], read: Callable[[Any], tuple[str, int | None, T] | None], since_ms: int
) -> Changed[T]:
    """A list in the order of its changes; `read` gives of a row id, time of the change and what is to be kept.

    Raises a `GatewayError` when nothing came that the next walk could go on from.
    """
    found: dict[str, T] = {}
    newest_ms = 0
    is_in_order = is_all = True
    try:
        for rows in pages:
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
        # What came is the oldest part, and the next walk goes on from there, if the list kept its order.
        if not found or not is_in_order:
            raise
        is_all = False
    return Changed(tuple(found.values()), max(since_ms, newest_ms), is_all)


def _placed(row: Any, newest_ms: int) -> Placed | None:
    """A row without a usable time stands where it was found; one without an id cannot be named at all."""
    shipment = payloads.read(payloads.Shipment, row)
    if shipment is not None:
        at_ms = payloads.created_ms(shipment)
        return (newest_ms if at_ms is None else at_ms), shipment
    shipment_id = read_id(row.get("shipmentId")) if isinstance(row, dict) else ""
    return (newest_ms, shipment_id) if shipment_id else None


def _is_new(item: Placed, seen: set[str]) -> bool:
    shipment = item[1]
    shipment_id = shipment if isinstance(shipment, str) else shipment.shipment_id
    if shipment_id in seen:
        return False
    seen.add(shipment_id)
    return True


def _moment(item: Placed) -> int:
    return item[0]
