"""Finds products by the SKU they have at RetailOps: no list of Pipe17's can be filtered by it, so all are read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

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


class _Named(NamedTuple):
    """A product that has another name on our side; the order is by age."""

    created_ms: int
    product_id: str
    sku: str
    our_sku: str
    is_carrying: bool
    """True where its own row says our SKU."""


class ChannelSkus:
    """Every product that has another name on our side: read once, some pages at a time, and later what has changed."""

    def __init__(self, api: Api, cache: ProductCache) -> None:
        self._api = api
        self._cache = cache
        self._alike: dict[str, dict[str, _Named]] = {}
        """By our SKU without blanks at its ends the products of that name, by id."""
        self._keys: dict[str, str] = {}
        """Where each of them stands there, by its id."""
        self._newest_ms = 0
        self._since = ""
        self._skip: int | None = 0
        self._seen: set[str] = set()
        self.is_complete = False
        """True once every product has been read."""
        self._read_at = 0.0

    def carrying(self, sku: str) -> list[str]:
        """Pipe17's SKUs of the products that carry our SKU, the oldest product first."""
        return [item.sku for item in sorted(self._named(sku)) if item.is_carrying and item.our_sku == sku]

    def but_for_blanks(self, sku: str) -> list[str]:
        """Pipe17's SKUs of the products that we call so but for blanks at the ends."""
        return sorted(item.sku for item in self._named(sku) if item.our_sku != item.our_sku.strip())

    def _named(self, sku: str) -> Collection[_Named]:
        return self._alike.get(sku.strip(), {}).values()

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
            self._skip = 0
            self._seen.clear()
            if self._newest_ms:
                self._since = moments.moment_text(max(self._newest_ms - int(OVERLAP_S * 1000), 0))
        try:
            for _ in range(LOOK_PAGES):
                self._read_page(call)
                if self._skip is None:
                    break
        except GatewayError:
            if not self.is_complete:
                raise
        return self.is_complete

    def _read_page(self, call: Call) -> None:
        skip = self._skip or 0
        params = {"order": "createdAt", **({"updatedSince": self._since} if self._since else {})}
        requested_at = self._api.now()
        page = self._api.page(PATH, params, call, skip=skip, count=WALK_PAGE)
        products = [item for row in page.rows if (item := read_product(row, self._api.integration_id))]
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
        self._newest_ms = max(self._newest_ms, product.updated_ms or 0)
        before = self._keys.pop(product.product_id, None)
        if before is not None:
            del self._alike[before][product.product_id]
            if not self._alike[before]:
                del self._alike[before]
        name, is_carrying = product.our_sku, product.own is not None and product.own.sku != ""
        if is_carrying or name != name.strip():
            named = _Named(product.created_ms or 0, product.product_id, product.sku, name, is_carrying)
            self._alike.setdefault(name.strip(), {})[product.product_id] = named
            self._keys[product.product_id] = name.strip()
