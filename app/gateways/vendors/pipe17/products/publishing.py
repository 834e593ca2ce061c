"""Decides whether a product is published at Pipe17, apart from the calls (contract 4.1, product channel sync)."""

from __future__ import annotations

from typing import Literal

import msgspec

from app.gateways.vendors.pipe17.products.known_products import Match
from app.gateways.vendors.pipe17.products.product_rows import (
    DISABLED,
    PUBLISHED,
    TO_BE_UNPUBLISHED,
    UNPUBLISHED,
    Published,
    mapped,
)
from app.gateways.wire_objects import Json

State = Literal["published", "off", "withdrawn"]
"""published: RetailOps has it; off: RetailOps has switched it off; withdrawn: Pipe17's people do not want it here."""


class LastSent(msgspec.Struct, frozen=True, array_like=True):
    """What Pipe17 accepted last about one SKU."""

    pipe17_sku: str
    ext_product_id: str
    state: State
    fields: str = ""
    """Digest of the further fields, of a product that is ours at Pipe17."""


Note = dict[str, LastSent]
"""By RetailOps' SKU."""


def status_for(
    own: Published | None, last: LastSent | None, ext_product_id: str, *, is_enabled: bool
) -> tuple[str, State]:
    """The status to have in our own row ("": leave the row alone), and what to remember of it.

    A row that Pipe17's people unpublished or disabled stays so until they say otherwise; one that we
    unpublished, because RetailOps had switched the product off or gave its SKU to another, comes back.
    """
    match own.status if own else "":
        case status if status == DISABLED:
            return "", "withdrawn"
        case status if status == TO_BE_UNPUBLISHED:
            return UNPUBLISHED, "withdrawn"
        case status if status == UNPUBLISHED and not is_enabled:
            return "", "withdrawn" if last is not None and last.state == "withdrawn" else "off"
        case status if status == UNPUBLISHED:
            was_ours = last is not None and last.state == "off"
            was_anothers = last is None and own is not None and own.ext_product_id not in ("", ext_product_id)
            return (PUBLISHED, "published") if was_ours or was_anothers else ("", "withdrawn")
    if is_enabled:
        return PUBLISHED, "published"
    return (UNPUBLISHED, "off") if own else ("", "off")


def row_change(
    integration_id: str, sku: str, match: Match, own: Published | None, status: str, ext_product_id: str
) -> Json:
    """Our own row as it is to be, {} where it is so already."""
    if not status:
        return {}
    if status == UNPUBLISHED:
        return mapped(integration_id, status) if own is None or own.status != status else {}
    channel_sku = sku if sku != match.pipe17_sku or (own is not None and own.sku) else ""
    number = ext_product_id or (own.ext_product_id if own else "")
    if own is not None and (own.status, own.ext_product_id, own.sku) == (status, number, channel_sku):
        return {}
    return mapped(integration_id, status, number, channel_sku)
