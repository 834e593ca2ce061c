"""The lives of orders at a vendor that fulfils: what RetailOps asks for each, step by step."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import requests

from app.sandbox.vendors.retailops import RetailOps, shipment
from tests.system.books import Books, Request, Units


class Shop:
    """Orders RetailOps has fetched and nobody has begun to live yet."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._waiting: list[dict[str, Any]] = []
        self._ids = 500

    @property
    def handed_out(self) -> set[str]:
        """Every order RetailOps has fetched."""
        return set(self._seen)

    def take(self, caller: RetailOps, count: int) -> list[dict[str, Any]]:
        with self._lock:
            if len(self._waiting) < count:
                self._fetch(caller)
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
            return taken

    def next_shipment_id(self) -> int:
        with self._lock:
            self._ids += 1
            return self._ids

    def _fetch(self, caller: RetailOps) -> None:
        had = self._books.acknowledged()
        try:
            found = caller.pull_all()
        except (requests.RequestException, RuntimeError):
            return
        for order in found:
            refnum = order["channel_order_refnum"]
            if refnum in had:
                self._books.violate(f"{refnum} was handed out again after its acknowledgement was answered")
            if refnum not in self._seen:
                self._seen.add(refnum)
                self._waiting.append(order)


Step = list[Request]
"""Requests to be sent at the same time."""


class Playwright:
    """Writes the lives of orders."""

    def __init__(self, rng: random.Random, shop: Shop) -> None:
        self._rng = rng
        self._shop = shop
        self._lives: dict[str, Callable[[dict[str, Any]], list[Step]]] = {
            "kept": lambda order: [],
            "shipped": self._shipped,
            "completed": self._completed,
            "cut short": self._cut_short,
            "completed unseen": self._completed_unseen,
            "cancelled": self._cancelled,
            "cancelled too late": self._cancelled_too_late,
            "cancelled while shipping": self._cancelled_while_shipping,
        }
        self._weights: tuple[int, ...] = (1, 3, 3, 4, 3, 4, 2, 1)

    def life(self, order: dict[str, Any]) -> tuple[str, list[Step]]:
        name = self._rng.choices(list(self._lives), self._weights)[0]
        return name, self._lives[name](order)

    def acknowledgement(self, orders: list[dict[str, Any]]) -> Request:
        refnums = tuple(order["channel_order_refnum"] for order in orders)
        entries = [
            {"channel_order_refnum": refnum, "retailops_order_id": self._shop.next_shipment_id()} for refnum in refnums
        ]
        return Request("order_acknowledge", {"orders": entries}, refnums)

    def submission(self, order: dict[str, Any]) -> Request:
        """Everything in one shipment of one to three packages."""
        return self._parcelled(order, self._packed(self._units(order)))

    def cancellation(self, order: dict[str, Any]) -> Request:
        refnum = order["channel_order_refnum"]
        return Request("order_cancel", {"order": {"channel_order_refnum": refnum}}, (refnum,))

    def completion(self, order: dict[str, Any]) -> Request:
        """It tells shipments nobody submitted before, and units that will never ship."""
        [[completion]] = self._completed_unseen(order)
        return completion

    def _shipped(self, order: dict[str, Any]) -> list[Step]:
        return [[self._parcelled(order, parcels)] for parcels in self._shipments(self._units(order))]

    def _completed(self, order: dict[str, Any]) -> list[Step]:
        submitted = self._shipped(order)
        return [*submitted, [self._completion(order, [step[0] for step in submitted], [])]]

    def _cut_short(self, order: dict[str, Any]) -> list[Step]:
        sent, kept = self._halves(order)
        submitted = [[self._parcelled(order, parcels)] for parcels in self._shipments(sent)]
        return [*submitted, [self._completion(order, [step[0] for step in submitted], kept)]]

    def _completed_unseen(self, order: dict[str, Any]) -> list[Step]:
        """Its shipments are never submitted; the completion alone tells them."""
        sent, kept = self._halves(order)
        unseen = [self._parcelled(order, parcels) for parcels in self._shipments(sent)]
        return [[self._completion(order, unseen, kept)]]

    def _cancelled(self, order: dict[str, Any]) -> list[Step]:
        return [[self.cancellation(order)]]

    def _cancelled_too_late(self, order: dict[str, Any]) -> list[Step]:
        return [*self._shipped(order), [self.cancellation(order)]]

    def _cancelled_while_shipping(self, order: dict[str, Any]) -> list[Step]:
        first, *_ = self._shipped(order)
        return [[first[0], self.cancellation(order)]]

    def _units(self, order: dict[str, Any]) -> list[int]:
        """The line of every unit, shuffled."""
        units = [index for index, line in enumerate(order["order_items"]) for _ in range(line["quantity"])]
        self._rng.shuffle(units)
        return units

    def _halves(self, order: dict[str, Any]) -> tuple[list[int], list[int]]:
        """What ships and what never will; the latter is never empty."""
        units = self._units(order)
        at = self._rng.randrange(len(units))
        return units[:at], units[at:]

    def _shipments(self, units: list[int]) -> list[list[list[tuple[int, int]]]]:
        """One or two shipments of one to three packages, each of (line, units)."""
        return [self._packed(part) for part in self._parts(units, 2)]

    def _packed(self, units: list[int]) -> list[list[tuple[int, int]]]:
        return [sorted(Counter(parcel).items()) for parcel in self._parts(units, 3)]

    def _parts(self, units: list[int], at_most: int) -> list[list[int]]:
        count = self._rng.randint(1, at_most)
        return [part for part in (units[at::count] for at in range(count)) if part]

    def _parcelled(self, order: dict[str, Any], parcels: list[list[tuple[int, int]]]) -> Request:
        refnum = order["channel_order_refnum"]
        shipment_id = self._shop.next_shipment_id()
        shipped = shipment(order, shipment_id, *parcels)
        packages = {
            f"{shipment_id}-{package['retailops_package_id']}": _by_line(order, parcel)
            for package, parcel in zip(shipped["packages"], parcels, strict=True)
        }
        fields = {"channel_order_refnum": refnum, "retailops_order_id": 0, "shipment": shipped}
        return Request("order_shipment_submit", fields, (refnum,), packages)

    def _completion(self, order: dict[str, Any], submitted: list[Request], kept: list[int]) -> Request:
        refnum = order["channel_order_refnum"]
        lines = order["order_items"]
        missing = sorted(Counter(kept).items())
        told = {
            "channel_order_refnum": refnum,
            "grand_total": "0",
            "shipments": [request.fields["shipment"] for request in submitted],
            "unshipped_items": [
                {
                    "channel_item_refnum": lines[index]["channel_item_refnum"],
                    "sku": lines[index]["sku"],
                    "ordered_quantity": lines[index]["quantity"],
                    "unshipped_quantity": units,
                }
                for index, units in missing
            ],
        }
        packages = {key: units for request in submitted for key, units in request.packages.items()}
        return Request("order_complete", {"order": told}, (refnum,), packages, _by_line(order, missing))


def _by_line(order: dict[str, Any], parcel: list[tuple[int, int]]) -> Units:
    return {order["order_items"][index]["channel_item_refnum"]: units for index, units in parcel}
