"""How a shipping request becomes an order: quantities and addresses as they are, no money (R20)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from app.domain.attributes import numbered
from app.domain.orders import Address as OrderAddress
from app.domain.orders import Attribute, HeldBack, Order, OrderLine, OrderSketch, SketchLine
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import Api, NoGrant
from app.gateways.vendors.pipe17.options import Pipe17Options, SkuMapping
from app.gateways.vendors.pipe17.orders.shipments import CANCELLED, Address, Line, Shipment
from app.gateways.vendors.pipe17.products.product_cache import ProductCache

ANY_METHOD: Final = "*"
"""Name in the table of shipping methods that stands for any it does not list."""

NOWHERE: Final = Address()

WITHHELD_S: Final = 600.0
"""How long a key that may not read products is not tried again."""

_ATTRIBUTES: Final = (
    "ext_shipment_id", "ext_order_id", "order_source", "order_source_type", "location_id", "facility_name", "bundles",
    "shipping_code", "shipping_carrier", "shipping_class", "shipping_price", "shipping_note", "incoterms",
    "ship_by_date", "ship_after_date", "ship_cancel_by_date", "expected_ship_date", "expected_delivery_date",
    "hold_until",
)  # fmt: skip
"""What an order keeps of its request, in this order."""

log = logging.getLogger(__name__)


def to_order(
    shipment: Shipment, settings: Pipe17Options, partner_skus: Mapping[str, str], facility: str = ""
) -> Order | HeldBack:
    """The order RetailOps gets for a shipping request (contract 4.2, R20): quantities, no money.

    Lines stay as they are, also those of a bundle that Pipe17 has broken up or kept (contract 4.1).
    `partner_skus` are RetailOps' SKUs by Pipe17's, where they differ; `facility` is RetailOps' name of the place the
    request was routed to.
    """
    problem = _problem(shipment)
    created_at = shipment.order_created_at or shipment.created_at
    address = shipment.address or NOWHERE
    if problem or created_at is None:
        return HeldBack(shipment.shipment_id, problem)
    return Order(
        refnum=shipment.shipment_id,
        created_at=created_at,
        currency_code=shipment.currency.upper() or settings.default_currency,
        ship_service_code=ship_service_code(shipment, settings),
        shipping_address=OrderAddress(**{name: getattr(address, name) for name in OrderAddress.__struct_fields__}),
        lines=tuple(_to_line(line, shipment, partner_skus) for line in shipment.lines),
        email=address.email,
        full_name=f"{address.first_name} {address.last_name}".strip() or address.company,
        phone_number=address.phone_number,
        gift_message=shipment.gift_note,
        attributes=attributes(shipment, facility),
        tags=shipment.tags,
        is_cancelled=shipment.status in CANCELLED,
        carries_money=False,
        source_number=shipment.ext_order_id,
    )


def _problem(shipment: Shipment) -> str:
    """Why no right order can be made of it; "" when one can."""
    if shipment.created_at is None and shipment.order_created_at is None:
        return "the shipping request has no time of creation"
    address = shipment.address or NOWHERE
    # A cancelled request goes nowhere, and privacy rules may have blanked where it was to go.
    if shipment.status not in CANCELLED and not (address.address1 or address.city or address.postal_code):
        return "the shipping request has no address"
    if any(line.quantity != line.quantity.to_integral_value() for line in shipment.lines):
        return "a line's quantity is not a whole number"
    ids = [line.unique_id for line in shipment.lines]
    if not all(ids):
        return "a line has no uniqueId, so its fulfilment could not be reported"
    if len(set(ids)) != len(ids):
        return "two lines have the same uniqueId"
    return ""


def to_sketch(shipment: Shipment, partner_skus: Mapping[str, str]) -> OrderSketch:
    """What the core remembers of a request; a fraction of a unit counts as none."""
    lines = tuple(
        SketchLine(line.unique_id, partner_skus.get(line.sku, line.sku), int(line.quantity), line.sku)
        for line in shipment.lines
    )
    return OrderSketch(shipment.shipment_id, lines, source_number=shipment.ext_order_id)


def ship_service_code(shipment: Shipment, settings: Pipe17Options) -> str:
    """RetailOps' word for the method: by our own table, else as Pipe17 names it, else the default.

    Pipe17 has mapped the method already (contract 4.1); a code that our table lacks is passed on as it is, so
    that RetailOps shows it, unless the table has a "*".
    """
    method = shipment.shipping_code
    # Carrier and class count only together (contract 4.1).
    if not method and shipment.shipping_carrier and shipment.shipping_class:
        method = f"{shipment.shipping_carrier} {shipment.shipping_class}"
    if not method:
        return settings.default_ship_code
    by_name = {name.casefold(): code for name, code in settings.shipping_methods.items()}
    return by_name.get(method.casefold()) or by_name.get(ANY_METHOD) or method


def _to_line(line: Line, shipment: Shipment, partner_skus: Mapping[str, str]) -> OrderLine:
    return OrderLine(
        refnum=line.unique_id,
        sku=partner_skus.get(line.sku, line.sku),
        source_sku=line.sku,
        quantity=int(line.quantity),
        description=line.name,
        expected_ship_date=shipment.expected_ship_date or shipment.ship_by_date,
        expected_arrival_date=shipment.expected_delivery_date,
    )


def attributes(shipment: Shipment, facility: str = "") -> tuple[Attribute, ...]:
    """Original ids, figures, notes and dates."""
    price = f"{shipment.shipping_price} {shipment.currency}".strip() if shipment.shipping_price else ""
    own = {
        "facility_name": facility,
        "bundles": ", ".join(dict.fromkeys(line.bundle_sku for line in shipment.lines if line.bundle_sku)),
        "shipping_price": price,
    }
    named = {name: own[name] if name in own else _shown(getattr(shipment, name)) for name in _ATTRIBUTES}
    return tuple(Attribute(handle, value) for handle, value in numbered(named))


def _shown(value: str | datetime | None) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds") if isinstance(value, datetime) else value or ""


@dataclass(eq=False, repr=False)
class OrderSkus:
    """What RetailOps calls the goods of a request; Pipe17 translates no SKU for API-based integrations (contract 4.1).

    Used by every thread that reads orders.
    """

    _api: Api
    _products: ProductCache
    _withheld_until: float = float("-inf")

    def partner_skus(self, shipments: Iterable[Shipment], mapping: SkuMapping, call: Call) -> Mapping[str, str]:
        """RetailOps' SKU by Pipe17's, where they differ; a pair of the setting goes before a product's own row.

        A bare key has no row of its own.  Raises a `GatewayError` when products cannot be read just now, for an
        order under a wrong SKU would be worse than a late one; a key that may never read them has the pairs only.
        """
        skus = dict.fromkeys(line.sku for shipment in shipments for line in shipment.lines)
        found = {sku: mapping.to_partner[sku] for sku in skus if sku in mapping.to_partner}
        if not self._api.integration_id or self._api.now() < self._withheld_until:
            return found
        try:
            products = self._products.find([sku for sku in skus if sku and sku not in found], call)
        except NoGrant:
            if self._withheld_until < 0:
                message = "channel %s: pipe17 does not let products be read; SKUs are translated by the setting alone"
                log.warning(message, self._api.channel)
            self._withheld_until = self._api.now() + WITHHELD_S
            return found
        return found | {sku: item.own.sku for sku, item in products.items() if item and item.own and item.own.sku}
