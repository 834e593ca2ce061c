"""What RetailOps calls the goods of a shipping request: by the setting's pairs, else by each product's own row.

Pipe17 does not translate SKUs for API-based integrations (contract 4.1), so it is done here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from typing import Final

from app.errors import Misconfigured
from app.gateways.interface import Call
from app.gateways.vendors.pipe17.connection.api import Api, unreadable
from app.gateways.vendors.pipe17.connection.connector_settings import SkuMapping
from app.gateways.vendors.pipe17.products.known_products import KEPT_S, PATH, batches
from app.gateways.vendors.pipe17.products.product_rows import read_product, spelling

FORBIDDEN: Final = "HTTP_403"

log = logging.getLogger(__name__)


class OrderSkus:
    """Asks Pipe17 once in ten minutes for a SKU; used by every thread that reads orders."""

    def __init__(self, api: Api, integration_id: str, channel: str) -> None:
        self._api = api
        self._integration_id = integration_id
        self._channel = channel
        self._lock = threading.Lock()
        self._channel_skus: dict[str, tuple[float, str]] = {}
        self._is_withheld = False

    def partner_skus(self, pipe17_skus: Collection[str], mapping: SkuMapping, call: Call) -> Mapping[str, str]:
        """RetailOps' SKU by Pipe17's, where they differ; a pair of the setting goes before a product's own row.

        A bare key has no row of its own.  Raises a `GatewayError` when products cannot be read just now, for an
        order under a wrong SKU would be worse than a late one; a key that may never read them has the pairs only.
        """
        found = {sku: mapping.to_partner[sku] for sku in pipe17_skus if sku in mapping.to_partner}
        if self._integration_id:
            rows = self._rows([sku for sku in dict.fromkeys(pipe17_skus) if sku and sku not in found], call)
            found |= {sku: name for sku, name in rows.items() if name}
        return found

    def _rows(self, skus: Collection[str], call: Call) -> dict[str, str]:
        """The channel SKU of each, "" where there is none."""
        oldest = self._api.now() - KEPT_S
        with self._lock:
            known = {
                sku: name
                for sku, (asked_at, name) in ((sku, self._channel_skus.get(sku, (0.0, ""))) for sku in skus)
                if sku in self._channel_skus and asked_at > oldest
            }
        for some in batches([sku for sku in skus if sku not in known]):
            asked_at = self._api.now()
            answered = self._ask(some, call)
            with self._lock:
                self._channel_skus |= {sku: (asked_at, answered.get(sku, "")) for sku in some}
            known |= answered
        return known

    def _ask(self, skus: Collection[str], call: Call) -> dict[str, str]:
        """Raises `BrokenReply` when the list did not heed the SKUs: they would all read as untranslated."""
        asked = {spelling(sku) for sku in skus}
        found: dict[str, str] = {}
        try:
            for rows in self._api.pages(PATH, "products", {"sku": ",".join(skus)}, call):
                for product in (read_product(row, self._integration_id) for row in rows):
                    if product is None:
                        continue
                    if spelling(product.sku) not in asked:
                        raise unreadable(PATH)
                    if product.own is not None:
                        found[product.sku] = product.own.sku
        except Misconfigured as error:
            if error.code != FORBIDDEN:
                raise
            if not self._is_withheld:
                message = "channel %s: pipe17 does not let products be read; SKUs are translated by the setting alone"
                log.warning(message, self._channel)
            self._is_withheld = True
        return found
