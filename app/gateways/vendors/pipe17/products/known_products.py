"""Which Pipe17 product a SKU of RetailOps is (contract 4.1, SKU mapping)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from app.errors import GatewayError
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import Api
from app.gateways.vendors.pipe17.options import SkuMapping
from app.gateways.vendors.pipe17.products.channel_skus import ChannelSkus
from app.gateways.vendors.pipe17.products.product_cache import ProductCache
from app.gateways.vendors.pipe17.products.product_rows import Product


@dataclass(frozen=True)
class Match:
    """What a SKU of RetailOps is at Pipe17; an empty `pipe17_sku` is nothing that could be sent.

    `product` is None when Pipe17 shows none; `is_sure` is False while not all products are searched yet.
    """

    pipe17_sku: str
    product: Product | None = None
    is_sure: bool = True
    others: tuple[Product, ...] = ()
    """Further products that carry the same channel SKU, as far as all products are searched."""


def unread(skus: Iterable[str], mapping: SkuMapping) -> dict[str, Match]:
    """What can be said without a call: the pairs of the setting count, all else has one name on both sides."""
    return {sku: Match(_named(sku, mapping)) for sku in skus}


def _named(sku: str, mapping: SkuMapping) -> str:
    """Pipe17's SKU by the setting; "" for a name that is another product's there."""
    if sku in mapping.to_pipe17:
        return mapping.to_pipe17[sku]
    return sku if mapping.partner_sku(sku) == sku else ""


class KnownProducts:
    """What one key sees of the products.  Used by one sender of facts at a time (R13)."""

    def __init__(self, api: Api, cache: ProductCache) -> None:
        self._has_rows = bool(api.integration_id)
        """False for a bare key, of which no product says anything."""
        self._cache = cache
        self._channel_skus = ChannelSkus(api, cache)
        self._sent_alone: dict[str, str] = {}
        """SKUs that were matched before all products had been searched for others that carry them, and their match."""

    def find(
        self, skus: Collection[str], mapping: SkuMapping, call: Call, *, is_fresh: bool = False, others: bool = False
    ) -> dict[str, Match]:
        """Each SKU's match: by a pair of the setting, else by the product's own row, else by the same name.

        `others`: also the further products that carry each SKU.  Raises a `GatewayError`.
        """
        is_searched = others and self._has_rows and self._is_searched(call, may_fail=False)
        named = {sku: _named(sku, mapping) for sku in skus}
        products = self._cache.find([name for name in named.values() if name], call, is_fresh=is_fresh)
        by_name = {sku: Match(name, products.get(name)) for sku, name in named.items()}
        found: dict[str, Match] = {}
        unclear = []
        for sku, match in by_name.items():
            product = match.product
            if sku in mapping.to_pipe17 or (product and (product.own is None or product.own.sku in ("", sku))):
                found[sku] = match
            else:
                unclear.append(sku)
        if unclear:
            is_searched = is_searched or self._is_searched(call, may_fail=not found)
            found |= self._by_channel_sku(unclear, by_name, mapping, call, is_searched=is_searched)
        if others:
            found = {sku: self._with_others(sku, match, mapping, call) for sku, match in found.items()}
            if self._has_rows and not is_searched:
                self._sent_alone |= {sku: match.pipe17_sku for sku, match in found.items()}
        return found

    def _with_others(self, sku: str, match: Match, mapping: SkuMapping, call: Call) -> Match:
        if sku in mapping.to_pipe17:
            return match  # The setting says which product it is; rows of others have nothing to say.
        names = self._channel_skus.carrying(sku)
        names = [name for name in names if name != match.pipe17_sku and mapping.to_partner.get(name, sku) == sku]
        if not names or not match.pipe17_sku:
            return match
        shown = self._cache.find(names, call)
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
        self._cache.forget(pipe17_skus)

    def forget_refused(self, skus: Iterable[str], mapping: SkuMapping) -> None:
        """Stock of these was refused: what Pipe17 says of them is read anew, and what changed there lately."""
        self.forget(_named(sku, mapping) for sku in skus)
        self._channel_skus.outdate()

    def _is_searched(self, call: Call, *, may_fail: bool) -> bool:
        """True once every product's own row is known."""
        try:
            return self._channel_skus.search(call)
        except GatewayError:
            if may_fail:
                raise
            return False

    def _by_channel_sku(
        self, skus: Sequence[str], by_name: Mapping[str, Match], mapping: SkuMapping, call: Call, *, is_searched: bool
    ) -> dict[str, Match]:
        """A product whose own row has the SKU, unless the setting says it is another's.

        Else the one product whose name is this but for blanks at its ends, which RetailOps drops (R32).  A name that
        Pipe17 does not know is sent all the same.
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
            if not alike and (trimmed := sku.strip()) != sku and trimmed not in by_name and _named(trimmed, mapping):
                alike = [trimmed]
            if sku not in names and by_name[sku].product is None and len(alike) == 1:
                names[sku] = alike[0]
        shown = self._cache.find(list(names.values()), call)
        found = {}
        for sku in skus:
            product = shown.get(names.get(sku, ""))
            if product is not None and product.our_sku.strip() == sku.strip():
                found[sku] = Match(product.sku, product)
            else:
                is_anothers = by_name[sku].product is not None
                found[sku] = Match("" if is_anothers else by_name[sku].pipe17_sku, None, is_searched)
        return found
