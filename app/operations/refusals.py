"""What RetailOps was refused of an order and has not got since: it is not done, and nothing is owed for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row

from app.domain.events import Event
from app.domain.texts import counted
from app.operations.timeline_entries import Entry
from app.records import parcels

_OF_SEVERAL: Final = (parcels.CALLBACK, "order_returned", "payment_credit")
"""Callbacks that an order gets for several objects; of what was refused only a shipment's number is kept."""

_UNKNOWN: Final = "OUTCOME_UNKNOWN"
"""Code of an error that says how a call stood then; how it stands now is said of the call."""

_RUNNING: Final = "COMMAND_RUNNING"
"""Code of an answer to a request that another one was carrying out: the answer to that one counts."""


@dataclass
class _Refusal:
    """Refusals alike, by the last of them."""

    entry: Entry
    is_perhaps_done: bool
    """Whether the callback was taken later for an object that may have been this one."""
    count: int = 1


def of_answers(
    entries: Iterable[Entry], ledger: Sequence[Row[Any]], owed: Sequence[Row[Any]], packages: Sequence[Row[Any]]
) -> Iterator[str]:
    """A sentence for each refusal that still stands, the oldest first.

    `entries` are of the order, oldest first; `ledger`, `owed` and `packages` are all its rows.
    """
    answers = [entry for entry in entries if entry.kind == "answer" and entry.code != _RUNNING]
    kept = _kept(ledger, owed)
    found: dict[tuple[object, ...], _Refusal] = {}
    answered: set[str] = set()
    taken: set[str] = set()
    shipped: set[str] = set()
    for entry in reversed(answers):
        done = kept.get((entry.name, entry.request_id), set())
        shipments = _shipments(entry)
        if not _is_refused(entry, done):
            taken.add(entry.name)
            shipped |= {row.retailops_shipment_id for row in packages if _natural_key(row) in done}
        elif entry.name not in _OF_SEVERAL:
            if entry.name not in answered:
                found[entry.name,] = _Refusal(entry, is_perhaps_done=False)
        elif not shipments or not _is_shipped(entry, shipments, shipped, packages):
            is_perhaps_done = not shipments and entry.name in taken
            said = shipments or (entry.status, *(error.code for error in _errors(entry)))
            alike = found.setdefault((entry.name, said, is_perhaps_done), _Refusal(entry, is_perhaps_done, 0))
            alike.count += 1
        answered.add(entry.name)
    for refusal in reversed(found.values()):  # answers of one millisecond, too, in the order of the entries
        yield _sentence(refusal)


def _kept(ledger: Sequence[Row[Any]], owed: Sequence[Row[Any]]) -> dict[tuple[str, str], set[str]]:
    """The natural keys of what each request has done or owes, by callback and request id."""
    by_id = {row.id: row for row in ledger}
    found: dict[tuple[str, str], set[str]] = {}
    for row, request_id in (
        *((row, row.request_id) for row in ledger),
        *((by_id[call.command_id], call.request_id) for call in owed),
    ):
        found.setdefault((row.callback, request_id), set()).add(row.natural_key)
    return found


def _natural_key(package: Row[Any]) -> str:
    return parcels.command_key(package.order_refnum, package.key)


def _is_refused(entry: Entry, done: Collection[str]) -> bool:
    """Whether nothing came of it: a fault of ours after it was kept takes nothing back (R8)."""
    return bool(_errors(entry)) or ((entry.status or 0) >= 400 and not done)


def _errors(entry: Entry) -> list[Event]:
    return [event for event in entry.events if event.event_type == "error" and event.code != _UNKNOWN]


def _shipments(entry: Entry) -> frozenset[str]:
    """The shipments that an answer refuses; one of them may be done while another is not."""
    about = [item for event in _errors(entry) for item in event.associations]
    is_of_shipments = entry.name == parcels.CALLBACK
    return frozenset(item.identifier for item in about if is_of_shipments and item.identifier_type == "shipment_id")


def _is_shipped(entry: Entry, shipments: frozenset[str], taken: set[str], packages: Sequence[Row[Any]]) -> bool:
    """Whether they were `taken` later, or a package of each was registered since by whatever callback."""
    since = {row.retailops_shipment_id for row in packages if row.registered_at > entry.at}
    return all(item in taken or item in since for item in shipments)


def _sentence(refusal: _Refusal) -> str:
    entry, errors = refusal.entry, _errors(refusal.entry)
    at = f"{entry.at:%Y-%m-%d %H:%M:%S} UTC"
    if refusal.count > 1:
        at = f"{at}, the last of {refusal.count} times"
    if errors:
        more = f" (and {counted(len(errors) - 1, 'more error')})" if len(errors) > 1 else ""
        why = f"with an error at {at}. {errors[0].code}: {errors[0].message.rstrip('.')}{more}"
    else:
        why = f"with HTTP {entry.status} at {at}, {entry.code}"
    if refusal.is_perhaps_done:
        later = f"A later {entry.name} was taken; whether it was the same is not kept: compare what is listed below"
        return f"PERHAPS NOT DONE: {entry.name} was answered {why}. {later}."
    return f"NOT DONE: {entry.name} was answered {why}."
