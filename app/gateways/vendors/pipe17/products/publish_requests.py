"""A poll for what Pipe17's people change between two statements of RetailOps: publish requests, and whatever stood in
the way of a refused fact (contract 4.1, R13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.facts import Obstacle, PollResult
from app.errors import GatewayError
from app.gateways.calls import Call
from app.gateways.capabilities import Poll
from app.gateways.vendors.pipe17.connection import paging
from app.gateways.vendors.pipe17.connection.api import Api
from app.gateways.vendors.pipe17.connection.integration import Integration
from app.gateways.vendors.pipe17.connection.locations import Locations
from app.gateways.vendors.pipe17.options import SkuMapping
from app.gateways.vendors.pipe17.products.known_products import KnownProducts
from app.gateways.vendors.pipe17.products.product_cache import PATH
from app.gateways.vendors.pipe17.products.product_rows import TO_BE_PUBLISHED, TO_BE_UNPUBLISHED, Product, read_product
from app.gateways.vendors.pipe17.stock.held_stock import UntrackedStock
from app.gateways.vendors.pipe17.stock.stock_rows import lock_subject


@dataclass(eq=False, repr=False)
class PublishRequests(Poll):
    """Reads the products that changed; what RetailOps never said it has stays as it is.

    Used by one sender of facts at a time (R13); no fact is sent again to find out which obstacles are gone.
    """

    _api: Api
    _integration: Integration
    _known: KnownProducts
    _locations: Locations
    _untracked: UntrackedStock
    _takes_catalogue: bool

    def __post_init__(self) -> None:
        self.every_s = self._api.options.product_poll_minutes * 60.0

    def since(
        self, since_ms: int | None, until_ms: int, waiting: Mapping[str, Sequence[str]], call: Call
    ) -> PollResult:
        """RetailOps' SKUs of the products that are to be published or unpublished, and the obstacles that are gone.

        While the flow of products is off, only obstacles of refused facts are read.  The next use reads the changed
        products anew.  Raises a `GatewayError` when nothing was read that the next poll could go on from.
        """
        is_catalogue_on = self._takes_catalogue and not (waiting and self._integration.why_off("catalog", call))
        with self._integration.using("catalog" if is_catalogue_on else "inventory", call) as settings:
            found = paging.changed(
                lambda since: self._api.pages(PATH, since, call), self._changed, since_ms, until_ms,
                overlap_s=settings.poll_overlap_s,
            )  # fmt: skip
            self._known.forget(product.sku for product in found.items)
            mapping = settings.skus
            gone = self._gone(waiting, found.items, mapping, call) if waiting else ()
        names = [_requested(product, mapping) for product in found.items] if is_catalogue_on else []
        collided = self._known.take_collided()
        return PollResult(tuple(filter(None, names)), found.until_ms, found.is_all, gone, collided)

    def _changed(self, row: Any) -> tuple[str, int | None, Product] | None:
        product = read_product(row, self._api.integration_id)
        return None if product is None else (product.product_id, product.updated_ms, product)

    def _gone(
        self, waiting: Mapping[str, Sequence[str]], changed: Collection[Product], mapping: SkuMapping, call: Call
    ) -> tuple[Obstacle, ...]:
        """Those of the waiting subjects that stand in the way no more; `changed` are products that changed lately.

        Locations and locked records are each one list, read only where something waits for one.
        """
        names = {name for product in changed for name in _names(product, mapping)}
        unlocked = {product.sku for product in changed if not product.is_locked}
        locks = set(waiting.get("lock", ()))
        records = {subject for subject in locks if " " in subject and subject not in unlocked}
        found = [Obstacle("product", name) for name in waiting.get("product", ()) if name in names]
        found += [Obstacle("lock", sku) for sku in sorted(locks & unlocked)]
        if waiting.get("location") or records:
            found += self._gone_by_location(waiting.get("location", ()), sorted(records), call)
        return tuple(found)

    def _gone_by_location(self, facilities: Sequence[str], records: Sequence[str], call: Call) -> list[Obstacle]:
        """Nothing where Pipe17 does not show them now."""
        try:
            self._locations.forget()
            served = self._locations.served(call)
            found = [Obstacle("location", facility) for facility in facilities if served.find(facility)]
            if records:
                self._untracked.forget()
                locked = {lock_subject(*key) for key in self._untracked.of(served.ids, call)}
                # Beyond what was read any record may be locked; it waits for its next statement.
                found += [Obstacle("lock", item) for item in records if self._untracked.is_all and item not in locked]
        except GatewayError:
            return []
        return found


def _requested(product: Product, mapping: SkuMapping) -> str:
    """RetailOps' SKU of a product that is to be published or unpublished; "" for any other."""
    if product.own is None or product.own.status not in (TO_BE_PUBLISHED, TO_BE_UNPUBLISHED):
        return ""
    return mapping.to_partner.get(product.sku) or product.our_sku


def _names(product: Product, mapping: SkuMapping) -> set[str]:
    """Whatever RetailOps may call the product, and its own SKU."""
    own = product.own.sku if product.own is not None else ""
    return {name for name in (product.sku, own, mapping.to_partner.get(product.sku, "")) if name}
