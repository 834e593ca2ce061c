"""One table says what each Pipe17 collection is called, holds, filters by and lets a client write.

Field names and enums: contract sections 2 and 3.  The short list sets are documented for orders only;
for the others the sandbox keeps ids, status and times, so that a client that forgets `keys=*` notices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.sandbox.vendors.pipe17.fields import (
    MARKS,
    Check,
    address,
    boolean,
    custom_fields,
    filled_text,
    integer,
    mapping,
    mappings,
    moment,
    number,
    number_or_text,
    one_of,
    record,
    records,
    text,
    text_or_null,
    texts,
)

FilterKind = Literal["any", "boolean", "contains", "above", "below", "integer", "external_location"]

SHIPMENT_STATUSES = (
    "new", "pendingInventory", "pendingShippingLabel", "reviewRequired", "readyForFulfillment",
    "sentToFulfillment", "fulfilled", "partialFulfillment", "canceled", "canceledRestock", "failed", "onHold",
)  # fmt: skip
FIRST_ORDER_STATUSES = (
    "draft", "new", "onHold", "toBeValidated", "reviewRequired", "readyForFulfillment", "canceled",
)  # fmt: skip
PUBLISHED_STATUSES = ("tobepublished", "published", "tobeunpublished", "unpublished", "disabled")
RETURN_STATUSES = ("pending", "approved", "received", "processed", "canceled")


@dataclass(frozen=True)
class Entity:
    """A collection: its names, its writable fields, its list filters (parameter -> (field, kind))."""

    path: str
    singular: str
    id_field: str
    create: Mapping[str, Check] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    update: Mapping[str, Check] = field(default_factory=dict)
    alternate_ids: Mapping[str, str] = field(default_factory=dict)
    short: tuple[str, ...] = ()
    filters: Mapping[str, tuple[str, FilterKind]] = field(default_factory=dict)
    takes_array: bool = False
    is_deletable: bool = False

    @property
    def methods(self) -> dict[str, str]:
        """HTTP verbs it answers on the collection and on one object."""
        one = ["GET"] + ["PUT"] * bool(self.update) + ["DELETE"] * self.is_deletable
        return {"collection": ", ".join(["GET"] + ["POST"] * bool(self.create)), "one": ", ".join(one)}


def _all(check: Check, names: str) -> dict[str, Check]:
    return dict.fromkeys(names.split(), check)


_WEIGHT_UNIT = one_of("lb", "oz", "kg", "g")
_ORDER_SOURCE_TYPE = one_of("online", "pos", "wholesale", "edi", "other", "b2b", "aggregation")
_SHIP_DATES = _all(moment, "expectedDeliveryDate shipByDate shipAfterDate shipCancelByDate holdUntil")
_LINE = {
    **_all(filled_text, "uniqueId sku"),
    **_all(text, "name upc"),
    "quantity": number,
    "customFields": custom_fields,
}
_ORDER_LINE = {
    **_LINE,
    **_all(number, "itemPrice itemDiscount itemTax ordered fulfillable fulfilled canceled"),
    **_all(boolean, "requiresShipping taxable"),
    "locationId": text,
}
_SHIPMENT_LINE = {**_LINE, "bundleSKU": text, "bundleQuantity": number}
_PAYMENT = {**_all(text, "method kind status currency"), "amount": number}

_SHIPMENT_CREATE = {
    **MARKS,
    **_SHIP_DATES,
    **_all(filled_text, "extShipmentId extOrderId"),
    **_all(text, "orderId extOrderApiId extReferenceId extReferenceUrl locationId orderSource orderType"),
    **_all(text, "shippingCode shippingCarrier shippingClass currency shippingNote giftNote incoterms"),
    **_all(boolean, "shippingMethodMapping excludeFromReuse skipLocation"),
    "status": one_of(*SHIPMENT_STATUSES),
    "orderSourceType": _ORDER_SOURCE_TYPE,
    "lineItems": records(_SHIPMENT_LINE, "uniqueId", "sku", "quantity"),
    "shippingAddress": address,
    "shippingPrice": number,
    "shippingLabels": texts,
    "expectedShipDate": moment,
    "privacyPolicy": mappings,
    "overfulfillPolicy": mapping,
}

_ORDER_MARKS = {
    **MARKS,
    **_SHIP_DATES,
    **_all(text, "extOrderApiId extOrderUrl orderSource currency paymentStatus shippingCode shippingCarrier"),
    **_all(text, "shippingClass shippingNote giftNote orderNote incoterms locationId fulfillmentStatus"),
    **_all(text, "replacementOrderId"),
    **_all(moment, "extOrderCreatedAt extOrderUpdatedAt timestamp"),
    **_all(number, "subTotalPrice totalPrice orderTax orderDiscount shippingPrice"),
    **_all(boolean, "respectLocationId isMultiAddress isMultiDestination requireShippingLabels"),
    **_all(boolean, "disableShipmentsReuse"),
    **_all(mapping, "paymentTerms customer replacementReason sourceDoc"),
    **_all(mappings, "discounts additionalCharges refunds shippingDestinations privacyPolicy"),
    "payments": records(_PAYMENT),
    "orderSourceType": _ORDER_SOURCE_TYPE,
    "customerPONumber": text_or_null,
    "billingAddress": address,
    "preferredLocationGroupId": texts,
}
# Lines and address of a routed order are not editable here: Pipe17 would cancel and re-create its
# shipping requests, which the sandbox offers through /sandbox/shipments instead.
_ORDER_CREATE = {
    **_ORDER_MARKS,
    "extOrderId": filled_text,
    "status": one_of(*FIRST_ORDER_STATUSES),
    "lineItems": records(_ORDER_LINE, "uniqueId", "sku", "quantity"),
    "shippingAddress": address,
}

_FULFILLMENT_CREATE = {
    **MARKS,
    **_all(filled_text, "shipmentId extFulfillmentId"),
    **_all(texts, "trackingNumber trackingUrl"),
    **_all(text, "shippingCarrier shippingClass"),
    **_all(moment, "actualShipDate expectedArrivalDate actualArrivalDate"),
    "fulfillmentType": one_of("rejected"),
    "lineItems": records({**_all(filled_text, "uniqueId sku"), "quantity": number}, "uniqueId", "sku", "quantity"),
    "shippingCharge": number,
    "weight": number_or_text,
    "weightUnit": _WEIGHT_UNIT,
    "packages": mappings,
}

_MAPPED_PRODUCT = {
    **_all(text, "integrationId extProductId sku name"),
    "status": one_of(*PUBLISHED_STATUSES),
    "bufferInventory": integer,
    "inventoryNotTracked": boolean,
    "customFields": custom_fields,
}
_PRODUCT = {
    **MARKS,
    **_all(filled_text, "sku name"),
    **_all(text, "description upc partId vendor harmonizedCode countryOfOrigin extProductId extProductApiId"),
    **_all(text, "parentExtProductId costCurrency"),
    **_all(moment, "extProductCreatedAt extProductUpdatedAt"),
    **_all(number, "cost weight length width height"),
    **_all(boolean, "taxable hideInStore inventoryNotTracked"),
    **_all(texts, "types imageURLs"),
    "status": one_of("active", "inactive", "deleted"),
    "prices": records({"name": text, "value": number, "currency": text}, "name", "value"),
    "weightUnit": _WEIGHT_UNIT,
    "dimensionsUnit": one_of("cm", "in", "ft"),
    "variantOptions": records({"name": text, "value": text}, "name", "value"),
    "bundleItems": records({"sku": filled_text, "quantity": number}, "sku", "quantity"),
    "mappedProduct": record(_MAPPED_PRODUCT),
}

INVENTORY_QUANTITIES = ("onHand", "unavailable", "committed", "incoming", "future", "hold", "damaged")
_INVENTORY_CREATE = {
    **_all(filled_text, "sku locationId"),
    **_all(text, "ptype vendorSKU entityId entityType orderId user label"),
    **dict.fromkeys(INVENTORY_QUANTITIES, integer),
    "event": one_of("ingest", "adjust"),
    "tags": texts,
}

_EXTERNAL_SYSTEM = {"integrationId": filled_text, "locationValue": text}
_LOCATION = {
    **MARKS,
    **_all(text, "fulfillmentIntegrationId inventoryIntegrationId"),
    **_all(boolean, "preserveBundles infinite"),
    "name": filled_text,
    "address": address,
    "status": one_of("active", "inactive", "pending", "deleted"),
    "externalSystem": records(_EXTERNAL_SYSTEM, "integrationId", "locationValue"),
    "type": one_of("physical", "virtual"),
}

_RETURN_LINE = {
    **_all(text, "uniqueId name reason condition"),
    **_all(number, "quantity itemPrice"),
    "sku": filled_text,
}
_RETURN = {
    **MARKS,
    **_all(filled_text, "extReturnId"),
    **_all(text, "extReturnApiId orderId extOrderId locationId currency customerNotes merchantNotes"),
    **_all(text, "trackingNumber"),
    **_all(number, "subTotal tax discount shippingPrice shippingRefund restockFee total"),
    **_all(mapping, "customer refund"),
    **_all(records(_RETURN_LINE, "sku", "quantity"), "lineItems exchangeLineItems"),
    "status": one_of(*RETURN_STATUSES),
    "shippingAddress": address,
}
_RECEIPT = {
    **MARKS,
    **_all(filled_text, "extReceiptId locationId"),
    **_all(text, "arrivalId returnId purchaseId transferId extOrderId notes"),
    "date": moment,
    "lineItems": records({"sku": filled_text, "quantity": number}, "sku", "quantity"),
}
_TRACKING = {
    **_all(filled_text, "fulfillmentId trackingNumber shippingCarrier"),
    **_all(moment, "expectedShipDate expectedArrivalDate actualShipDate actualArrivalDate"),
    "url": text,
    "status": one_of("shipped", "delivered"),
}
_WEBHOOK = {**_all(filled_text, "url apikey"), "topics": texts}


def _same(names: str) -> dict[str, tuple[str, FilterKind]]:
    """Parameters that ask for one or several values of the field they are named after."""
    return {name: (name, "any") for name in names.split()}


def _short(names: str) -> tuple[str, ...]:
    return (*names.split(), "createdAt", "updatedAt", "orgKey")


_ALL = (
    Entity(
        "shipments",
        "shipment",
        "shipmentId",
        takes_array=True,
        create=_SHIPMENT_CREATE,
        required=("extOrderId", "shippingAddress"),
        update={
            **MARKS,
            "status": one_of(*SHIPMENT_STATUSES),
            "extReferenceId": text,
            "extReferenceUrl": text,
        },
        alternate_ids={"ext": "extShipmentId", "ref": "extReferenceId"},
        short=_short("shipmentId extShipmentId extOrderId status"),
        filters={
            **_same(
                "status locationId orderId extOrderId shipmentId extShipmentId extReferenceId "
                "fulfillmentIntegrationId integration orderSource"
            ),
            "tags": ("tags", "contains"),
        },
    ),
    Entity(
        "fulfillments",
        "fulfillment",
        "fulfillmentId",
        takes_array=True,
        create=_FULFILLMENT_CREATE,
        required=("shipmentId", "lineItems"),
        alternate_ids={"ext": "extFulfillmentId"},
        short=_short("fulfillmentId extFulfillmentId shipmentId"),
        filters=_same(
            "shipmentId orderId extOrderId locationId fulfillmentId extFulfillmentId fulfillmentType integration"
        ),
    ),
    Entity(
        "orders",
        "order",
        "orderId",
        create=_ORDER_CREATE,
        required=("extOrderId",),
        update={**_ORDER_MARKS, "status": one_of("canceled")},
        alternate_ids={"ext": "extOrderId", "api": "extOrderApiId"},
        short=_short("orderId extOrderId email status shipByDate fulfilledAt expectedDeliveryDate tags"),
        filters={
            **_same("orderId extOrderId status routingStatus email locationId orderSource orderSourceType integration"),
            "requireShippingLabels": ("requireShippingLabels", "boolean"),
            "tags": ("tags", "contains"),
        },
    ),
    Entity(
        "products",
        "product",
        "productId",
        takes_array=True,
        create=_PRODUCT,
        required=("sku", "name"),
        update=_PRODUCT,
        alternate_ids={"ext": "extProductId", "api": "extProductApiId"},
        short=_short("productId sku name status"),
        filters={
            **_same("sku status productId extProductId name integration"),
            "bundleSKU": ("bundleSKU", "any"),
            "types": ("types", "contains"),
        },
    ),
    Entity(
        "inventory",
        "inventory",
        "inventoryId",
        takes_array=True,
        is_deletable=True,
        create=_INVENTORY_CREATE,
        required=("event", "sku", "locationId"),
        short=_short("inventoryId sku locationId event"),
        filters={
            **_same("sku vendorSKU locationId inventoryId entityId event type integration"),
            "sku_gt": ("sku", "above"),
            "sku_lt": ("sku", "below"),
            "tags": ("tags", "contains"),
            "inventoryNotTracked": ("inventoryNotTracked", "boolean"),
            "available": ("available", "integer"),
            "available_gt": ("available", "above"),
            "available_lt": ("available", "below"),
            "onHand": ("onHand", "integer"),
            "onHand_gt": ("onHand", "above"),
            "onHand_lt": ("onHand", "below"),
        },
    ),
    Entity(
        "locations",
        "location",
        "locationId",
        takes_array=True,
        create=_LOCATION,
        required=("name", "address"),
        update=_LOCATION,
        short=_short("locationId name status"),
        filters={
            **_same("name status locationId fulfillmentIntegrationId"),
            "extLocationId": ("externalSystem", "external_location"),
        },
    ),
    Entity(
        "integrations",
        "integration",
        "integrationId",
        update={
            "status": one_of("created", "configured", "connecting", "connected", "error", "disabled"),
            "errorText": text,
            "version": text,
        },
        short=_short("integrationId integrationName status"),
        filters=_same("integrationId status connectorId"),
    ),
    Entity(
        "mappings",
        "mapping",
        "uuid",
        short=_short("uuid description"),
        filters=_same("uuid originId"),
    ),
    Entity(
        "returns",
        "return",
        "returnId",
        create=_RETURN,
        required=("lineItems",),
        update=_RETURN,
        alternate_ids={"ext": "extReturnId", "api": "extReturnApiId"},
        short=_short("returnId extReturnId extOrderId status"),
        filters=_same("returnId extReturnId extOrderId orderId status locationId integration"),
    ),
    Entity(
        "receipts",
        "receipt",
        "receiptId",
        create=_RECEIPT,
        required=("locationId", "lineItems"),
        alternate_ids={"ext": "extReceiptId"},
        short=_short("receiptId extReceiptId extOrderId locationId"),
        filters=_same("receiptId extReceiptId extOrderId returnId arrivalId locationId integration"),
    ),
    Entity(
        "trackings",
        "tracking",
        "trackingId",
        create=_TRACKING,
        required=("fulfillmentId", "trackingNumber", "shippingCarrier"),
        update={name: check for name, check in _TRACKING.items() if name != "fulfillmentId"},
        short=_short("trackingId fulfillmentId trackingNumber status"),
        filters=_same("trackingId fulfillmentId trackingNumber status"),
    ),
    Entity(
        "webhooks",
        "webhook",
        "webhookId",
        is_deletable=True,
        create=_WEBHOOK,
        required=("url", "apikey", "topics"),
        update=_WEBHOOK,
        short=_short("webhookId url topics"),
        filters=_same("webhookId"),
    ),
)

ENTITIES: dict[str, Entity] = {entity.path: entity for entity in _ALL}
