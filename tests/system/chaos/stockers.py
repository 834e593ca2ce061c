"""RetailOps' threads that state stock, and whether the vendor came to what was stated."""

from __future__ import annotations

import random
import threading
import time

from app.sandbox.vendors.retailops import RetailOps
from tests.system.books import Books, Request, Vendor
from tests.system.chaos.callers import send

FACILITIES = ("Dallas DC", "Reno DC")

SKUS = 10
SKUS_MOVED = 6
"""So many of them the vendor sells and counts by itself; the others only we state."""


class Stocker:
    """One thread: it states ever more of SKUs of its own, one statement after the other."""

    def __init__(self, number: int, seed: int, voice: RetailOps, books: Books) -> None:
        self._rng = random.Random(f"{seed}:stocker:{number}")
        self._books = books
        self._voice = voice
        self.skus = [f"FIRE-{number}-{place}" for place in range(SKUS)]
        self._level = 0

    @property
    def moved_skus(self) -> list[str]:
        """What the vendor moves by itself, too."""
        return self.skus[:SKUS_MOVED]

    def play(self, ending: threading.Event) -> None:
        while not ending.is_set():
            self._state_stock()
            ending.wait(self._rng.uniform(0.05, 0.6))

    def close(self) -> None:
        self._voice.close()

    def wrong_levels(self, vendor: Vendor) -> list[str]:
        """SKUs that only we state, at the vendor with another level than RetailOps stated last.

        A later statement that had no answer may have been taken in as well.
        """
        found, stated = [], self._books.of("inventory_push")
        for sku in self.skus[SKUS_MOVED:]:
            for facility in FACILITIES:
                allowed: list[int | None] = [None]
                for request in stated:
                    if (sku, facility) in request.levels:
                        allowed = [*([] if request.answers else allowed), request.levels[sku, facility]]
                level = vendor.on_hand.get((sku, vendor.locations[facility]))
                if level not in allowed:
                    found.append(f"stock of {sku} at {facility} stays {level}; stated last was {allowed}")
        return found

    def state_all_again(self, give_up_at: float) -> None:
        """As RetailOps does each hour: what got an answer word for word, all else with the level of now.

        An old statement is never sent after a newer one.
        """
        newest = {sku: request for request in self._books.of("inventory_push") for sku, _ in request.levels}
        answered = [sku for sku in self.skus if sku in newest and newest[sku].answers]
        again = self._request(
            {place: units for sku in answered for place, units in newest[sku].levels.items() if place[0] == sku}
        )
        self._level += 1
        for request in (again, self._statement([sku for sku in self.skus if sku not in answered])):
            if request.levels:
                self._books.open(request)
                while not request.answers and time.monotonic() < give_up_at:
                    if send(self._voice, self._books, request) is not None:
                        time.sleep(0.3)

    def _statement(self, chosen: list[str]) -> Request:
        return self._request(
            {(sku, facility): self._level + at for sku in chosen for at, facility in enumerate(FACILITIES)}
        )

    def _request(self, levels: dict[tuple[str, str], int]) -> Request:
        chosen = dict.fromkeys(sku for sku, _ in levels)
        rows = [
            {
                "sku": sku,
                "quantity_available": sum(levels[sku, facility] for facility in FACILITIES),
                "quantity_detail": [
                    {
                        "quantity_type": "internal",
                        "facility_name": facility,
                        "available_quantity": levels[sku, facility],
                        "total_quantity": levels[sku, facility],
                    }
                    for facility in FACILITIES
                ],
            }
            for sku in chosen
        ]
        return Request("inventory_push", {"inventory_updates": rows}, levels=levels)

    def _ask_stock(self, request: Request) -> None:
        for _ in range(2):
            if send(self._voice, self._books, request) is None:
                return

    def _state_stock(self) -> None:
        self._level += self._rng.randint(1, 5)
        chosen = self._rng.sample(self.skus, self._rng.randint(1, len(self.skus)))
        self._ask_stock(self._books.open(self._statement(chosen)))
