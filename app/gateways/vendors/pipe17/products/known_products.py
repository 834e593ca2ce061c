"""Which Pipe17 product a SKU of RetailOps is, asked in batches and kept for a while (contract 4.1, SKU mapping)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from app.errors import GatewayError
from app.gateways.interface import Call
from app.gateways.vendors.pipe17 import payloads
from app.gateways.vendors.pipe17.connection import moments
from app.gateways.vendors.pipe17.connection.api import Api, unreadable
from app.gateways.vendors.pipe17.connection.connector_settings import SkuMapping
from app.gateways.vendors.pipe17.products.product_rows import Product, read_product, spelling

PATH: Final = "/products"
KEPT_S: Final = 600.0
"""How long what Pipe17 says of a product is believed."""

MISSING_KEPT_S: Final = 60.0
"""How long it is believed that there is no such product: somebody may be making it."""

WALK_PAGE: Final = 500
"""Products on a page of the walk through all of them, the most Pipe17 gives."""

MANY: Final = 100
"""SKUs in one question, unless they are too long for an address."""

LONGEST_QUERY: Final = 1800
"""Characters of SKUs in one address; 2,000 in all are taken everywhere."""

LOOK_PAGES: Final = 10
"""Pages of all products read at a time, in search of channel SKUs; the rest follows the next time."""

OVERLAP_S: Final = 600.0
"""How far back each later search looks beyond the newest change seen."""

CACHE_SIZE: Final = 50_000


@dataclass(frozen=True)
class Match:
    """What a SKU of RetailOps is at Pipe17; an empty `pipe17_sku` is nothing that could be told.

    `product` is None when Pipe17 shows none; `is_sure` is False while not all products are searched yet.
    """

    pipe17_sku: str
    product: Product | None = None
    is_sure: bool = True
    others: tuple[Product, ...] = ()
    """Further products that carry the same channel SKU, as far as all products are searched."""


def unread(skus: Iterable[str], mapping: SkuMapping) -> dict[str, Match]:
    """What can be said without asking: the pairs of the setting count, all else has one name on both sides."""
    return {sku: Match(_named(sku, mapping)) for sku in skus}


def _named(sku: str, mapping: SkuMapping) -> str:
    """Pipe17's SKU by the setting; "" for a name that is another product's there."""
    if sku in mapping.to_pipe17:
        return mapping.to_pipe17[sku]
    return sku if mapping.partner_sku(sku) == sku else ""


class KnownProducts:
    """What one key sees of the products.  Used by one sender of facts at a time (R13)."""

    def __init__(self, api: Api, integration_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._integration_id = integration_id
        self._clock = clock
        self._known: dict[str, tuple[float, Product | None]] = {}
        self._channel_skus = _ChannelSkus(api, integration_id, clock, self._keep)
        self._sent_alone: dict[str, str] = {}
        """SKUs that were matched before all products had been searched for others that carry them, and their match."""

    def find(
        self, skus: Collection[str], mapping: SkuMapping, call: Call, *, is_fresh: bool = False, others: bool = False
    ) -> dict[str, Match]:
        """Each SKU's match: by a pair of the setting, else by the product's own row, else by the same name.

        `others`: also the further products that carry each SKU.  Raises a `GatewayError` when Pipe17 cannot be asked.
        """
        is_searched = others and bool(self._integration_id) and self._is_searched(call, may_fail=False)
        named = {sku: _named(sku, mapping) for sku in skus}
        products = self._ask([name for name in named.values() if name], call, is_fresh=is_fresh)
        found: dict[str, Match] = {}
        unclear = []
        for sku, name in named.items():
            product = products.get(name)
            if sku in mapping.to_pipe17 or (product and (product.own is None or product.own.sku in ("", sku))):
                found[sku] = Match(name, product)
            else:
                unclear.append(sku)
        if unclear:
            is_searched = is_searched or self._is_searched(call, may_fail=not found)
            found |= self._by_channel_sku(unclear, named, products, mapping, call, is_searched=is_searched)
        if others:
            found = {sku: self._with_others(sku, match, mapping, call) for sku, match in found.items()}
            if self._integration_id and not is_searched:
                self._sent_alone |= {sku: match.pipe17_sku for sku, match in found.items()}
        return found

    def _with_others(self, sku: str, match: Match, mapping: SkuMapping, call: Call) -> Match:
        if sku in mapping.to_pipe17:
            return match  # The setting says which product it is; rows of others have nothing to say.
        names = self._channel_skus.carrying(sku)
        names = [name for name in names if name != match.pipe17_sku and mapping.to_partner.get(name, sku) == sku]
        if not names or not match.pipe17_sku:
            return match
        shown = self._ask(names, call, is_fresh=False)
        return replace(match, others=tuple(product for name in names if (product := shown.get(name))))

    def search_all(self, call: Call) -> None:
        """Read every product's own row now, all pages.

        Raises a `GatewayError`; called again it goes on where it stopped.
        """
        while not self._channel_skus.search(call):
            pass

    def take_collided(self) -> tuple[str, ...]:
        """SKUs that were sent to one product before it was found that others carry them too; each is given once."""
        if not self._channel_skus.is_complete:
            return ()
        carrying = self._channel_skus.carrying
        collided = tuple(sku for sku, own in sorted(self._sent_alone.items()) if set(carrying(sku)) - {own})
        self._sent_alone.clear()
        return collided

    def forget(self, pipe17_skus: Iterable[str]) -> None:
        """These have just been written to, or changed at Pipe17."""
        for sku in pipe17_skus:
            self._known.pop(sku, None)

    def forget_refused(self, skus: Iterable[str], mapping: SkuMapping) -> None:
        """Stock of these was refused: what Pipe17 says of them is read anew, and what changed there lately."""
        self.forget(_named(sku, mapping) for sku in skus)
        self._channel_skus.outdate()

    def _keep(self, product: Product, asked_at: float) -> None:
        if len(self._known) <= CACHE_SIZE:
            self._known[product.sku] = (asked_at, product)

    def _is_searched(self, call: Call, *, may_fail: bool) -> bool:
        """True once every product's own row is known."""
        try:
            return self._channel_skus.search(call)
        except GatewayError:
            if may_fail:
                raise
            return False

    def _by_channel_sku(
        self,
        skus: Sequence[str],
        named: Mapping[str, str],
        products: Mapping[str, Product | None],
        mapping: SkuMapping,
        call: Call,
        *,
        is_searched: bool,
    ) -> dict[str, Match]:
        """A product whose own row has the SKU, unless the setting says it is another's.

        Else the one product whose name is this but for blanks at its ends, which RetailOps drops (R32).  A name that
        Pipe17 does not know is told all the same.
        """
        # Of several the oldest product counts: it is the last one that is put in here.
        names = {
            sku: name
            for sku in skus
            for name in reversed(self._channel_skus.carrying(sku))
            if mapping.to_partner.get(name, sku) == sku
        }
        for sku in skus:
            alike = [name for name in self._channel_skus.but_for_blanks(sku) if name not in mapping.to_partner]
            if not alike and (trimmed := sku.strip()) != sku and trimmed not in named and _named(trimmed, mapping):
                alike = [trimmed]
            if sku not in names and products.get(named[sku]) is None and len(alike) == 1:
                names[sku] = alike[0]
        shown = self._ask(list(names.values()), call, is_fresh=False)
        found = {}
        for sku in skus:
            product = shown.get(names.get(sku, ""))
            if product is not None and product.our_sku.strip() == sku.strip():
                found[sku] = Match(product.sku, product)
            else:
                is_anothers = products.get(named[sku]) is not None
                found[sku] = Match("" if is_anothers else named[sku], None, is_searched)
        return found

    def _ask(self, pipe17_skus: Sequence[str], call: Call, *, is_fresh: bool) -> dict[str, Product | None]:
        oldest = self._clock() - KEPT_S
        if len(self._known) > CACHE_SIZE:
            self._known = {sku: item for sku, item in self._known.items() if item[0] > oldest}
        wanted = dict.fromkeys(pipe17_skus)
        known = {sku: self._known[sku][1] for sku in wanted if sku in self._known and self._is_believed(sku)}
        if is_fresh:
            known = {}
        for some in batches([sku for sku in wanted if sku not in known]):
            asked_at = self._clock()
            answered = self._ask_some(some, call)
            self._known |= {sku: (asked_at, answered.get(sku)) for sku in some}
            known |= {sku: answered.get(sku) for sku in some}
        return known

    def _is_believed(self, sku: str) -> bool:
        asked_at, product = self._known[sku]
        return asked_at > self._clock() - (MISSING_KEPT_S if product is None else KEPT_S)

    def _ask_some(self, skus: Sequence[str], call: Call) -> dict[str, Product]:
        """Raises `BrokenReply` when the list did not heed the SKUs: they would all read as unknown."""
        params: dict[str, str | int] = {"sku": ",".join(skus)}
        asked = {spelling(sku) for sku in skus}
        found: dict[str, Product] = {}
        for rows in self._api.pages(PATH, "products", params, call):
            for product in (read_product(row, self._integration_id) for row in rows):
                if product is None:
                    continue
                if spelling(product.sku) not in asked:
                    raise unreadable(PATH)
                found[product.sku] = product
            if found.keys() >= set(skus):
                break
        return found


