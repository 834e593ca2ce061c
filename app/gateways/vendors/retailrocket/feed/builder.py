"""Builds the feed from the catalogue and the stock records, in bounded memory, at most once per change.

One process builds, in the background; what it made is kept in the database and served by all.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Final, cast

import msgspec

from app.domain.catalogue import Item, Product
from app.gateways.vendors.retailrocket.feed import yml
from app.gateways.vendors.retailrocket.feed.draft import Draft
from app.gateways.vendors.retailrocket.offers import LONGEST_NAME, Availability, Offer, Offers
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.records import catalogue, stock
from app.records.database import Database
from app.records.feeds import BuildLost, BuildReport, FeedStore, Turn
from app.records.listed_numbers import Numbers
from app.records.statements import chunked
from app.storefront import reservations

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


@dataclass(eq=False, repr=False)
class FeedBuilder:
    """Builds one channel's feed when it is due."""

    _options: RetailRocketOptions
    _database: Database
    _channel: str
    _gateway: str
    _clock: Callable[[], datetime]
    _is_begun: bool = False

    def __post_init__(self) -> None:
        self.store = FeedStore(self._database, self._channel, self._gateway)
        self._offers = Offers(self._options)
        self._availability = Availability(self._options)
        self._form = _form(self._options)

    def work(self, is_stopping: Callable[[], bool]) -> float:
        """Build when it is due; in how many seconds to look again.  Raises `DatabaseUnavailable`."""
        self.build_if_due(is_stopping)
        due_at = self._due_at()
        return LOOK_S if due_at is None else min(max((due_at - self._clock()).total_seconds(), SOON_S), LOOK_S)

    def build_if_due(self, is_stopping: Callable[[], bool]) -> bool:
        """Build when it is due and no other process does; True when a build was made.  Raises `DatabaseUnavailable`."""
        if not self._is_begun:
            self._begin()
        due_at = self._due_at()
        if due_at is None or due_at > self._clock():
            return False
        turn = self.store.take(self._clock())
        return turn is not None and self._build(turn, is_stopping)

    def _due_at(self) -> datetime | None:
        return self.store.due_at(self._clock(), self._options.feed_delay_s, self._form)

    def _begin(self) -> None:
        """A catalogue that was there before this gateway has a feed as well."""
        self.store.begin_feed()
        if self.store.report()[1] is None:
            with self._database.read() as connection:
                _, products = catalogue.page(connection, self._channel, "", 1)
            if not products:
                return
            self.store.mark(self._clock())
        self._is_begun = True

    def _build(self, turn: Turn, is_stopping: Callable[[], bool]) -> bool:
        began_s = time.monotonic()
        try:
            # On disk until it is whole: categories stand before the goods that say which there are.
            with tempfile.TemporaryFile() as file:
                draft = Draft(turn, cast(BinaryIO, file), currency=self._options.currency or self._first_currency())
                if not self._write_offers(draft, is_stopping):
                    self.store.give_up(turn)
                    return False
                self._finish(draft)
        except BuildLost:
            log.warning("feed of %s: another process builds it; this one took too long", self._channel)
            return False
        except BaseException:
            self.store.give_up(turn)
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
        for products in catalogue.pages(self._database, self._channel, PAGE):
            if is_stopping():
                return False
            if time.monotonic() >= keep_at_s:
                self.store.keep(draft.turn, self._clock())
                keep_at_s = time.monotonic() + KEEP_S
            self._write_page(draft, products)
        self._write_gone(draft)
        return True

    def _first_currency(self) -> str:
        """Where no currency is configured: that of the goods known longest."""
        with self._database.read() as connection:
            known = catalogue.oldest(connection, self._channel, PAGE)
        return next((item.currency for item in known if item.currency and item.price), "")

    def _write_page(self, draft: Draft, products: list[Product]) -> None:
        units = [(product, unit) for product in products for unit in product.units if unit.is_enabled is not False]
        stocks = self._stocks([unit for _, unit in units])
        found: list[Offer] = []
        for product, unit in units:
            offer = self._offers.of(product, unit, stocks[unit.number], draft.currency)
            if isinstance(offer, str):
                draft.leave_out(unit, offer)
            elif draft.listed.add(offer.number):
                found.append(offer)
                draft.shortened_count += len(unit.title or "") > LONGEST_NAME
        self._number(draft, found)
        for offer in found:
            draft.write(yml.offer(offer, draft.numbers))

    def _stocks(self, units: list[Item]) -> dict[int, Mapping[str, bool]]:
        skus = list({unit.sku for unit in units})
        levels = {}
        with self._database.read() as connection:
            for some in chunked(skus):
                levels.update(stock.levels_of(connection, self._channel, self._gateway, some))
            held = reservations.reserved_units(connection, self._channel, skus)
        return {unit.number: self._availability.of(levels.get(unit.sku), held.get(unit.sku, 0)) for unit in units}

    def _number(self, draft: Draft, offers: list[Offer]) -> None:
        """Every category of these offers, and all above it, has a number."""
        for path in {path for offer in offers for path in offer.categories}:
            while path and path not in draft.paths:
                draft.paths[path] = None
                path = self._offers.parent(path)
        missing = [path for path in draft.paths if path not in draft.numbers]
        if missing:
            with self._database.write() as connection:
                catalogue.number_categories(connection, self._channel, missing)
                draft.numbers = catalogue.category_numbers(connection, self._channel)

    def _write_gone(self, draft: Draft) -> None:
        """What the last build listed and this one does not stays as unavailable for its time (contract 4)."""
        now = self._clock()
        before = draft.turn.report.gone
        last_day = int((now - timedelta(days=self._options.keep_gone_days)).timestamp())
        kept: list[int] = []
        for number in Numbers(draft.turn.listed).without(draft.listed):
            since = before.get(number, int(now.timestamp()))
            if since > last_day:
                draft.gone[number] = since
                kept.append(number)
            if len(kept) == PAGE:
                self._write_gone_page(draft, kept)
                kept = []
        self._write_gone_page(draft, kept)

    def _write_gone_page(self, draft: Draft, numbers: list[int]) -> None:
        with self._database.read() as connection:
            found = catalogue.of_numbers(connection, self._channel, numbers)
        offers = []
        for number in numbers:
            stocks = self._availability.of(None, 0)
            offer = self._offers.of(*found[number], stocks, draft.currency) if number in found else ""
            if isinstance(offer, Offer):
                draft.listed.add(number)
                offers.append(offer)
            else:
                del draft.gone[number]
        self._number(draft, offers)
        for offer in offers:
            draft.write(yml.offer(offer, draft.numbers, is_gone=True))

    def _finish(self, draft: Draft) -> None:
        tree = sorted(
            (draft.numbers[path], draft.numbers.get(self._offers.parent(path), 0), self._offers.levels(path)[-1])
            for path in draft.paths
        )
        shop = yml.shop(self._options.shop_name, self._options.shop_url, tree)
        draft.digest.update(shop)
        etag = draft.digest.hexdigest()[:32]
        report = BuildReport(
            draft.offers, draft.left_out_count, tuple(draft.left_out), draft.shortened_count, draft.gone
        )
        now = self._clock()
        if etag == draft.turn.etag:
            self.store.leave(draft.turn, now, self._form, draft.listed.packed(), report)
            return
        content = self._content(draft.file, yml.head(now) + shop)
        self.store.publish(draft.turn, now, self._form, etag, content, draft.listed.packed(), report)

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
