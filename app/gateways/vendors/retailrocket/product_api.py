"""Product API mode: every changed product is sent whole, and again only when something of it changed (contract 2.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

from app.domain.catalogue import Product, ProductChange, ProductSent, Refusal
from app.domain.stock import StockChange, StockSent
from app.errors import Refused
from app.gateways.calls import Call, read_note
from app.gateways.vendors.retailrocket.api import TOKEN, Api
from app.gateways.vendors.retailrocket.offers import Offer, Offers
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.gateways.vendors.retailrocket.store import Flags, Store
from app.gateways.wire_objects import Json, encode
from app.records import catalogue, stock
from app.records.feeds import NO_FEED

Note = dict[str, str]
"""Stock id ("" where there is none) -> digest of the product as it was sent last, availability apart.

What can be had is sent by stock pushes alone: they keep note of it, and two notes of one thing would part."""


@dataclass(frozen=True)
class _Sending:
    """One product as it is to be sent."""

    product: Product
    offers: tuple[Offer, ...]
    former: tuple[Offer, ...]
    """Under numbers of SKUs its units had and no product has now: unavailable."""
    refusals: tuple[Refusal, ...] = ()

    @property
    def kind(self) -> str:
        return "productsgroup" if self.product.variants else "products"

    @property
    def number(self) -> int:
        return self.product.item.number if self.product.variants else self.offers[0].number

    @property
    def of_former(self) -> list[_Sending]:
        """What is sent of each former number of a product without variants; those of variants go with their group."""
        return [] if self.product.variants else [_Sending(self.product, (offer,), ()) for offer in self.former]

    def in_stock(self, stock_id: str) -> _Sending:
        """As it can be had from one stock of the store."""
        return self.with_flags(dict(offer.stocks).get(stock_id, offer.is_available) for offer in self.offers)

    def with_flags(self, are_available: Iterable[bool]) -> _Sending:
        """As if this was what can be had of its offers."""
        pairs = zip(self.offers, are_available, strict=False)
        return replace(self, offers=tuple(replace(offer, is_available=is_there) for offer, is_there in pairs))


class ProductApi:
    """Used by one sender at a time (R13)."""

    def __init__(self, store: Store, api: Api) -> None:
        self._store = store
        self._api = api

    def push_catalog(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        """Raises a `GatewayError` when not one product could be settled."""
        return call.send_each(
            lambda change: self._send_change(change, call), {change.key: change for change in changes}
        )

    def push_inventory(self, changes: Sequence[StockChange], flags: Mapping[str, Flags], call: Call) -> list[StockSent]:
        """Sends the products of SKUs that came or went; quantities alone are no news (contract 5).

        `flags` are what can be had of each SKU now.  Raises a `GatewayError` when not one SKU could be settled.
        """
        turned = [
            change.sku
            for change in changes
            if change.is_uncertain or flags[change.sku] != read_note(change.sent, Flags)
        ]
        with self._store.database.read() as connection:
            known = catalogue.of_skus(connection, self._store.channel, turned)
        refusals: dict[str, str] = {}

        def send(change: StockChange) -> StockSent:
            key = ""
            if change.sku in known:
                product, _ = known[change.sku]
                key = product.item.key
                if key not in refusals:
                    refusals[key] = self._send_flags(product, flags, call)
            return StockSent(change.sku, encode(flags[change.sku]), refusals.get(key, ""))

        return call.send_each(send, {change.sku: change for change in changes})

    def _send_change(self, change: ProductChange, call: Call) -> ProductSent:
        if change.product is None:
            return ProductSent(change.key, encode({}))  # Its goods are another product's now, which is sent.
        item = change.product.item
        sending = self._to_send(change.product, {})
        note = read_note(change.sent, Note) or {}
        reasons: list[str] = []
        now: Note = {}
        stock_ids = self._store.availability.stock_ids if sending.offers else []
        for stock_id in stock_ids:
            digest = self._digest_of(sending, stock_id)
            if note.get(stock_id) != digest or change.is_uncertain:
                refused = [self._send(one, stock_id, call) for one in (sending.in_stock(stock_id), *sending.of_former)]
                if any(refused):
                    reasons += filter(None, refused)
                    continue
            now[stock_id] = digest
        for stock_id in sorted(note.keys() - set(stock_ids)) if sending.offers else ():
            # The store has this stock no more: there nothing can be had.
            if reason := self._send(sending.with_flags(repeat(False)), stock_id, call):
                reasons.append(reason)
                now[stock_id] = note[stock_id]
        refusals = (Refusal(reason, item.sku, item.product_id) for reason in reasons)
        return ProductSent(change.key, encode(now), (*sending.refusals, *refusals))

    def _send_flags(self, product: Product, flags: Mapping[str, Flags], call: Call) -> str:
        """Why it was refused, or ""."""
        sending = self._to_send(product, flags)
        stock_ids = self._store.availability.stock_ids if sending.offers else []
        refused = [self._send(sending.in_stock(stock_id), stock_id, call) for stock_id in stock_ids]
        return next(filter(None, refused), "")

    def _to_send(self, product: Product, flags: Mapping[str, Flags]) -> _Sending:
        """`flags` are what is being sent just now; of other SKUs what was sent last holds."""
        store, units = self._store, product.units
        others = [unit.sku for unit in units if unit.sku not in flags]
        with store.database.read() as connection:
            notes = stock.notes_of(connection, store.channel, TOKEN, others)
            sent = {sku: read_note(note, Flags) or {} for sku, note in notes.items()}
            known = {sku: noted for sku, noted in sent.items() if store.availability.fits(noted)}
            known |= store.flags_of(connection, [sku for sku in others if sku not in known])
            former = catalogue.former_numbers(connection, store.channel, units)
        offers, withdrawn, refusals = [], [], []
        for unit in units:
            if not unit.sku:
                continue  # Another record has its SKU and the number that goes with it.
            flagged = flags[unit.sku] if unit.sku in flags else known[unit.sku]
            offer = store.offers.of(product, unit, flagged, store.options.currency)
            if isinstance(offer, Offer):
                offers.append(offer)
                gone = replace(offer, is_available=False, stocks=())
                withdrawn += [replace(gone, number=number) for number in former.get(unit.key, ())]
            elif unit.is_enabled is not False:
                refusals.append(Refusal(offer, unit.sku, unit.product_id))
        return _Sending(product, tuple(offers), tuple(withdrawn), tuple(refusals))

    def _send(self, sending: _Sending, stock_id: str, call: Call) -> str:
        """Why it was refused, or ""."""
        body = encode(self._body(sending, stock_id))
        try:
            self._api.send_product(sending.kind, sending.number, stock_id, body, call)
        except Refused as error:
            return error.message
        return ""

    def _digest_of(self, sending: _Sending, stock_id: str) -> str:
        """Of all that is sent, but for what can be had."""
        enabled = [unit.is_enabled is not False for unit in sending.product.units]
        former = [self._body(one, stock_id) for one in sending.of_former]
        return _digest(self._body(sending.with_flags(repeat(True)), stock_id), enabled, *former)

    def _body(self, sending: _Sending, stock_id: str) -> Json:
        first = sending.offers[0]
        stocked = {"stockId": stock_id} if stock_id else {}
        if not sending.product.variants:
            return {"id": first.number, **_fields(first), **_paths(self._store.offers, first), **stocked}
        variants = {str(offer.number): {**_fields(offer), **stocked} for offer in (*sending.offers, *sending.former)}
        return {"groupId": sending.number, **self._group_fields(sending), **stocked, "products": variants}

    def _group_fields(self, sending: _Sending) -> Json:
        """What the product itself states, where that is enough, else its first variant's."""
        product, store = sending.product, self._store
        own = store.offers.of(product, product.own, {}, store.options.currency)
        offer = own if isinstance(own, Offer) else sending.offers[0]
        is_any = any(item.is_available for item in sending.offers)
        return {**_fields(replace(offer, is_available=is_any)), **_paths(store.offers, offer)}