def batches(skus: Sequence[str]) -> Iterator[list[str]]:
    """Lists of SKUs that fit an address.  One with a comma cannot be asked for, so it reads as unknown."""
    batch: list[str] = []
    length = 0
    for sku in skus:
        if "," in sku:
            continue
        size = len(quote(sku, safe="")) + 3
        if batch and (len(batch) == MANY or length + size > LONGEST_QUERY):
            yield batch
            batch, length = [], 0
        batch.append(sku)
        length += size
    if batch:
        yield batch


class _ChannelSkus:
    """Every product that has another name on our side.

    No list of Pipe17's can be asked by it, so all products are read once, some pages at a time, and later
    only what has changed.
    """

    def __init__(
        self, api: Api, integration_id: str, clock: Callable[[], float], keep: Callable[[Product, float], None]
    ) -> None:
        self._api = api
        self._integration_id = integration_id
        self._clock = clock
        self._keep_product = keep
        self._carrying: dict[str, dict[str, tuple[int, str]]] = {}
        """By our SKU each product that carries it: when it was made and its SKU, by its id."""
        self._by_product: dict[str, str] = {}
        self._blanked: dict[str, dict[str, str]] = {}
        """By our SKU without blanks at its ends the SKU, by its id, of each product whose name has such blanks."""
        self._newest_ms = 0
        self._since = ""
        self._skip: int | None = 0
        self._seen: set[str] = set()
        self._is_complete = False
        self._read_at = 0.0

    @property
    def is_complete(self) -> bool:
        return self._is_complete

    def carrying(self, sku: str) -> list[str]:
        """Pipe17's SKUs of the products that carry our SKU, the oldest product first."""
        found = self._carrying.get(sku, {})
        return [name for _, _, name in sorted((made_ms, key, name) for key, (made_ms, name) in found.items())]

    def but_for_blanks(self, sku: str) -> list[str]:
        """Pipe17's SKUs of the products that we call so but for blanks at the ends."""
        return sorted(self._blanked.get(sku.strip(), {}).values())

    def outdate(self) -> None:
        """The next search reads what has changed since the last one."""
        self._read_at = float("-inf")

    def search(self, call: Call) -> bool:
        """Read on where the last search stopped; True once every product has been read.

        Raises a `GatewayError` only until then.
        """
        if self._skip is None:
            if self._clock() - self._read_at < KEPT_S:
                return True
            self._begin_again()
        try:
            for _ in range(LOOK_PAGES):
                self._read_page(call)
                if self._skip is None:
                    break
        except GatewayError:
            if not self._is_complete:
                raise
        return self._is_complete

    def _begin_again(self) -> None:
        self._skip = 0
        self._seen.clear()
        if self._newest_ms:
            self._since = moments.moment_text(max(self._newest_ms - int(OVERLAP_S * 1000), 0))

    def _read_page(self, call: Call) -> None:
        skip = self._skip or 0
        params: dict[str, str | int] = {"keys": "*", "count": WALK_PAGE, "skip": skip, "order": "createdAt"}
        if self._since:
            params["updatedSince"] = self._since
        asked_at = self._clock()
        page = payloads.read_page(self._api.read(PATH, call, params=params), "products", skip=skip, count=WALK_PAGE)
        if page is None:
            raise unreadable(PATH)
        products = [item for row in page.rows if (item := read_product(row, self._integration_id))]
        fresh = {product.product_id for product in products} - self._seen
        self._seen |= fresh
        for product in products:
            self._keep(product)
            self._keep_product(product, asked_at)
        # A list that brings nothing new would go on for ever.
        self._skip = page.next_skip if fresh else None
        if self._skip is None:
            self._is_complete = True
            self._read_at = self._clock()

    def _keep(self, product: Product) -> None:
        before = self._by_product.pop(product.product_id, None)
        if before is not None:
            self._carrying[before].pop(product.product_id, None)
            if not self._carrying[before]:
                del self._carrying[before]
        name = product.our_sku
        for alike in self._blanked.values():
            alike.pop(product.product_id, None)
        if name != name.strip():
            self._blanked.setdefault(name.strip(), {})[product.product_id] = product.sku
        if product.own is not None and product.own.sku:
            made = (product.created_ms or 0, product.sku)
            self._carrying.setdefault(product.own.sku, {})[product.product_id] = made
            self._by_product[product.product_id] = product.own.sku
        self._newest_ms = max(self._newest_ms, product.updated_ms or 0)
