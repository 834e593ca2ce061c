"""The SKUs of a pushed product, each with what Pipe17 was sent of it before and what becomes of it now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from app.domain.catalogue import Item, Product, ProductChange, ProductSent, Refusal
from app.domain.facts import Obstacle
from app.gateways.vendors.pipe17.products.publishing import LastSent, Note


@dataclass
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


def units_of(sendings: Sequence[Sending]) -> Iterator[Unit]:
    """Every SKU to be looked at: those RetailOps has, and those it had when they were sent last."""
    current = [(sending, list(_stated(sending))) for sending in sendings]
    held = {unit.sku for _, units in current for unit in units}
    for sending, units in current:
        yield from units
        own = {unit.sku for unit in units}
        for sku, last in sending.before.items():
            # A SKU that another product of this very push has now is sent with that one.
            if sku in own or sku in held:
                continue
            if last.state == "off":
                sending.note[sku] = last
            else:
                yield Unit(sending, sku, None, last.ext_product_id)


def _stated(sending: Sending) -> Iterator[Unit]:
    product: Product | None = sending.change.product
    if product is None:
        return
    seen = set()
    for unit in product.units:
        if unit.sku and unit.sku not in seen:
            seen.add(unit.sku)
            product_id = unit.product_id or product.item.product_id
            yield Unit(sending, unit.sku, unit, product_id, product.item.product_id)
