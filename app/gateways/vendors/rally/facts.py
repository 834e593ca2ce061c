"""Sends catalogue and stock to Rally: whole products and absolute figures, equal ones seldom (R13).

Rally takes one object a call, so several are under way together, each of another product or SKU, and a batch may end
half-way: what was sent is reported, the rest stays due.
A product's snapshot carries its stock; so the stock of a SKU that Rally does not know yet goes with its product.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

import msgspec

from app.domain.catalogue import Item, Product, ProductChange, ProductSent, Refusal
from app.domain.facts import Obstacle
from app.domain.stock import StockChange, StockSent
from app.errors import Refused
from app.gateways.calls import Call, read_note
from app.gateways.capabilities import CatalogueSink, StockSink
from app.gateways.vendors.rally.api import Api
from app.gateways.vendors.rally.merchant import GATEWAY, Merchant
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.vendors.rally.products import category_json, product_json
from app.gateways.wire_objects import Json, encode
from app.records import catalogue, catalogue_sync, stock_sync
from app.storefront.goods import is_buyable
from app.storefront.reservations import sellable

BATCH: Final = 1_000
"""How many products or SKUs are sent in one batch at most, each with a call of its own."""

DOUBTFUL: Final = "doubtful"
"""Digest of a product Rally may have in one form or another: it refused the newest, or its answer was lost."""

GONE: Final = "HTTP_404"
"""Rally has no such product or variant, or not yet; or something between answers for it."""

LOST: Final = "Rally says it has no such product or variant; the product is sent whole when RetailOps states it again"


class ProductNote(msgspec.Struct, omit_defaults=True):
    """What Rally has of a product: the digest of the last snapshot, "" for none, and its categories."""

    digest: str = ""
    categories: tuple[str, ...] = ()


class StockNote(msgspec.Struct, omit_defaults=True):
    """The figure Rally has of a SKU, and under which ids; None where the SKU is not for sale there."""

    value: int | None = None
    product: str = ""
    variant: str = ""


class _Facts:
    """Facts of one merchant, a call each, of which `at_once` are under way together."""

    batch = BATCH

    def __init__(self, merchant: Merchant, api: Api, at_once: int) -> None:
        self._merchant = merchant
        self._options = merchant.options
        self._api = api
        self.at_once = at_once


class Products(_Facts, CatalogueSink):
    """The catalogue."""

    def __init__(self, merchant: Merchant, api: Api, at_once: int) -> None:
        super().__init__(merchant, api, at_once)
        self._sent_categories: set[str] = set()
        """Those sent by this process; what others sent is in the products' notes."""
        self._turns: dict[str, threading.Lock] = {}

    def push(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        skus = {unit.sku for change in changes if change.product for unit in change.product.units if unit.sku}
        with self._merchant.database.write() as connection:
            # Whatever Rally had of their stock, the snapshots may replace.
            stock_sync.note_uncertain(connection, self._merchant.channel, GATEWAY, skus)
            catalogue_sync.note_sent(connection, self._merchant.channel, GATEWAY, _in_doubt(changes))
            on_hand = sellable(connection, self._merchant.channel, GATEWAY, skus)
        send = partial(self._send_product, on_hand, call)
        return call.send_each(send, {change.key: change for change in changes})

    def _send_product(self, on_hand: Mapping[str, int], call: Call, change: ProductChange) -> ProductSent:
        known = _noted(change)
        product = change.product
        body = product_json(product, on_hand, self._options) if product else None
        refusals = _not_for_sale(product, self._options) if product else ()
        if product is None or body is None:
            return self._send_removal(change.key, known, refusals, call)
        paths = tuple(dict.fromkeys(path for item in (product.item, *product.units) for path in item.categories or ()))
        digest = _digest(product_json(product, {}, self._options))
        there = []
        for path in paths:
            reason = "" if path in known.categories else self._send_category(path, call)
            if reason:  # No product names its categories to Rally: it is sent all the same, and its SKU is made.
                refused = Refusal(f"one of its categories: {reason}", product_id=product.item.product_id)
                refusals = (*refusals, refused)
            else:
                there.append(path)
        try:
            if digest != known.digest or change.is_uncertain:
                self._api.send("product-update", body, call)
        except Refused as error:
            # Any later change is sent, be it the one that takes this back.
            refused = Refusal(error.message, product.item.sku, product.item.product_id)
            note = ProductNote(DOUBTFUL if known.digest else "", known.categories)
            return ProductSent(change.key, encode(note), (refused,))
        return ProductSent(change.key, msgspec.json.encode(ProductNote(digest, tuple(there))), refusals)

    def _send_category(self, path: str, call: Call) -> str:
        """Unless it was sent; products that are sent at the same time wait for it.  Why Rally refused it, or ""."""
        with self._turns.setdefault(path, threading.Lock()):
            if path not in self._sent_categories:
                try:
                    self._api.send("category-update", category_json(path, self._options), call)
                except Refused as error:
                    return error.message
                self._sent_categories.add(path)
        return ""

    def _send_removal(self, key: str, known: ProductNote, refusals: tuple[Refusal, ...], call: Call) -> ProductSent:
        if known.digest:
            try:
                self._api.send("product-delete", {"external_id": key}, call)
            except Refused as error:
                if error.code != GONE:
                    return ProductSent(key, encode(known), (Refusal(error.message),))
        return ProductSent(key, msgspec.json.encode(ProductNote()), refusals)


class Stock(_Facts, StockSink):
    """The stock."""

    needs_catalogue = True

    def __init__(self, merchant: Merchant, api: Api, at_once: int) -> None:
        super().__init__(merchant, api, at_once)
        self.restate_every_s = self._options.restate_every * 3600.0

    def push(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """See `StockSink.push`.  A SKU Rally does not sell is remembered, not sent.

        Nor is a figure that Rally surely has and that was sent within `restate_every`.
        """
        skus = {change.sku for change in changes}
        with self._merchant.database.read() as connection:
            found = catalogue.of_skus(connection, self._merchant.channel, skus)
            on_hand = sellable(connection, self._merchant.channel, GATEWAY, skus)
            keys = {product.item.key for product, _ in found.values()}
            notes = catalogue_sync.sent_notes(connection, self._merchant.channel, GATEWAY, keys)
        results: list[StockSent] = []
        due: dict[str, tuple[str, StockNote]] = {}
        for change in changes:
            note = StockNote()
            product, unit = found.get(change.sku, (None, None))
            if product and unit and self._is_there(product, unit, notes):
                # Of a product without variants Rally keeps the stock with the product itself (contract 2.7).
                note = StockNote(on_hand[change.sku], product.item.key, unit.key if product.variants else "")
            encoded = encode(note)
            if note.value is None or (encoded == change.sent and self._is_fresh(change)):
                results.append(StockSent(change.sku, encoded, was_sent=False))
            else:
                due[change.sku] = change.sku, note
        return call.send_each(partial(self._send_stock, call), due, results)

    def in_words(self, sent: bytes) -> Mapping[str, str]:
        note = read_note(sent, StockNote)
        return {} if note is None or note.value is None else {"": str(note.value)}

    def _is_fresh(self, change: StockChange) -> bool:
        """Whether Rally surely has what the note says, and was sent it lately."""
        if change.is_uncertain or change.was_refused or change.uncertain is not None or change.sent_at is None:
            return False
        return self._merchant.clock() - change.sent_at < timedelta(hours=self._options.restate_every)

    def _is_there(self, product: Product, unit: Item, notes: Mapping[str, bytes]) -> bool:
        """True when Rally sells the unit; a product it was never sent comes with its stock."""
        note = read_note(notes.get(product.item.key), ProductNote)
        is_known = note is not None and note.digest != ""
        return is_known and product.item.is_enabled is not False and is_buyable(unit, self._options)

    def _send_stock(self, call: Call, due: tuple[str, StockNote]) -> StockSent:
        sku, note = due
        body = {
            "external_product_id": note.product,
            "external_variant_id": note.variant,
            "value": note.value,
            "method": "absolute",
        }
        try:
            self._api.send("product-inventory-update", body, call)
        except Refused as error:
            reason, lost = (LOST, note.product) if error.code == GONE else (error.message, "")
            return StockSent(sku, encode(note), reason, obstacles=(Obstacle("product", sku),), lost_product=lost)
        return StockSent(sku, encode(note))


def _in_doubt(changes: Sequence[ProductChange]) -> dict[str, bytes]:
    """Notes that hold while these are being sent, and where the outcome stays unknown."""
    return {item.key: msgspec.json.encode(ProductNote(DOUBTFUL, _noted(item).categories)) for item in changes}


def _noted(change: ProductChange) -> ProductNote:
    return read_note(change.sent, ProductNote) or ProductNote()


def _not_for_sale(product: Product, options: RallyOptions) -> tuple[Refusal, ...]:
    """What is switched on and cannot be sold for want of a SKU or of a price in the shop's currency."""
    if product.item.is_enabled is False:
        return ()
    return tuple(
        Refusal(f"Rally is not told of it: it has no SKU or no price in {options.currency}", unit.sku, unit.product_id)
        for unit in product.units
        if unit.is_enabled is not False and not is_buyable(unit, options)
    )


def _digest(body: Json | None) -> str:
    return hashlib.sha256(msgspec.json.encode(body, order="deterministic")).hexdigest()[:32]