def _fields(offer: Offer) -> Json:
    further = {"vendor": offer.vendor, "description": offer.description, "params": dict(offer.params)}
    return {
        "name": offer.name,
        "price": offer.price,
        "oldPrice": offer.old_price,
        "url": offer.url,
        "pictureUrl": offer.picture,
        "isAvailable": offer.is_available,
        **{name: value for name, value in further.items() if value},
    }


def _paths(offers: Offers, offer: Offer) -> dict[str, Any]:
    """The deepest path of each branch; a slash inside a name would part it (contract 2.2)."""
    paths = ["/".join(level.replace("/", "-") for level in offers.levels(path)) for path in offer.categories]
    deepest = [path for path in paths if not any(other.startswith(f"{path}/") for other in paths)]
    return {"categoryPaths": list(dict.fromkeys(deepest))}


def forms_of(options: RetailRocketOptions) -> tuple[str, str]:
    """The form of what is sent, and its beginning, which says who is sent it in this mode (see `FullResync`)."""
    sent_to = f"{NO_FEED} {_digest(options.partner_id, options.available_when_unstated)[:16]} "
    stock_ids = sorted(options.stock_ids.items())
    return sent_to + _digest(options.shop_url, options.category_separator, options.currency, stock_ids), sent_to


def _digest(*said: object) -> str:
    return hashlib.sha256(encode(said)).hexdigest()[:32]
