"""The SKUs of a pushed product: what Pipe17 was sent of each, and whether it is published there (contract 4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from app.domain.catalogue import Item, ProductChange, ProductSent, Refusal
from app.domain.facts import Obstacle
from app.gateways.vendors.pipe17.products import product_rows
from app.gateways.vendors.pipe17.products.known_products import Match
from app.gateways.vendors.pipe17.products.product_rows import Published, mapped
from app.gateways.wire_objects import Json

PublishState = Literal["published", "off", "withdrawn"]
"""published: RetailOps has it; off: RetailOps has switched it off; withdrawn: Pipe17's people do not want it here."""


class LastSent(msgspec.Struct, frozen=True, array_like=True):
    """What Pipe17 accepted last about one SKU."""

    pipe17_sku: str
    ext_product_id: str
    state: PublishState
    fields: str = ""
    """Digest of the further fields, of a product that is ours at Pipe17."""


Note = dict[str, LastSent]
"""By RetailOps' SKU."""


def status_for(
    own: Published | None, last: LastSent | None, ext_product_id: str, *, is_enabled: bool
) -> tuple[str, PublishState]:
    """The status to have in our own row ("": leave the row alone), and what to remember of it.

    A row that Pipe17's people unpublished or disabled stays so until they say otherwise; one that we
    unpublished, because RetailOps had switched the product off or gave its SKU to another, comes back.
    """
    match own.status if own else "":
        case product_rows.DISABLED:
            return "", "withdrawn"
        case product_rows.TO_BE_UNPUBLISHED:
            return product_rows.UNPUBLISHED, "withdrawn"
        case product_rows.UNPUBLISHED if not is_enabled:
            return "", "withdrawn" if last is not None and last.state == "withdrawn" else "off"
        case product_rows.UNPUBLISHED:
            was_ours = last is not None and last.state == "off"
            was_anothers = last is None and own is not None and own.ext_product_id not in ("", ext_product_id)
            return (product_rows.PUBLISHED, "published") if was_ours or was_anothers else ("", "withdrawn")
    if is_enabled:
        return product_rows.PUBLISHED, "published"
    return (product_rows.UNPUBLISHED, "off") if own else ("", "off")


@dataclass(eq=False)
class Sending:
    """A change, and what has become of it so far."""

    change: ProductChange
    before: Note
    note: Note = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    is_open: bool = False

    def result(self) -> ProductSent:
        return ProductSent(self.change.key, msgspec.json.encode(self.note), tuple(self.refusals))


@dataclass(frozen=True, eq=False)
class Unit:
    """One SKU of a change; `item` is None for one RetailOps has no more."""

    sending: Sending
    sku: str
    item: Item | None
    product_id: str
    parent_id: str = ""

    @property
    def last_sent(self) -> LastSent | None:
        return self.sending.before.get(self.sku)

    @property
    def is_enabled(self) -> bool:
        return self.item is not None and self.item.is_enabled is not False

    @property
    def is_settled(self) -> bool:
        return self.sku in self.sending.note or any(refusal.sku == self.sku for refusal in self.sending.refusals)

    def settle(self, last: LastSent | None) -> None:
        """What is off stays noted when RetailOps has it no more: should it come back, that was no one else's doing."""
        if last is not None and (self.item is not None or last.state == "off"):
            self.sending.note[self.sku] = last

    def refuse(self, reason: str, missing: str = "") -> None:
        """`missing` is the SKU of a product that Pipe17 has not, where it may be made later."""
        obstacles = (Obstacle("product", missing),) if missing else ()
        self.sending.refusals.append(Refusal(reason, self.sku, self.product_id, obstacles))
        self.settle(self.last_sent)


def row_change(integration_id: str, unit: Unit, match: Match, last: LastSent | None) -> tuple[Json, PublishState]:
    """Our own row as it is to be, {} where it is so already, and what to remember of it; see `status_for`."""
    own = match.product.own if match.product else None
    status, state = status_for(own, last, unit.product_id, is_enabled=unit.is_enabled)
    if not status:
        return {}, state
    if status == product_rows.UNPUBLISHED:
        return mapped(integration_id, status) if own is None or own.status != status else {}, state
    channel_sku = unit.sku if unit.sku != match.pipe17_sku or (own is not None and own.sku) else ""
    number = unit.product_id or (own.ext_product_id if own else "")
    if own is not None and (own.status, own.ext_product_id, own.sku) == (status, number, channel_sku):
        return {}, state
    return mapped(integration_id, status, number, channel_sku), state


def units_of(sendings: Sequence[Sending]) -> Iterator[Unit]:
    """Every SKU to be looked at: those RetailOps has, and those it had when they were sent last."""
    current = [(sending, list(stated_units(sending))) for sending in sendings]
    held = {unit.sku for _, units in current for unit in units}
    for sending, units in current:
        yield from units
        for sku, last in sending.before.items():
            if sku in held:
                continue  # Also where another product of this very push has it now: it is sent with that one.
            if last.state == "off":
                sending.note[sku] = last
            else:
                yield Unit(sending, sku, None, last.ext_product_id)


def stated_units(sending: Sending) -> Iterator[Unit]:
    """Every SKU that RetailOps has, once."""
    product = sending.change.product
    first: dict[str, Item] = {}
    for item in product.units if product else ():
        first.setdefault(item.sku, item)
    for sku, item in first.items():
        if product and sku:
            yield Unit(sending, sku, item, item.product_id or product.item.product_id, product.item.product_id)
