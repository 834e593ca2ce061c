"""Reads the packages of shipments, which three callbacks state alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.contract.reading import entries, mapping, moment, number, opaque, optional_amount, text, whole
from app.domain.commands import Package, PackageLine


@dataclass(frozen=True)
class StatedPackage:
    """A package as the payload states it: its order is not resolved and its lines are not matched yet."""

    package: Package
    stated: tuple[PackageLine, ...]
    """Its items, those without units left out."""
    package_id: str = ""
    is_named_twice: bool = False
    """Whether the payload states the package before as well, with other contents or another label."""

    @property
    def is_blank(self) -> bool:
        """True for a package of zeros, as an old caller sends them beside good ones: it holds and names nothing."""
        return not self.stated and not self.package.tracking_number


def read_shipments(shipments: object) -> list[StatedPackage]:
    """Every package of a list of shipments, in its order."""
    return [
        _read_package(number(shipment.get("retailops_shipment_id")), raw)
        for shipment in map(mapping, entries(shipments))
        for raw in map(mapping, entries(shipment.get("packages")))
    ]


def _read_package(shipment_id: str, raw: Mapping[str, Any]) -> StatedPackage:
    items = [
        PackageLine(opaque(item.get("channel_item_refnum")), opaque(item.get("sku")), whole(item.get("quantity")))
        for item in map(mapping, entries(raw.get("package_items")))
    ]
    package = Package(
        order_refnum="",
        key="",
        lines=(),
        retailops_shipment_id=shipment_id,
        carrier_name=text(raw.get("carrier_name")),
        carrier_class_name=text(raw.get("carrier_class_name")),
        channel_ship_code=text(raw.get("channel_ship_code")),
        tracking_number=text(raw.get("tracking_number")),
        weight_kg=optional_amount(raw.get("weight_kg")),
        shipped_at=moment(raw.get("date_shipped")),
    )
    stated = tuple(item for item in items if item.quantity > 0)
    return StatedPackage(package, stated, number(raw.get("retailops_package_id")))
