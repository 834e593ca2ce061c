"""Finds products by the SKU they have at RetailOps: no list of Pipe17's can be filtered by it, so all are read."""

from __future__ import annotations

from typing import Final

from app.domain import moments
from app.errors import GatewayError
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import KEPT_S, Api
from app.gateways.vendors.pipe17.products.product_cache import PATH, ProductCache
from app.gateways.vendors.pipe17.products.product_rows import Product, read_product

WALK_PAGE: Final = 500
"""Products on a page of the walk through all of them, the most Pipe17 gives."""

LOOK_PAGES: Final = 10
"""Pages of all products read at a time, in search of channel SKUs; the rest follows the next time."""

OVERLAP_S: Final = 600.0
"""How far back each later search looks beyond the newest change seen."""


class ChannelSkus:
    """Every product that has another name on our side: read once, some pages at a time, and later what has changed."""

    def __init__(self, api: Api, integration_id: str, cache: ProductCache) -> None:
        self._api = api
        self._integration_id = integration_id
        self._cache = cache
        self._carrying: dict[str, dict[str, tuple[int, str]]] = {}
        """By our SKU each product that carries it: when it was made and its SKU, by its id."""
        self._by_product: dict[str, str] = {}
        self._blanked: dict[str, dict[str, str]] = {}
        """By our SKU without blanks at its ends the SKU, by its id, of each product whose name has such blanks."""
        self._newest_ms = 0
        self._since = ""
        self._skip: int | None = 0
        self._seen: set[str] = set()
        self.is_complete = False
        """True once every product has been read."""
        self._read_at = 0.0

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
            if self._api.now() - self._read_at < KEPT_S:
                return True
            self._begin_again()
        try:
            for _ in range(LOOK_PAGES):
                self._read_page(call)
                if self._skip is None:
                    break
        except GatewayError:
            if not self.is_complete:
                raise
        return self.is_complete

    def _begin_again(self) -> None:
        self._skip = 0
        self._seen.clear()
        if self._newest_ms:
            self._since = moments.moment_text(max(self._newest_ms - int(OVERLAP_S * 1000), 0))

    def _read_page(self, call: Call) -> None:
        skip = self._skip or 0
        params = {"order": "createdAt", **({"updatedSince": self._since} if self._since else {})}
        requested_at = self._api.now()
        page = self._api.page(PATH, params, call, skip=skip, count=WALK_PAGE)
        products = [item for row in page.rows if (item := read_product(row, self._integration_id))]
        fresh = {product.product_id for product in products} - self._seen
        self._seen |= fresh
        self._cache.keep(products, requested_at)
        for product in products:
            self._keep(product)
        # A list that brings nothing new would go on for ever.
        self._skip = page.next_skip if fresh else None
        if self._skip is None:
            self.is_complete = True
            self._read_at = self._api.now()

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
