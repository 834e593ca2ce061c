"""Whether the refunds at Rally are those that were answered: each once, none lost, none parked that was heard of (P44).

Rally has no way to read refunds, so a refund whose answer nobody heard waits for a person (R11).  Who could have
heard it is read off the wire; a process that died or stood still meanwhile is excused, and counted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.records.refunds import Entry
from tests.system.books import Books, Request
from tests.system.chaos.injuries import RECORDED_S, Injuries
from tests.system.chaos.overheard import Exchange
from tests.system.chaos.records import Parked
from tests.system.stage import PATIENCE_S

NEVER = frozenset({"refund_payment", "return_order", "credit_payment"})
"""Verbs that are never repeated after a doubt."""

UNDONE = frozenset({"REFUND_OWED", "OUTCOME_UNKNOWN", "PARKED"})
"""Events by which a refund that waits for a person is told."""


@dataclass(frozen=True)
class MoneyAtRest:
    """All there is to be compared once nothing moves any more."""

    books: Books
    charged: Mapping[str, Decimal]
    """By order; the orders Rally holds."""
    orders: Mapping[str, Mapping[str, Any]]
    """As Rally holds them."""
    entries: Sequence[Entry]
    parked: Sequence[Parked]
    sent: Sequence[Exchange]
    """The refunds as they went over the wire."""
    injuries: Injuries

    def at_rally(self) -> dict[str, list[tuple[str, Decimal]]]:
        """The refunds we caused: order and amount of each, by key."""
        found: dict[str, list[tuple[str, Decimal]]] = defaultdict(list)
        for refnum, order in self.orders.items():
            for refund in order["refunds"]:
                if refund["by"] == "connector":
                    found[refund["external_id"]].append((refnum, Decimal(str(refund["amount"]))))
        return found

    def held_lanes(self) -> set[str]:
        """Orders in which something waits for a person, and all behind it."""
        return {item.lane for item in self.parked}


def compare_money(rest: MoneyAtRest) -> tuple[list[str], Counter[str]]:
    """Every way in which refunds and answers disagree, and the parked refunds by what became of their answers."""
    parked, counts = _parked(rest)
    found = [*_ledger(rest), *_sent_once(rest), *parked, *_answers(rest), *_sums(rest), *_states(rest)]
    return found, counts


def _ledger(rest: MoneyAtRest) -> list[str]:
    found, there = [], rest.at_rally()
    known = {entry.key: entry for entry in rest.entries}
    for key, refunds in there.items():
        if len(refunds) > 1:
            found.append(f"refund {key} is {len(refunds)} times at Rally")
        entry = known.get(key)
        if entry is None:
            found.append(f"refund {key} at Rally is in no ledger")
        elif (entry.order_refnum, entry.amount) != refunds[0]:
            found.append(f"refund {key} is {refunds[0]} at Rally and {entry.order_refnum}, {entry.amount} here")
        elif entry.state == "refused":
            found.append(f"refund {key} is refused here and at Rally it is done")
    for key, entry in known.items():
        if entry.state == "accepted" and key not in there:
            found.append(f"refund {key} is accepted here and Rally does not have it")
        if entry.state == "owed" and entry.order_refnum not in rest.held_lanes():
            found.append(f"refund {key} is still owed although nothing holds it up")
    for refnum, order in rest.orders.items():
        if Decimal(str(order["refunded"])) > Decimal(str(order["charged"])):
            found.append(f"{refnum}: {order['refunded']} of {order['charged']} went back")
    return found


def _by_key(sent: Iterable[Exchange]) -> dict[str, list[Exchange]]:
    found: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in sent:
        found[json.loads(exchange.body)["external_id"]].append(exchange)
    return found


def _sent_once(rest: MoneyAtRest) -> list[str]:
    found = []
    for key, calls in _by_key(rest.sent).items():
        doubtful = [call for call in calls[:-1] if not call.is_surely_not_done]
        if doubtful:
            statuses = [call.status for call in calls]
            found.append(f"refund {key} was sent {len(calls)} times, answered {statuses}")
    return found


def _parked(rest: MoneyAtRest) -> tuple[list[str], Counter[str]]:
    found, counts, there, calls = [], Counter[str](), rest.at_rally(), _by_key(rest.sent)
    for item in rest.parked:
        if item.verb not in NEVER:
            found.append(f"{item.verb} of {item.lane} is parked: {item.code}")
            continue
        key = str(json.loads(item.body)["key"])
        last = calls[key][-1] if calls.get(key) else None
        is_heard = last is not None and last.status == 202 and last.answered_at - last.sent_at < PATIENCE_S * 0.6
        if last is not None and _is_excused(rest.injuries, last):
            counts["whose process died or stood still"] += 1
        elif is_heard and last is not None:
            found.append(f"refund {key} is parked ({item.code}) though process {last.process} heard that it is done")
        elif key in there:
            counts["done, whose answer never reached us"] += 1
        else:
            counts["not done, whose answer never reached us"] += 1
        if not _is_told(rest.books, item.lane):
            found.append(f"refund {key} is parked and no answer about {item.lane} says so")
    return found, counts


def _is_excused(injuries: Injuries, call: Exchange) -> bool:
    """True when who made it was killed or stopped before it could have written down what it heard."""
    until = (call.answered_at or call.sent_at + PATIENCE_S) + RECORDED_S
    until += injuries.without_database_s(call.sent_at, until)
    return injuries.happened(("killed", "stopped"), call.sent_at, until, call.process)


def _is_told(books: Books, refnum: str) -> bool:
    """An answer says that it waits, or the last one about a credit does not say that it is paid."""
    about = [request for request in books.of(*_MONEY) if request.refnums == (refnum,)]
    return any(
        any(code in UNDONE or code.startswith("LATE_") for code in answer.codes)
        or (request.callback == "payment_credit" and not answer.is_accepted)
        for request in about
        for answer in request.answers[-1:]
    )


_MONEY = ("order_cancel", "order_complete", "order_returned", "payment_credit")

HEARD_OF = (*_MONEY, "order_shipment_submit")
"""Callbacks about one order, of which Rally is told."""


def _answers(rest: MoneyAtRest) -> list[str]:
    """Every refund an answer names is at Rally, with the sum it says."""
    found, there = [], rest.at_rally()
    for request in rest.books.of("order_returned", "payment_credit"):
        for answer in request.answers:
            for refnum, amount in _named(request, answer.content):
                sums = [amount for _, amount in there.get(refnum, [])]
                if sums != [amount]:
                    found.append(f"{request.said()} names {refnum} of {amount}; at Rally are {sums}")
    return found


def _named(request: Request, content: Mapping[str, Any]) -> list[tuple[str, Decimal]]:
    if request.callback == "order_returned":
        paid = content.get("payment_transactions") or []
        return [(item["refnum"], Decimal(str(item["amount"]))) for item in paid]
    if content.get("status") == "success" and content.get("amount"):
        return [(content["refnum"], Decimal(str(content["amount"])))]
    return []


def _sums(rest: MoneyAtRest) -> list[str]:
    """What each order gives back by each callback is what was accepted, however often and in whatever spelling."""
    found = []
    given: Counter[tuple[str, str]] = Counter()
    for entry in rest.entries:
        if entry.is_in_effect:
            given[entry.order_refnum, entry.callback] += entry.amount  # type: ignore[assignment]
    asked: dict[tuple[str, str], list[Request]] = defaultdict(list)
    for request in rest.books.of(*_MONEY):
        asked[request.refnums[0], request.callback].append(request)
    for (refnum, callback), requests in asked.items():
        wanted = rest.charged[refnum] if callback == "order_cancel" else requests[0].gives_back
        is_accepted = any(request.is_accepted for request in requests)
        allowed = {wanted} if is_accepted else {Decimal(0), wanted}
        if all(request.was_surely_refused for request in requests):
            allowed = {Decimal(0)}
        back = Decimal(given[refnum, callback])
        if back not in allowed:
            said = "; ".join(request.said() for request in requests)
            found.append(f"{refnum}: {callback} gives back {back} instead of {wanted}: {said}")
    found += [f"{refnum}: {callback} gives back {back}, unasked" for (refnum, callback), back in given.items()
              if (refnum, callback) not in asked]  # fmt: skip
    return found


def _states(rest: MoneyAtRest) -> list[str]:
    """Cancelled and completed orders, and their packages, as Rally has them; those that wait for a person aside."""
    found, held = [], rest.held_lanes()
    packages: dict[str, set[str]] = defaultdict(set)
    for request in rest.books.of("order_shipment_submit", "order_complete"):
        if request.is_accepted:
            packages[request.refnums[0]] |= _tracking_numbers(request)
    for request in rest.books.of("order_cancel", "order_complete"):
        refnum = request.refnums[0]
        status = rest.orders[refnum]["status"]
        allowed = ("refunded", "cancelled") if request.callback == "order_cancel" else ("completed",)
        if request.is_accepted and refnum not in held and status not in allowed:
            found.append(f"{refnum} is {status} at Rally: {request.said()}")
    for refnum, numbers in packages.items():
        meta = (rest.orders[refnum]["snapshot"] or {}).get("meta") or {}
        there = [item["tracking_number"] for item in meta.get("fulfillments", [])]
        if len(there) != len(set(there)):
            found.append(f"{refnum} has a package twice at Rally: {there}")
        if refnum not in held and not numbers <= set(there):
            found.append(f"{refnum}: packages {sorted(numbers - set(there))} are not at Rally")
    return found


def _tracking_numbers(request: Request) -> set[str]:
    fields = request.fields
    shipments = [fields["shipment"]] if "shipment" in fields else fields["order"].get("shipments") or []
    return {package["tracking_number"] for shipment in shipments for package in shipment["packages"]}
