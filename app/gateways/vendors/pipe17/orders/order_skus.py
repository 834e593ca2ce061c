"""What RetailOps calls the goods of a shipping request: by the setting's pairs, else by each product's own row.

Pipe17 does not translate SKUs for API-based integrations (contract 4.1), so it is done here.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Final

from app.errors import Misconfigured
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import FORBIDDEN, Api
from app.gateways.vendors.pipe17.options import SkuMapping
from app.gateways.vendors.pipe17.products.product_cache import ProductCache

WITHHELD_S: Final = 600.0
"""How long a key that may not read products is not tried again."""

log = logging.getLogger(__name__)


class OrderSkus:
    """Used by every thread that reads orders."""

    def __init__(self, api: Api, products: ProductCache, integration_id: str, channel: str) -> None:
        self._api = api
        self._products = products
        self._integration_id = integration_id
        self._channel = channel
        self._withheld_until = float("-inf")

    def partner_skus(self, pipe17_skus: Collection[str], mapping: SkuMapping, call: Call) -> Mapping[str, str]:
        """RetailOps' SKU by Pipe17's, where they differ; a pair of the setting goes before a product's own row.

        A bare key has no row of its own.  Raises a `GatewayError` when products cannot be read just now, for an
        order under a wrong SKU would be worse than a late one; a key that may never read them has the pairs only.
        """
        found = {sku: mapping.to_partner[sku] for sku in pipe17_skus if sku in mapping.to_partner}
        others = [sku for sku in pipe17_skus if sku and sku not in found]
        if not self._integration_id or self._api.now() < self._withheld_until:
            return found
        try:
            products = self._products.find(others, call)
        except Misconfigured as error:
            if error.code != FORBIDDEN:
                raise
            if self._withheld_until < 0:
                message = "channel %s: pipe17 does not let products be read; SKUs are translated by the setting alone"
                log.warning(message, self._channel)
            self._withheld_until = self._api.now() + WITHHELD_S
            return found
        return found | {sku: item.own.sku for sku, item in products.items() if item and item.own and item.own.sku}
