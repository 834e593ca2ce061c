"""A poll for what Pipe17's people change between two statements of RetailOps: publish requests, and whatever stood in
the way of a refused fact (contract 4.1, R13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.facts import Wished
from app.gateways.interface import Call
from app.gateways.vendors.pipe17.connection import paging
from app.gateways.vendors.pipe17.connection.api import Api
from app.gateways.vendors.pipe17.connection.connector_settings import IntegrationSettings
from app.gateways.vendors.pipe17.products.known_products import KnownProducts
from app.gateways.vendors.pipe17.products.obstacles import Obstacles
from app.gateways.vendors.pipe17.products.product_cache import PATH
from app.gateways.vendors.pipe17.products.product_rows import TO_BE_PUBLISHED, TO_BE_UNPUBLISHED, Product, read_product


class PublishRequests:
    """Reads the products that changed; what RetailOps never said it has stays as it is."""

    def __init__(self, api: Api, integration_id: str, known: KnownProducts, obstacles: Obstacles) -> None:
        self._api = api
        self._integration_id = integration_id
        self._known = known
        self._obstacles = obstacles

    def since(
        self,
        since_ms: int | None,
        now_ms: int,
        waiting: Mapping[str, Sequence[str]],
        settings: IntegrationSettings,
        call: Call,
    ) -> Wished:
        """RetailOps' SKUs of the products that are to be published or unpublished, and the obstacles that are gone.

        What was believed of the products that changed is read anew by the next use.
        Raises a `GatewayError` when nothing was read that the next poll could go on from.
        """

        def read(row: Any) -> tuple[str, int | None, tuple[str, Product]] | None:
            product = read_product(row, self._integration_id)
            if product is None:
                return None
            name = ""
            if product.own is not None and product.own.status in (TO_BE_PUBLISHED, TO_BE_UNPUBLISHED):
                name = settings.sku_mapping.to_partner.get(product.sku) or product.own.sku or product.sku
            return product.product_id, product.updated_ms, (name, product)

        found = paging.changed(
            lambda since: self._api.pages(PATH, since, call), read, since_ms, now_ms, overlap_s=settings.poll_overlap_s
        )
        changed = [product for _, product in found.items]
        self._known.forget(product.sku for product in changed)
        return Wished(
            tuple(name for name, _ in found.items if name),
            found.until_ms,
            found.is_all,
            self._obstacles.gone(waiting, changed, settings.sku_mapping, call) if waiting else (),
            self._known.take_collided(),
        )
