"""Product API mode: every changed product is sent whole, and again only when something of it changed (contract 2.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.domain.catalogue import Item, Product, ProductChange, ProductSent, Refusal
from app.domain.stock import StockChange, StockSent
from app.errors import Refused
from app.gateways.calls import Call, read_note
from app.gateways.vendors.retailrocket.api import Api
from app.gateways.vendors.retailrocket.offers import Availability, Offer, Offers
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.gateways.wire_objects import encode
from app.records import catalogue, stock
from app.records.database import Database
from app.records.feeds import NO_FEED
from app.storefront import reservations

Note = dict[str, str]
"""Stock id ("" where there is none) -> digest of the product as it was sent last, availability apart.

What can be had is sent by stock pushes alone: they keep note of it, and two notes of one thing would part."""

Flags = dict[str, bool]


@dataclass(frozen=True)
class _Sending:
    """One product as it is to be sent."""

    product: Product
    offers: tuple[Offer, ...]
    former: tuple[Offer, ...]
    """Under numbers of SKUs its units had and no product has now: unavailable."""
    refusals: tuple[Refusal, ...]

    @property
    def kind(self) -> str:
        return "productsgroup" if self.product.variants else "products"

    @property
    def number(self) -> int:
        return self.product.item.number if self.product.variants else self.offers[0].number

    @property
    def of_former(self) -> list[_Sending]:
        """What is sent of each former number of a product without variants; those of variants go with their group."""
        if self.product.variants:
            return []
        return [replace(self, offers=(offer,), former=()) for offer in self.former]

    @property
    def stock_ids(self) -> list[str]:
        return [stock_id for stock_id, _ in self.offers[0].stocks] or [""] if self.offers else []


class ProductApi:
    """Used by one sender at a time (R13)."""

    def __init__(self, options: RetailRocketOptions, api: Api, database: Database, channel: str, gateway: str) -> None:
        self._currency = options.currency
        self._offers = Offers(options)
        self._availability = Availability(options)
        self._api = api
        self._database = database
        self._channel = channel
        self._gateway = gateway

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
        with self._database.read() as connection:
            known = catalogue.of_skus(connection, self._channel, turned)
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
        refusals = list(sending.refusals)
        now: Note = {}
        for stock_id in sending.stock_ids:
            digest = self._digest_of(sending, stock_id)
            if note.get(stock_id) != digest or change.is_uncertain:
                refused = [self._send(one, stock_id, call) for one in (sending, *sending.of_former)]
                if any(refused):
                    refusals += [Refusal(why, item.sku, item.product_id) for why in refused if why]
                    continue
            now[stock_id] = digest
        for stock_id in sorted(note.keys() - set(sending.stock_ids)) if sending.offers else ():
            # The store has this stock no more: there nothing can be had.
            if refusal := self._send(_withdrawn(sending, stock_id), stock_id, call):
                refusals.append(Refusal(refusal, item.sku, item.product_id))
                now[stock_id] = note[stock_id]
        return ProductSent(change.key, encode(now), tuple(refusals))

    def _send_flags(self, product: Product, flags: Mapping[str, Flags], call: Call) -> str:
        """Why it was refused, or ""."""
        sending = self._to_send(product, flags)
        refused = [self._send(sending, stock_id, call) for stock_id in sending.stock_ids]
        return next(filter(None, refused), "")

    def _to_send(self, product: Product, flags: Mapping[str, Flags]) -> _Sending:
        """`flags` are what is being sent just now; of other SKUs what was sent last holds."""
        units = product.units
        others = [unit.sku for unit in units if unit.sku not in flags]
        with self._database.read() as connection:
            notes = stock.notes_of(connection, self._channel, self._gateway, others)
            noted = {
                sku: flagged for sku in others if self._availability.fits(flagged := read_note(notes.get(sku), Flags))
            }
            unnoted = [sku for sku in others if sku not in noted]
            levels = stock.levels_of(connection, self._channel, self._gateway, unnoted)
            held = reservations.reserved_units(connection, self._channel, unnoted)
            former = catalogue.former_numbers(connection, self._channel, units)
        offers, withdrawn, refusals = [], [], []
        for unit in units:
            sku = unit.sku
            if not sku:
                continue  # Another record has its SKU and the number that goes with it.
            known = flags.get(sku) or noted.get(sku)
            now = self._availability.of(levels.get(sku), held.get(sku, 0)) if known is None else known
            offer = self._offers.of(product, unit, now, self._currency)
            if isinstance(offer, Offer):
                offers.append(offer)
                withdrawn += [_gone(replace(offer, number=number)) for number in former.get(unit.key, ())]
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
        alike = tuple(
            replace(offer, is_available=True, stocks=tuple((name, True) for name, _ in offer.stocks))
            for offer in sending.offers
        )
        enabled = [unit.is_enabled is not False for unit in sending.product.units]
        former = [self._body(one, stock_id) for one in sending.of_former]
        return _digest(self._body(replace(sending, offers=alike), stock_id), enabled, *former)

    def _body(self, sending: _Sending, stock_id: str) -> dict[str, Any]:
        first = sending.offers[0]
        stocked = {"stockId": stock_id} if stock_id else {}
        if not sending.product.variants:
            return {"id": first.number, **self._fields(first, stock_id), **_paths(self._offers, first), **stocked}
        group = self._group_fields(sending, stock_id)
        variants = {
            str(offer.number): {**self._fields(offer, stock_id), **stocked}
            for offer in (*sending.offers, *sending.former)
        }
        return {"groupId": sending.number, **group, **stocked, "products": variants}

    def _group_fields(self, sending: _Sending, stock_id: str) -> dict[str, Any]:
        """What the product itself states, where that is enough, else its first variant's."""
        root: Item = sending.product.own
        own = self._offers.of(sending.product, root, {}, self._currency)
        offer = own if isinstance(own, Offer) else sending.offers[0]
        fields = {**self._fields(offer, stock_id), **_paths(self._offers, offer)}
        is_any = any(_is_there(item, stock_id) for item in sending.offers)
        return fields | {"name": offer.name, "isAvailable": is_any}

    def _fields(self, offer: Offer, stock_id: str) -> dict[str, Any]:
        further = {"vendor": offer.vendor, "description": offer.description, "params": dict(offer.params)}
        return {
            "name": offer.name,
            "price": offer.price,
            "oldPrice": offer.old_price,
            "url": offer.url,
            "pictureUrl": offer.picture,
            "isAvailable": _is_there(offer, stock_id),
            **{name: value for name, value in further.items() if value},
        }


def _gone(offer: Offer) -> Offer:
    """The same, not to be had anywhere."""
    return replace(offer, is_available=False, stocks=tuple((stock_id, False) for stock_id, _ in offer.stocks))


def _withdrawn(sending: _Sending, stock_id: str) -> _Sending:
    """The same for a stock the store has no more."""
    offers = (_gone(replace(offer, stocks=((stock_id, False),))) for offer in sending.offers)
    return replace(sending, offers=tuple(offers))


def _is_there(offer: Offer, stock_id: str) -> bool:
    return dict(offer.stocks).get(stock_id, offer.is_available)


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
