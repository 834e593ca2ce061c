"""Builds the feed from the catalogue and the stock records, in bounded memory, at most once per change.

One process builds, in the background; what it made is kept in the database and served by all.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import BinaryIO, Final, cast

import msgspec

from app.domain.catalogue import Product
from app.gateways.vendors.retailrocket.api import TOKEN
from app.gateways.vendors.retailrocket.feed import yml
from app.gateways.vendors.retailrocket.feed.draft import Draft
from app.gateways.vendors.retailrocket.offers import LONGEST_NAME, Offer
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.gateways.vendors.retailrocket.store import Store
from app.records import catalogue
from app.records.feeds import BuildLost, BuildReport, FeedStore, Turn
from app.records.listed_numbers import Numbers
from app.records.statements import chunked

PAGE: Final = 250
"""Products read at a time."""

BLOCK: Final = 64 * 1024

LOOK_S: Final = 60.0
"""How often a process checks whether a build is due that it does not know of: another may have died before its own."""

SOON_S: Final = 1.0
"""The same where one is due that was not made now."""

KEEP_S: Final = 20.0
"""How often a builder renews its lease."""

FORM: Final = 2
"""Goes up whenever this code writes the same goods otherwise."""

log = logging.getLogger(__name__)


class FeedBuilder:
    """Builds one channel's feed when it is due."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._options = store.options
        self._offers = store.offers
        self._channel = store.channel
        self._form = _form(store.options)
        self._is_begun = False
        self.feed = FeedStore(store.database, store.channel, TOKEN)

    def work(self, is_stopping: Callable[[], bool]) -> float:
        """Build when it is due; in how many seconds to look again.  Raises `DatabaseUnavailable`."""
        self.build_if_due(is_stopping)
        due_at = self._due_at()
        return LOOK_S if due_at is None else min(max((due_at - self._store.clock()).total_seconds(), SOON_S), LOOK_S)

    def build_if_due(self, is_stopping: Callable[[], bool]) -> bool:
        """Build when it is due and no other process does; True when a build was made.  Raises `DatabaseUnavailable`."""
        if not self._is_begun:
            self._begin()
        due_at = self._due_at()
        if due_at is None or due_at > self._store.clock():
            return False
        turn = self.feed.take(self._store.clock())
        return turn is not None and self._build(turn, is_stopping)

    def _due_at(self) -> datetime | None:
        return self.feed.due_at(self._store.clock(), self._options.feed_delay_s, self._form)

    def _begin(self) -> None:
        """A catalogue that was there before this gateway has a feed as well."""
        self.feed.begin_feed()
        if self.feed.report()[1] is None:
            with self._store.database.read() as connection:
                _, products = catalogue.page(connection, self._channel, "", 1)
            if not products:
                return
            self.feed.mark(self._store.clock())
        self._is_begun = True

    def _build(self, turn: Turn, is_stopping: Callable[[], bool]) -> bool:
        began_s = time.monotonic()
        try:
            # On disk until it is whole: categories stand before the goods that say which there are.
            with tempfile.TemporaryFile() as file:
                draft = Draft(turn, cast(BinaryIO, file), currency=self._options.currency or self._first_currency())
                if not self._write_offers(draft, is_stopping):
                    self.feed.give_up(turn)
                    return False
                self._finish(draft)
        except BuildLost:
            log.warning("feed of %s: another process builds it; this one took too long", self._channel)
            return False
        except BaseException:
            self.feed.give_up(turn)
            raise
        level = logging.WARNING if draft.left_out_count else logging.INFO
        log.log(
            level, "feed of %s: %s offers in %.1f s, %s units left out", self._channel, draft.offers,
            time.monotonic() - began_s, draft.left_out_count, extra={"channel": self._channel},
        )  # fmt: skip
        return True

    def _write_offers(self, draft: Draft, is_stopping: Callable[[], bool]) -> bool:
        """False when this process is about to end."""
        keep_at_s = time.monotonic() + KEEP_S
        for products in catalogue.pages(self._store.database, self._channel, PAGE):
            if is_stopping():
                return False
            if time.monotonic() >= keep_at_s:
                self.feed.keep(draft.turn, self._store.clock())
                keep_at_s = time.monotonic() + KEEP_S
            self._write_page(draft, products)
        self._write_gone(draft)
        return True

    def _first_currency(self) -> str:
        """Where no currency is configured: that of the goods known longest."""
        with self._store.database.read() as connection:
            known = catalogue.oldest(connection, self._channel, PAGE)
        return next((item.currency for item in known if item.currency and item.price), "")

    def _write_page(self, draft: Draft, products: list[Product]) -> None:
        units = [(product, unit) for product in products for unit in product.units if unit.is_enabled is not False]
        with self._store.database.read() as connection:
            flags = self._store.flags_of(connection, {unit.sku for _, unit in units})
        found: list[Offer] = []
        for product, unit in units:
            offer = self._offers.of(product, unit, flags[unit.sku], draft.currency)
            if isinstance(offer, str):
                draft.leave_out(unit, offer)
            elif draft.listed.add(offer.number):
                found.append(offer)
                draft.shortened_count += len(unit.title or "") > LONGEST_NAME
        self._write_found(draft, found)

    def _write_found(self, draft: Draft, offers: list[Offer]) -> None:
        """With a number for every category of these offers, and for all above it."""
        for path in {path for offer in offers for path in offer.categories}:
            while path and path not in draft.paths:
                draft.paths[path] = None
                path = self._offers.parent(path)
        missing = [path for path in draft.paths if path not in draft.numbers]
        if missing:
            with self._store.database.write() as connection:
                catalogue.number_categories(connection, self._channel, missing)
                draft.numbers = catalogue.category_numbers(connection, self._channel)
        for offer in offers:
            draft.write(yml.offer(offer, draft.numbers))

    def _write_gone(self, draft: Draft) -> None:
        """What the last build listed and this one does not stays as unavailable for its time (contract 4)."""
        now = self._store.clock()
        before = draft.turn.report.gone
        last_day = int((now - timedelta(days=self._options.keep_gone_days)).timestamp())
        draft.gone = {
            number: since
            for number in Numbers(draft.turn.listed).without(draft.listed)
            if (since := before.get(number, int(now.timestamp()))) > last_day
        }
        for numbers in chunked(draft.gone, PAGE):
            self._write_gone_page(draft, numbers)

    def _write_gone_page(self, draft: Draft, numbers: Sequence[int]) -> None:
        with self._store.database.read() as connection:
            found = catalogue.of_numbers(connection, self._channel, numbers)
        offers = []
        flags = dict.fromkeys(self._store.availability.stock_ids, False)
        for number in numbers:
            offer = self._offers.of(*found[number], flags, draft.currency) if number in found else ""
            if isinstance(offer, Offer):
                draft.listed.add(number)
                offers.append(offer)
            else:
                del draft.gone[number]
        self._write_found(draft, offers)

    def _finish(self, draft: Draft) -> None:
        tree = sorted(
            (
                draft.numbers[path],
                draft.numbers.get(self._offers.parent(path), 0),
                self._offers.levels(path)[-1],
            )
            for path in draft.paths
        )
        shop = yml.shop(self._options.shop_name, self._options.shop_url, tree)
        draft.digest.update(shop)
        etag = draft.digest.hexdigest()[:32]
        report = BuildReport(
            draft.offers, draft.left_out_count, tuple(draft.left_out), draft.shortened_count, draft.gone
        )
        now = self._store.clock()
        if etag == draft.turn.etag:
            self.feed.leave(draft.turn, now, self._form, draft.listed.packed(), report)
            return
        content = self._content(draft.file, yml.head(now) + shop)
        self.feed.publish(draft.turn, now, self._form, etag, content, draft.listed.packed(), report)

    def _content(self, file: BinaryIO, beginning: bytes) -> Iterator[bytes]:
        yield beginning
        file.seek(0)
        while block := file.read(BLOCK):
            yield block
        yield yml.TAIL


def _form(options: RetailRocketOptions) -> str:
    """A digest of everything but the goods that decides what the feed says."""
    said = (
        FORM, options.shop_name, options.shop_url, options.category_separator, sorted(options.stock_ids.items()),
        options.currency, options.available_when_unstated, options.keep_gone_days,
    )  # fmt: skip
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:32]
