"""Products in Pipe17's JSON, each way (contract 3.8)."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from app.domain.catalogue import Item
from app.domain.moments import ms_if_any
from app.gateways.wire_objects import Id, Json, Moment, Parts, Switch, Text, encode, read, wire, write

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
    """What a product is on one side, in a row of `published`."""

    integration_id: str = wire(Id("integrationId"))
    status: str = wire(Text("status"))
    ext_product_id: str = wire(Id("extProductId"))
    sku: str = wire(Id("sku"))
    """What that side calls the product, where it has another name there."""
    is_untracked: bool = wire(Switch("inventoryNotTracked"))


@dataclass(frozen=True)
class Product:
    """Of a product, what decides what we may send of it."""

    product_id: str = wire(Id("productId", is_required=True))
    sku: str = wire(Id("sku", is_required=True))
    status: str = wire(Text("status"))
    owner: str = wire(Id("integration"))
    """Integration that made it; "" when a user did."""
    is_untracked: bool = wire(Switch("inventoryNotTracked"))
    created_at: datetime | None = wire(Moment("createdAt"))
    updated_at: datetime | None = wire(Moment("updatedAt"))
    published: tuple[Published, ...] = wire(Parts("published", Published))
    own: Published | None = None
    """Our integration's own row, the only one that is kept."""

    @property
    def our_sku(self) -> str:
        """What it is called on our side."""
        return self.own.sku if self.own is not None and self.own.sku else self.sku

    @property
    def is_locked(self) -> bool:
        """True when its stock is to be left out (contract 4.1, do-not-track)."""
        return self.is_untracked or (self.own is not None and self.own.is_untracked)

    @property
    def created_ms(self) -> int | None:
        return ms_if_any(self.created_at)

    @property
    def updated_ms(self) -> int | None:
        return ms_if_any(self.updated_at)


def read_product(row: Any, integration_id: str) -> Product | None:
    """None for a row that is no product any more, or of which not even id and SKU can be read."""
    product = read(Product, row)
    if product is None or product.status == DELETED:
        return None
    own = [item for item in product.published if integration_id and item.integration_id == integration_id]
    return replace(product, published=(), own=own[0] if own else None)


def spelling(sku: str) -> str:
    """The same for SKUs that a list which heeds a filter may take for one: case, blanks and unicode form apart."""
    return " ".join(unicodedata.normalize("NFKC", sku).split()).casefold()


def mapped(integration_id: str, status: str, ext_product_id: str = "", channel_sku: str = "") -> Json:
    """Our own row of `published`; an empty part is not touched."""
    return write(Published(integration_id, status, ext_product_id, channel_sku))


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
