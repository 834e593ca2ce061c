"""Which fields of a request decide something; what is not named for its callback decides nothing (R6).

A field that decides and cannot be read refuses what it decides: the nearest entry around it, or else the command.
A field that decides nothing is dropped with a `warning` FIELD_IGNORED.  `[]` stands for every element of a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from app.contract.reading import text


def _below(prefix: str, fields: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{prefix}.{name}" for name in fields)


_NUMBERS = ("channel_order_refnum", "retailops_order_id")

_PACKAGES = (
    "packages[].retailops_package_id",
    "packages[].tracking_number",
    "packages[].package_items[].channel_item_refnum",
    "packages[].package_items[].sku",
    "packages[].package_items[].quantity",
)
"""Carrier, weight, date and RetailOps' item numbers are passed on where they can be read, and lines are never matched
by them (SDK contract 9)."""

_SHIPMENT = ("retailops_shipment_id", *_PACKAGES)

_LINE = ("channel_item_refnum", "sku", "order_item_id", "quantity", "unit_price", "removed")

_UNSHIPPED = ("channel_item_refnum", "sku", "unshipped_quantity", "effective_unit_price", "effective_extended_price")

_RETURN = ("retailops_return_id", "refund_amt", "refund_action", "shipping_amt", "tax_amt")

_RETURNED_ITEM = (
    "channel_item_refnum",
    "sku",
    "quantity",
    "product_amt",
    "subtotal_amt",
    "giftwrap_amt",
    "recycling_amt",
    "restock_fee_amt",
    "tax_amt",
    "item_shipping_tax_amt",
    "giftwrap_tax_amt",
    "shipping_amt",
)

_PAYMENT = ("payment_processing_type", "transaction_type", "amount", "status", "refnum")

_STOCK = (
    "sku",
    "quantity_available",
    "quantity_detail[].quantity_type",
    "quantity_detail[].available_quantity",
    "quantity_detail[].total_quantity",
    "quantity_detail[].facility_name",
    "quantity_detail[].vendor_name",
    "quantity_detail[].po",
)

# A callback that is not named here at all is new: there everything decides.
DECIDING: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "catalog_get_config": frozenset(),
        "catalog_push": frozenset({"template_output", "TemplateOutput"}),
        "inventory_push": frozenset(_below("inventory_updates[]", _STOCK)),
        "order_pull": frozenset({"page_token", *_below("specific_orders[]", ("channel_refnum", _NUMBERS[0]))}),
        "order_acknowledge": frozenset(_below("orders[]", _NUMBERS)),
        "order_update": frozenset(_below("order", (*_NUMBERS, *_below("order_items[]", _LINE)))),
        "order_cancel": frozenset(_below("order", _NUMBERS)),
        "order_shipment_submit": frozenset((*_NUMBERS, *_below("shipment", _SHIPMENT))),
        "order_complete": frozenset(
            _below(
                "order",
                (*_NUMBERS, *_below("shipments[]", _SHIPMENT), *_below("unshipped_items[]", _UNSHIPPED)),
            )
        ),
        "order_settle_payment": frozenset(
            (
                *_below("order", _NUMBERS),
                *_below("payment", ("currency_code", "payment_series_id")),
                *_below("payment.payment_transactions[]", _PAYMENT),
            )
        ),
        "order_returned": frozenset(
            (
                *_below("order", _NUMBERS),
                *_below("return", (*_RETURN, *_below("items[]", _RETURNED_ITEM))),
            )
        ),
        "payment_credit": frozenset({"credit.amount", "credit.parent_payment_transactions[].refnum"}),
    }
)

REFUSING_LISTS = frozenset(
    {("order_returned", "return.items"), ("payment_credit", "credit.parent_payment_transactions")}
)
"""Lists whose entries decide money: one that cannot be read refuses the command."""

CLOSING_LISTS = frozenset({("order_complete", "order.unshipped_items")})
"""Lists whose entries decide the money of the completion alone: one that cannot be read refuses the completion, and
the shipments of the same body go on."""

NUMBERED_LISTS = frozenset({("order_settle_payment", "payment.payment_transactions")})
"""Lists whose entries are known by their place: null takes the place of one that cannot be read."""


def _has_no_refnum(order: Mapping[str, Any]) -> bool:
    return not text(order.get("channel_order_refnum"))


def _is_of_type(*kinds: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda detail: text(detail.get("quantity_type")) in kinds


def _is_at_a_facility(detail: Mapping[str, Any]) -> bool:
    return text(detail.get("quantity_type")) not in ("external", "inflight")


_BESIDE: Mapping[str, Callable[[Mapping[str, Any]], bool]] = MappingProxyType(
    {
        "retailops_order_id": _has_no_refnum,
        "order.retailops_order_id": _has_no_refnum,
        "inventory_updates[].quantity_detail[].facility_name": _is_at_a_facility,
        "inventory_updates[].quantity_detail[].vendor_name": _is_of_type("external"),
        "inventory_updates[].quantity_detail[].po": _is_of_type("inflight"),
    }
)
"""Fields that decide only beside certain others of the same object."""

_ALWAYS = frozenset({("order_cancel", "order.retailops_order_id")})
"""Here the number is compared with the one known, so that no other order is cancelled."""


def condition(callback: str, place: str) -> Callable[[Mapping[str, Any]], bool] | None:
    """Beside what a deciding field decides; None for always."""
    return None if (callback, place) in _ALWAYS else _BESIDE.get(place)
