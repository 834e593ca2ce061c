"""What RetailOps asked and what it was answered, and whether the vendor's state agrees with that (P22).

Nothing here predicts what the server should have decided: the answers say it, the vendor has to match.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.sandbox.vendors.retailops import CallbackReply

CANCELLED = ("canceled", "canceledRestock")
READY = "readyForFulfillment"
ALLOWED = (200, 503)
"""A vendor's illness, a killed process and a stopped database are no reason for any other status."""

LONGEST_S = 12.0
"""P7; the budget is 10 s."""

Units = dict[str, int]
"""Units by the order's line number."""


UNPAID = {"fail": "NOT_DONE", "decline": "DECLINED", "timeout": "OUTCOME_UNKNOWN"}
"""Codes for what `payment_credit` answers, which has a status and no events, when nothing is known to be given back."""


@dataclass(frozen=True)
class Answer:
    """One 200 to one sending of a request."""

    begun_at: float
    heard_at: float
    codes: tuple[str, ...]
    errors: tuple[tuple[str, tuple[str, ...]], ...]
    """Code and named objects of each error event."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """What was said beside the events."""

    @property
    def is_accepted(self) -> bool:
        return not self.errors


@dataclass
class Request:
    """One callback with one meaning, however often it is sent."""

    callback: str
    fields: dict[str, Any]
    refnums: tuple[str, ...] = ()
    packages: dict[str, Units] = field(default_factory=dict)
    """By the key the fulfilment has to carry."""
    unshipped: Units = field(default_factory=dict)
    levels: dict[tuple[str, str], int] = field(default_factory=dict)
    """Stock by SKU and facility."""
    gives_back: Decimal = Decimal(0)
    """Money it asks to give back, where that is certain beforehand."""
    answers: list[Answer] = field(default_factory=list)
    silences: int = 0
    """Sendings that ended without a 200: refused, cut off, 503."""

    @property
    def is_accepted(self) -> bool:
        return any(answer.is_accepted for answer in self.answers)

    @property
    def was_surely_refused(self) -> bool:
        """Every sending was answered, and every answer said that nothing was done."""
        is_unknown = any("OUTCOME_UNKNOWN" in answer.codes for answer in self.answers)
        return bool(self.answers) and not self.silences and not is_unknown and not self.is_accepted

    def acknowledged(self) -> set[str]:
        """The orders that some answer took without an error."""
        taken: set[str] = set()
        for answer in self.answers:
            named = {refnum for _, objects in answer.errors for refnum in objects}
            if not any(not objects for _, objects in answer.errors):
                taken |= set(self.refnums) - named
        return taken

    def said(self) -> str:
        seen = Counter(answer.codes or ("no event",) for answer in self.answers)
        told = "; ".join(f"{times} x {'+'.join(codes)}" for codes, times in seen.items())
        return f"{self.callback} {'/'.join(self.refnums)}: {told or 'never answered'}, {self.silences} without answer"


class Books:
    """Every request of one channel in a run; shared by all its callers."""

    def __init__(
        self,
        stood_still_s: Callable[[float, float], float] = lambda since, until: 0.0,
        may_have_forgotten: Callable[[float, float, float], bool] = lambda begun_at, heard_at, until: False,
    ) -> None:
        """`stood_still_s` says how long some process of ours was stopped in that time: nobody there could answer.

        `may_have_forgotten` says whether who answered in that time may have died, until a third, with what it knew.
        """
        self._stood_still_s = stood_still_s
        self._may_have_forgotten = may_have_forgotten
        self.forgotten = 0
        """Answers that something accepted earlier is being found out: who knew it had died."""
        self.lock = threading.Lock()
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.statuses: Counter[str] = Counter()
        self._acknowledged: set[str] = set()

    def open(self, request: Request) -> Request:
        with self.lock:
            self.requests.append(request)
        return request

    def note_silence(self, request: Request, how: str) -> None:
        with self.lock:
            request.silences += 1
            self.statuses[how] += 1

    def note(self, request: Request, heard: CallbackReply, begun_at: float, heard_at: float) -> None:
        with self.lock:
            self.statuses[str(heard.status)] += 1
            if heard.status not in ALLOWED:
                self.violations.append(f"{request.callback} was answered {heard.status} ({heard.request_id})")
            if heard.problems:
                rules = [problem.message for problem in heard.problems[:2]]
                self.violations.append(f"RetailOps would throw away an answer of {request.callback}: {rules}")
            if heard.duration_s > LONGEST_S + self._stood_still_s(begun_at, heard_at):
                self.violations.append(f"{request.callback} was answered after {heard.duration_s:.1f} s")
            if heard.status != 200:
                request.silences += 1
                return
            said = dict(heard.answer)
            events = said.pop("events", None) or ()
            errors = tuple(
                (event["code"], tuple(item["identifier"] for item in event["associations"]))
                for event in events
                if event["event_type"] == "error"
            )
            codes = tuple(event["code"] for event in events)
            if request.callback == "payment_credit" and said["status"] in UNPAID:
                codes, errors = (code := UNPAID[said["status"]],), ((code, ()),)
            answer = Answer(begun_at, heard_at, codes, errors, said)
            before = [old for old in request.answers if old.heard_at < begun_at and old.is_accepted]
            if (
                before
                and set(codes) == {"OUTCOME_UNKNOWN"}
                and all(self._may_have_forgotten(old.begun_at, old.heard_at, begun_at) for old in before)
            ):
                self.forgotten += 1
            elif before and not answer.is_accepted and request.callback != "order_acknowledge":
                self.violations.append(f"accepted, and later refused with {answer.codes}: {request.said()}")
            request.answers.append(answer)
            if request.callback == "order_acknowledge":
                self._acknowledged |= request.acknowledged()

    def violate(self, text: str) -> None:
        with self.lock:
            self.violations.append(text)

    def acknowledged(self) -> set[str]:
        """Orders whose acknowledgement has been answered without an error."""
        with self.lock:
            return set(self._acknowledged)

    def of(self, *callbacks: str) -> list[Request]:
        with self.lock:
            return [request for request in self.requests if request.callback in callbacks]

    def leave_out(self, refnums: set[str]) -> None:
        """Forget what was asked about these orders, for their vendor has forgotten them, too."""
        with self.lock:
            self.requests = [request for request in self.requests if not refnums & set(request.refnums)]

    def unanswered(self) -> list[Request]:
        """Commands without any 200."""
        with self.lock:
            return [request for request in self.requests if not request.answers and not request.levels]


@dataclass(frozen=True)
class Vendor:
    """What the vendor holds, sorted for comparing."""

    shipments: Mapping[str, dict[str, Any]]
    fulfillments: Mapping[str, list[dict[str, Any]]]
    on_hand: Mapping[tuple[str, str], int]
    told: Mapping[tuple[str, str], list[tuple[int, datetime]]]
    """Every level it was told and when, per SKU and location, oldest first."""
    locations: Mapping[str, str]

    @classmethod
    def read(cls, held: Mapping[str, Any]) -> Vendor:
        by_key: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for item in held["fulfillments"]:
            number = item.get("extFulfillmentId", "")
            is_rejection = item.get("fulfillmentType") == "rejected"
            by_key[number if is_rejection else number.removeprefix(f"{item['shipmentId']}-")].append(item)
        told: dict[tuple[str, str], list[tuple[int, datetime]]] = defaultdict(list)
        for row in held["ledger"]:
            if row["event"] == "ingest":
                level = int(row["onHand"]), datetime.fromisoformat(row["createdAt"])
                told[row["sku"], row["locationId"]].append(level)
        return cls(
            {item["shipmentId"]: item for item in held["shipments"]},
            by_key,
            {(row["sku"], row["locationId"]): int(row["onHand"]) for row in held["inventory"]},
            told,
            {item["name"]: item["locationId"] for item in held["locations"]},
        )

    def older_levels(self) -> Iterator[tuple[str, str, datetime]]:
        """SKU, location and time of each level that arrived after a newer one: callers only ever state more."""
        for (sku, place), told in self.told.items():
            newest = 0
            for level, at in told:
                if level < newest:
                    yield sku, place, at
                newest = max(newest, level)

    def is_cancelled(self, refnum: str) -> bool:
        return self.shipments[refnum]["status"] in CANCELLED

    def effects(self) -> dict[str, tuple[str, list[str]]]:
        """Per order its status and what it was sent, to see whether anything changed."""
        sent: dict[str, list[str]] = defaultdict(list)
        for key, items in self.fulfillments.items():
            for item in items:
                sent[item["shipmentId"]].append(key)
        return {refnum: (item["status"], sorted(sent[refnum])) for refnum, item in self.shipments.items()}


def compare(
    books: Books,
    vendor: Vendor,
    at_first: Vendor,
    parked: Iterable[tuple[str, str, str]],
    may_be_older: Callable[[datetime], bool] = lambda at: False,
) -> list[str]:
    """Every way in which the vendor's state and the answers disagree.

    `parked` holds (order, verb, code) of each delivery that waits for a person.  `may_be_older` says whether the
    network or a process that stood still could bring an older level at that time; it has to be put right then.
    """
    return [
        *_parked(vendor, parked),
        *_packages(books, vendor),
        *_rejections(books, vendor),
        *_cancellations(books, vendor),
        *_statuses(books, vendor, at_first),
        *_levels(books, vendor, may_be_older),
    ]


def _parked(vendor: Vendor, parked: Iterable[tuple[str, str, str]]) -> list[str]:
    """Only what was to ship from an order that was cancelled in the same breath may need a person."""
    return [
        f"{verb} of {refnum} is parked: {code}"
        for refnum, verb, code in parked
        if not (verb == "submit_shipment" and vendor.is_cancelled(refnum))
    ]


def _packages(books: Books, vendor: Vendor) -> list[str]:
    found: list[str] = []
    asked: dict[str, tuple[str, Units]] = {}
    accepted: dict[str, Request] = {}
    refused: dict[str, Request] = {}
    for request in books.of("order_shipment_submit", "order_complete"):
        for key, units in request.packages.items():
            asked[key] = (request.refnums[0], units)
            if request.is_accepted:
                accepted[key] = request
            elif len(request.packages) == 1 and request.callback == "order_shipment_submit":
                refused[key] = request
        for code in ("MORE_THAN_ORDERED", "EMPTY_PACKAGE", "LINE_UNKNOWN", "SHIPPED_ALREADY"):
            if any(code in answer.codes for answer in request.answers):
                found.append(f"{code}, though never more was shipped than ordered: {request.said()}")
    for key, items in vendor.fulfillments.items():
        if len(items) > 1:
            found.append(f"{len(items)} fulfilments {key}")
        is_rejection = all(item.get("fulfillmentType") == "rejected" for item in items)
        if key not in asked and not is_rejection:
            found.append(f"a fulfilment {key} nobody asked for")
        for item in items if key in asked else ():
            refnum, units = asked[key]
            if item["shipmentId"] != refnum or _units(item) != units:
                found.append(f"fulfilment {key} of {refnum} holds {_units(item)} instead of {units}")
    for key, request in accepted.items():
        # What was to ship from an order cancelled in the same breath is judged with the parked ones.
        if key not in vendor.fulfillments and not vendor.is_cancelled(request.refnums[0]):
            found.append(f"package {key} is lost: {request.said()}")
    for key, request in refused.items():
        if key in vendor.fulfillments and key not in accepted:
            found.append(f"package {key} was refused and is there: {request.said()}")
    return found


def _units(fulfillment: Mapping[str, Any]) -> Units:
    units: Counter[str] = Counter()
    for line in fulfillment["lineItems"]:
        units[line["uniqueId"]] += int(line["quantity"])
    return dict(units)


def _rejections(books: Books, vendor: Vendor) -> list[str]:
    found: list[str] = []
    expected: dict[str, Request] = {}
    for request in books.of("order_complete"):
        refnum = request.refnums[0]
        if request.unshipped and request.is_accepted and not vendor.is_cancelled(refnum):
            expected[f"{refnum}-rejected"] = request
    there = {
        key: items
        for key, items in vendor.fulfillments.items()
        if any(item.get("fulfillmentType") == "rejected" for item in items)
    }
    for key, request in expected.items():
        if key not in there:
            found.append(f"the rejection {key} is lost: {request.said()}")
        elif _units(there[key][0]) != request.unshipped:
            found.append(f"rejection {key} holds {_units(there[key][0])} instead of {request.unshipped}")
    found.extend(f"a rejection {key} nobody was told of" for key in there.keys() - expected.keys())
    return found


def _cancellations(books: Books, vendor: Vendor) -> list[str]:
    found: list[str] = []
    asked = set()
    for request in books.of("order_cancel"):
        refnum = request.refnums[0]
        asked.add(refnum)
        if request.is_accepted and not vendor.is_cancelled(refnum):
            found.append(f"cancelled by our word, but {vendor.shipments[refnum]['status']}: {request.said()}")
        if request.was_surely_refused and vendor.is_cancelled(refnum):
            found.append(f"surely not cancelled by our word, but it is: {request.said()}")
    for refnum, shipment in vendor.shipments.items():
        # A person at the vendor's may cancel too; the sandbox writes down who it was.
        if vendor.is_cancelled(refnum) and shipment.get("canceledByType") != "user" and refnum not in asked:
            found.append(f"{refnum} was cancelled and nobody asked for it")
    return found


def _statuses(books: Books, vendor: Vendor, at_first: Vendor) -> list[str]:
    found: list[str] = []
    touched = {refnum for request in books.of(*_COMMANDS) for refnum in request.refnums}
    for refnum, shipment in vendor.shipments.items():
        before = at_first.shipments.get(refnum)
        expected = before["status"] if before is not None else READY
        if refnum not in touched and shipment["status"] != expected:
            found.append(f"{refnum} became {shipment['status']} and nobody asked for anything")
    for request in books.of("order_acknowledge"):
        for refnum in request.acknowledged():
            if vendor.shipments[refnum]["status"] == READY:
                found.append(f"{refnum} was acknowledged and the vendor does not know: {request.said()}")
        if any("ORDER_UNKNOWN" in answer.codes for answer in request.answers):
            found.append(f"an order that was handed out is unknown: {request.said()}")
    return found


_COMMANDS = ("order_acknowledge", "order_shipment_submit", "order_cancel", "order_complete")


def _levels(books: Books, vendor: Vendor, may_be_older: Callable[[datetime], bool]) -> list[str]:
    found: list[str] = []
    stated: dict[tuple[str, str], Request] = {}
    for request in books.of("inventory_push"):
        for key in request.levels:
            if request.answers:
                stated[key] = request  # requests of one SKU are made by one caller, one after the other
    for (sku, facility), request in stated.items():
        place = (sku, vendor.locations[facility])
        level = request.levels[sku, facility]
        if vendor.on_hand.get(place) != level:
            found.append(f"stock of {sku} at {facility} is {vendor.on_hand.get(place)}, accepted last was {level}")
    stated_at = {(sku, vendor.locations[facility]) for sku, facility in stated}
    for sku, location, at in vendor.older_levels():
        if (sku, location) in stated_at and not may_be_older(at):
            told = [level for level, _ in vendor.told[sku, location]]
            found.append(f"stock of {sku} at {location} went back to an older level at {at:%T}: {told}")
    return found


def changed(before: Vendor, after: Vendor, but: Callable[[str], bool]) -> list[str]:
    """Orders whose state or fulfilments are not what they were, those aside that may change."""
    first, then = before.effects(), after.effects()
    return [
        f"{refnum} changed from {first[refnum]} to {then[refnum]} by a repeat"
        for refnum in first
        if first[refnum] != then[refnum] and not but(refnum)
    ]
