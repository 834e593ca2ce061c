"""Finds out which obstacles of refused stock are gone at Pipe17, without sending any of it again (R13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from app.domain.facts import Obstacle
from app.errors import GatewayError
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.locations import Locations
from app.gateways.vendors.pipe17.options import SkuMapping
from app.gateways.vendors.pipe17.products.product_rows import Product
from app.gateways.vendors.pipe17.stock.stock_rows import lock_subject
from app.gateways.vendors.pipe17.stock.untracked_stock import UntrackedStock


class Obstacles:
    """What one key sees.  Used by one sender of facts at a time (R13)."""

    def __init__(self, locations: Locations, untracked: UntrackedStock) -> None:
        self._locations = locations
        self._untracked = untracked

    def gone(
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
            found += self._of_locations(waiting.get("location", ()), sorted(records), call)
        return tuple(found)

    def _of_locations(self, facilities: Sequence[str], records: Sequence[str], call: Call) -> list[Obstacle]:
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


def _names(product: Product, mapping: SkuMapping) -> set[str]:
    """Whatever RetailOps may call the product, and its own SKU."""
    own = product.own.sku if product.own is not None else ""
    return {name for name in (product.sku, own, mapping.to_partner.get(product.sku, "")) if name}
