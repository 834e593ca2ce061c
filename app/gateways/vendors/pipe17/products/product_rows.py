"""Products in Pipe17's JSON, each way (contract 3.8)."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.domain.catalogue import Item
from app.gateways.vendors.pipe17.connection.moments import read_ms
from app.gateways.vendors.pipe17.connection.reading import read_id
from app.gateways.vendors.pipe17.payloads import Json, encode

PUBLISHED: Final = "published"
UNPUBLISHED: Final = "unpublished"
TO_BE_PUBLISHED: Final = "tobepublished"
TO_BE_UNPUBLISHED: Final = "tobeunpublished"
DISABLED: Final = "disabled"
DELETED: Final = "deleted"
"""A product with this `status` is gone [inferred]."""

MAPPED: Final = "mappedProduct"
BASE_PRICE: Final = "base"
"""Name of the price we give a product we create [inferred*]."""


@dataclass(frozen=True)
class Published:
    """What a product is on our side: our integration's own row of `published`."""

    status: str
    ext_product_id: str
    sku: str
    """What we call the product, where it has another name here."""
    is_untracked: bool


@dataclass(frozen=True)
class Product:
    """Of a product, what decides what we may tell about it."""

    product_id: str
    sku: str
    owner: str
    """Integration that made it; "" when a user did."""
    is_untracked: bool
    updated_ms: int | None
    own: Published | None = None
    created_ms: int | None = None

    @property
    def our_sku(self) -> str:
        """What it is called on our side."""
        return self.own.sku if self.own is not None and self.own.sku else self.sku

    @property
    def is_locked(self) -> bool:
        """True when nobody wants to hear its stock (contract 4.1, do-not-track)."""
        return self.is_untracked or (self.own is not None and self.own.is_untracked)


def read_product(row: Any, integration_id: str) -> Product | None:
    """None for a row that is no product any more, or of which not even id and SKU can be read."""
    if not isinstance(row, Mapping):
        return None
    product_id, sku = read_id(row.get("productId")), read_id(row.get("sku"))
    if not product_id or not sku or read_id(row.get("status")).strip() == DELETED:
        return None
    rows = row.get("published")
    found = [item for item in rows if isinstance(item, Mapping)] if isinstance(rows, list) else []
    own = next((item for item in found if integration_id and item.get("integrationId") == integration_id), None)
    return Product(
        product_id,
        sku,
        read_id(row.get("integration")),
        row.get("inventoryNotTracked") is True,
        read_ms(read_id(row.get("updatedAt")).strip()),
        None if own is None else _published(own),
        read_ms(read_id(row.get("createdAt")).strip()),
    )


def _published(row: Mapping[str, Any]) -> Published:
    return Published(
        status=read_id(row.get("status")).strip(),
        ext_product_id=read_id(row.get("extProductId")),
        sku=read_id(row.get("sku")),
        is_untracked=row.get("inventoryNotTracked") is True,
    )


def spelling(sku: str) -> str:
    """The same for SKUs that a list which heeds a filter may take for one: case, blanks and unicode form apart."""
    return " ".join(unicodedata.normalize("NFKC", sku).split()).casefold()


def mapped(integration_id: str, status: str, ext_product_id: str = "", channel_sku: str = "") -> Json:
    """Our own row of `published`; an empty part is not touched."""
    row = {"integrationId": integration_id, "extProductId": ext_product_id, "sku": channel_sku, "status": status}
    return {name: value for name, value in row.items() if value}


def fields_of(unit: Item, parent_product_id: str) -> Json:
    """What RetailOps states of a product, for one that is ours at Pipe17; weights are left out, having no unit."""
    found: Json = {"name": unit.title or unit.sku, "types": ["simple"]}
    stated: Json = {
        "description": unit.description,
        "vendor": unit.vendor,
        "extProductId": unit.product_id,
        "parentExtProductId": parent_product_id if parent_product_id != unit.product_id else "",
        "imageURLs": list(unit.pictures),
        "variantOptions": [{"name": name, "value": value} for name, value in unit.options or ()],
    }
    found |= {name: value for name, value in stated.items() if value}
    if unit.taxable is not None:
        found["taxable"] = unit.taxable
    if unit.price is not None:
        currency = {"currency": unit.currency} if unit.currency else {}
        found["prices"] = [{"name": BASE_PRICE, "value": unit.price, **currency}]
    return found


def digest(fields: Json) -> str:
    """The same for the same fields."""
    return hashlib.sha256(encode(fields)).hexdigest()[:16]
