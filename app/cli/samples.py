"""Sample bodies for every callback, as RetailOps would send them in the life of one order that no shop has.

Field by field after the SDK contract, section 2.  Order and SKU names begin with SAMPLE, so that a server
which really holds orders and products does not find one of its own meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.sandbox.vendors.retailops.caller import ACTIONS

Json = dict[str, Any]

REFNUM = "SAMPLE-1001"
ORDER_ID = 550123
MUG, TEA = "SAMPLE-MUG-RED", "SAMPLE-TEA-50"
CARD = "sample-payment-1"


def _line(number: int, sku: str, quantity: int, price: float) -> Json:
    return {
        "channel_item_refnum": str(number),
        "sku": sku,
        "order_item_id": 88100 + number,
        "quantity": quantity,
        "unit_price": price,
        "apportioned_ship_amt": 2.5,
        "direct_ship_amt": 0,
        "estimated_cost": round(price * 0.4 * quantity, 2),
        "estimated_unit_cost": round(price * 0.4, 2),
        "estimated_extended_cost": round(price * 0.4 * quantity, 2),
        "estimated_ship_date": "2026-02-03T00:00:00Z",
        "removed": False,
    }


def _content(number: int, sku: str, quantity: int) -> Json:
    return {
        "sku": sku,
        "retailops_order_item_id": 88100 + number,
        "retailops_shipment_item_id": 65000 + number,
        "channel_item_refnum": str(number),
        "quantity": quantity,
    }


def _shipment() -> Json:
    package = {
        "retailops_package_id": 91001,
        "carrier_name": "UPS",
        "carrier_class_name": "Ground",
        "channel_ship_code": "GROUND",
        "tracking_number": "1Z999AA10123456784",
        "weight_kg": 0.85,
        "date_shipped": "2026-02-03T16:20:00-05:00",
        "package_items": [_content(1, MUG, 2)],
    }
    return {"retailops_shipment_id": 71001, "packages": [package]}


def _order(*, is_over: bool = False) -> Json:
    """The order as RetailOps has it; `is_over`: one line has shipped and the other never will.

    `removed` only where a value can satisfy every published schema (SDK contract 1.9).
    """
    lines = [_line(1, MUG, 2, 12.5), _line(2, TEA, 1, 31.95)]
    order: Json = {
        "channel_order_refnum": REFNUM,
        "retailops_order_id": ORDER_ID,
        "grand_total": 66.65,
        "order_items": lines,
    }
    if is_over:
        for line in lines:
            del line["removed"]
        order["shipments"] = [_shipment()]
        order["unshipped_items"] = [
            {
                "channel_item_refnum": "2",
                "sku": TEA,
                "ordered_quantity": 1,
                "unshipped_quantity": 1,
                "effective_unit_price": 31.95,
                "effective_extended_price": 31.95,
            }
        ]
    return order


def _payment(transaction_type: str, amount: float) -> Json:
    return {
        "payment_processing_type": "channel_payment",
        "transaction_type": transaction_type,
        "payment_type": "Visa",
        "amount": amount,
        "message": "",
        "status": "success",
        "refnum": CARD,
    }


def _catalog_push() -> Json:
    general: Json = {
        "SKU": MUG,
        "Title": "Sample mug, red",
        "Description": "A mug that only tests need.",
        "Vendor": "Sample Vendor",
        "Price": "12.50",
        "SalePrice": "11.00",
        "Currency": "USD",
        "URL": "https://shop.example/sample-mug",
        "RequiresShipping": True,
        "Taxable": True,
        "Weight": "0.35",
        "Enabled": True,
    }
    feed = {
        "General": general,
        "Images": ["https://shop.example/images/sample-mug-red.jpg"],
        "Categories": ["Kitchen > Mugs"],
        "Options": {"Color": "Red"},
    }
    record = {"object_data": {"id": 4711001, "source_type": "sku"}, "feed_data": feed}
    return {"template_output": {"data": {"Product": [record]}}}


def _inventory_push() -> Json:
    places = [
        {"quantity_type": "internal", "facility_name": "Main Warehouse", "available_quantity": 40,
         "total_quantity": 42, "estimated_availability_date": ""},
        {"quantity_type": "external", "vendor_name": "Sample Vendor", "available_quantity": 5,
         "total_quantity": 5, "estimated_availability_date": "2026-02-10T00:00:00Z"},
        {"quantity_type": "inflight", "po": "PO-1187", "po_destination": "Main Warehouse", "available_quantity": 0,
         "total_quantity": 60, "estimated_availability_date": "2026-03-01T00:00:00Z"},
    ]  # fmt: skip
    return {"inventory_updates": [{"sku": MUG, "quantity_available": 45, "quantity_detail": places}]}


def _order_returned() -> Json:
    item = {
        "retailops_item_id": 88101,
        "channel_item_refnum": "1",
        "sku": MUG,
        "quantity": 1,
        "reason": "CustomerReturn",
        "product_amt": 12.5,
        "subtotal_amt": 12.5,
        "tax_amt": 1.03,
        "shipping_amt": 0,
        "item_shipping_tax_amt": 0,
        "restock_fee_amt": 0,
        "giftwrap_amt": 0,
        "giftwrap_tax_amt": 0,
        "recycling_amt": 0,
        "credit_amt": 13.53,
    }
    returned = {
        "retailops_return_id": 31300,
        "retailops_rma_id": "90211",
        "product_amt": 12.5,
        "subtotal_amt": 12.5,
        "discount_amt": 0,
        "shipping_amt": 0,
        "tax_amt": 1.03,
        "refund_amt": 13.53,
        "refund_action": "refund",
        "items": [item],
    }
    return {"order": _order(is_over=True), "return": returned}


_BODIES: Mapping[str, Callable[[], Json]] = {
    "catalog_get_config": dict,
    "catalog_push": _catalog_push,
    "inventory_push": _inventory_push,
    "order_pull": lambda: {"page_token": "", "specific_orders": None},
    "order_acknowledge": lambda: {"orders": [{"channel_order_refnum": REFNUM, "retailops_order_id": ORDER_ID}]},
    "order_update": lambda: {"order": _order(), "rmas": None},
    "order_cancel": lambda: {"order": {"channel_order_refnum": REFNUM, "retailops_order_id": ORDER_ID}},
    "order_shipment_submit": lambda: {
        "channel_order_refnum": REFNUM,
        "retailops_order_id": ORDER_ID,
        "shipment": _shipment(),
    },
    "order_complete": lambda: {"order": _order(is_over=True)},
    "order_settle_payment": lambda: {
        "order": _order(is_over=True),
        "payment": {
            "currency_code": "USD",
            "payment_series_id": 4411,
            "payment_transactions": [_payment("charge", 29.56)],
        },
    },
    "order_returned": _order_returned,
    "payment_credit": lambda: {"credit": {"amount": 13.53, "parent_payment_transactions": [_payment("charge", 29.56)]}},
}


def sample(callback: str) -> Json:
    """A body for the callback (named without its version), without key, client and channel.

    A callback that was added to `schemas/` and has no body here gets the envelope alone.
    """
    return {"action": ACTIONS.get(callback, callback), "version": 1, **_BODIES.get(callback, dict)()}
