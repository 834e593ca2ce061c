"""What Pipe17 is sent; names that public sources leave open stand here and in `payloads`, and nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from app.domain.commands import Completion, Package, PackageLine
from app.gateways.vendors.pipe17.connection.moments import iso_ms
from app.gateways.vendors.pipe17.payloads import (
    CARRIER,
    CARRIER_CLASS,
    EXT_FULFILLMENT_ID,
    KILOGRAM,
    SHIP_DATE,
    TRACKING_NUMBER,
    WEIGHT,
    WEIGHT_UNIT,
    Json,
)

LONGEST_ORDER: Final = 64
"""An order's id stands in our numbers as it is up to so many characters; they are documented as 16."""

# Contract 3.6 and 2.4: guessed names, see UNVERIFIED.md.
REJECTED: Final = "rejected"
FULFILLMENT_TYPE: Final = "fulfillmentType"
ON_HAND: Final = "onHand"
UNAVAILABLE: Final = "unavailable"
FUTURE: Final = "future"


def status_change(status: str, ext_reference_id: str = "") -> Json:
    """Body of PUT /shipments/{id} (contract 2.6); an empty part is not touched."""
    body = {"status": status, "extReferenceId": ext_reference_id}
    return {name: value for name, value in body.items() if value}


def reference_change(ext_reference_id: str) -> Json:
    """Body of PUT /shipments/{id} that tells only our number of it."""
    return {"extReferenceId": ext_reference_id}


def fulfillment(package: Package, pipe17_skus: Mapping[str, str]) -> Json:
    """Body of POST /fulfillments for one parcel (contract 3.6); `pipe17_skus` by RetailOps' SKU, where they differ."""
    body: Json = {
        "shipmentId": package.order_refnum,
        EXT_FULFILLMENT_ID: number_of(package.order_refnum, package.key),
        "lineItems": _fulfilled(package.lines, pipe17_skus),
    }
    if package.tracking_number:
        body[TRACKING_NUMBER] = [package.tracking_number]
    if package.carrier_name:
        body[CARRIER] = package.carrier_name
    if package.carrier_class_name:
        body[CARRIER_CLASS] = package.carrier_class_name
    if package.shipped_at is not None:
        body[SHIP_DATE] = iso_ms(package.shipped_at)
    if package.weight_kg is not None and package.weight_kg > 0:
        body[WEIGHT] = package.weight_kg
        body[WEIGHT_UNIT] = KILOGRAM
    return body


def tracking(package: Package, carrier: str) -> Json:
    """Body of PUT /trackings/{id}, and with `fulfillmentId` of POST: what was corrected after the fulfilment was
    made (contract 3.7)."""
    body: Json = {TRACKING_NUMBER: package.tracking_number, CARRIER: carrier}
    if package.shipped_at is not None:
        body[SHIP_DATE] = iso_ms(package.shipped_at)
    return body


def rejection(completion: Completion, pipe17_skus: Mapping[str, str]) -> Json:
    """Body of POST /fulfillments for units that will never ship (contract 2.7)."""
    return {
        "shipmentId": completion.order_refnum,
        EXT_FULFILLMENT_ID: rejection_id(completion),
        FULFILLMENT_TYPE: REJECTED,
        "lineItems": _fulfilled(completion.unshipped, pipe17_skus),
    }


def rejection_id(completion: Completion) -> str:
    """One rejection per completion of an order, so its id follows from the order's and the completion's number."""
    further = f"-{completion.number}" if completion.number > 1 else ""
    return number_of(completion.order_refnum, f"{REJECTED}{further}")


def number_of(order_refnum: str, key: str) -> str:
    """Our number of a package, a return or a rejection at Pipe17.

    It holds the order, for one box, and one number of RetailOps', may serve two (R24): so a number that is taken
    already is taken by the same order.
    """
    if len(order_refnum) > LONGEST_ORDER:
        order_refnum = hashlib.sha256(order_refnum.encode()).hexdigest()[:24]
    return f"{order_refnum}-{key}"


def _fulfilled(lines: Sequence[PackageLine], pipe17_skus: Mapping[str, str]) -> list[Json]:
    """Each line under the SKU its request has, which is remembered with the order since it was fetched."""
    return [
        {
            "uniqueId": line.line_refnum,
            "sku": line.source_sku or pipe17_skus.get(line.sku, line.sku),
            "quantity": line.quantity,
        }
        for line in lines
    ]


def new_location(name: str, address: Mapping[str, str], integration_id: str) -> Json:
    """Body of POST /locations (contract 2.2)."""
    body: Json = {"name": name, "address": dict(address), "status": "active"}
    return {**body, **location_owner(integration_id)} if integration_id else body


def location_owner(integration_id: str) -> Json:
    """Body of PUT /locations/{id} that lets routed requests reach an integration (contract 3.10)."""
    return {"fulfillmentIntegrationId": integration_id}


def ingest(sku: str, location_id: str, on_hand: int, unavailable: int | None, ptype: str) -> Json:
    """One stock event (contract 2.4): absolute; `committed` is Pipe17's own and never sent."""
    event: Json = {"event": "ingest", "sku": sku, "locationId": location_id, ON_HAND: on_hand}
    if unavailable is not None:
        event[UNAVAILABLE] = unavailable
    if ptype:
        event["ptype"] = ptype
    return event
