"""RetailOps' threads of one channel: they take orders, live them and repeat themselves."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import requests

from app.sandbox.vendors.retailops import RetailOps
from tests.system.books import Books, Request
from tests.system.chaos.lives import Playwright, Shop, Step

REPEATABLE = (
    "order_acknowledge", "order_shipment_submit", "order_cancel", "order_complete", "order_returned", "payment_credit",
)  # fmt: skip


class Caller:
    """One thread of RetailOps: takes orders, lives them and repeats itself."""

    def __init__(
        self, name: str, seed: int, voice: Callable[[], RetailOps], books: Books, shop: Shop, lives: Counter[str],
        play: type[Playwright] = Playwright,
    ) -> None:  # fmt: skip
        self._rng = random.Random(f"{seed}:caller:{name}")
        self._books = books
        self._shop = shop
        self._lives = lives
        self._playwright = play(self._rng, shop)
        self._voices = [voice(), voice()]
        """The second is for what is sent at the same time as something else."""

    def play(self, ending: threading.Event) -> None:
        while not ending.is_set():
            orders = self._shop.take(self._voices[0], self._rng.randint(1, 3))
            if orders and self._rng.random() < 0.95:
                self._ask([self._books.open(self._playwright.acknowledgement(orders))])
            for order in orders:
                name, steps = self._playwright.life(order)
                self._lives[name] += 1
                for step in steps:
                    self._ask([self._books.open(request) for request in step])
                    self._repeat()
                    if ending.is_set():
                        return
            time.sleep(self._rng.uniform(0.0, 0.1) if orders else 0.2)

    def close(self) -> None:
        for voice in self._voices:
            voice.close()

    def _ask(self, step: Step) -> None:
        """Send like a job queue: again after a short while, and on to the next when it will not work."""
        if len(step) > 1 or self._rng.random() < 0.1:
            twins = step if len(step) > 1 else [step[0], step[0]]
            self._send_together(twins)
        for request in step:
            for _ in range(3):
                if request.answers:
                    break
                if send(self._voices[0], self._books, request) is not None:
                    time.sleep(self._rng.uniform(0.1, 0.5))

    def _send_together(self, twins: Step) -> None:
        other = threading.Thread(target=send, args=(self._voices[1], self._books, twins[1]))
        other.start()
        send(self._voices[0], self._books, twins[0])
        other.join()

    def _repeat(self) -> None:
        """Anybody's old command once more, word for word."""
        if self._rng.random() < 0.3:
            old = self._books.of(*REPEATABLE)
            if old:
                send(self._voices[0], self._books, self._rng.choice(old[-60:]))


def send(voice: RetailOps, books: Books, request: Request) -> str | None:
    """Send once.  None when a 200 came, else what came instead."""
    begun_at = time.monotonic()
    try:
        heard = voice.call(request.callback, **request.fields)
    except requests.RequestException as error:
        books.note_silence(request, type(error).__name__)
        return type(error).__name__
    books.note(request, heard, begun_at, time.monotonic())
    return None if heard.status == 200 else str(heard.status)
