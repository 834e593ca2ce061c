"""What a connector sends to Rally, and what Rally makes of it (contract 2.2 to 2.10 and A.3, A.5, A.6)."""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal

from app.sandbox.bodies import Json, existing
from app.sandbox.vendors.rally.answers import CENT, TOPICS
from app.sandbox.vendors.rally.findings import Findings, look_at
from app.sandbox.vendors.rally.state import Copies, State

STATUSES = ("pending", "paid", "completed", "refunded")
"""In the order in which an order goes through them (contract 4.2)."""


def register_hook(state: State, copies: Copies, body: Json) -> tuple[Json, Findings]:
    """Raises `Failure` 422."""
    found = look_at("Hook", body)
    found.raise_problems()
    hook = {
        "id": f"hook-{state.next_number('hook')}",
        "app_id": body.get("app_id", f"app-{copies.merchant.organization_id}"),
        **{name: body[name] for name in ("type", "url", "method")},
        "created_at": state.stamp(),
    }
    if any(known["type"] == hook["type"] for known in copies.hooks):
        found.warn("type", "is registered already; the newest is called")
    if body["method"] != TOPICS.hooks[body["type"]].method:
        found.warn("method", "is not the one the contract names for this topic")
    copies.hooks.append(hook)
    return hook, found


def remove_hook(copies: Copies, hook_id: str) -> Json:
    """Raises `Failure` 404."""
    hook = existing({hook["id"]: hook for hook in copies.hooks}, hook_id)
    copies.hooks.remove(hook)
    return hook


def receive(state: State, copies: Copies, topic: str, body: Json) -> Findings:
    """One `webhooks/<topic>` call.  Raises `Failure` 404 or 422; nothing is changed then."""
    found = look_at(topic, body)
    found.raise_problems()
    if body.get("organization_id", "") not in ("", copies.merchant.organization_id):
        found.refuse("organization_id", "must be empty or the organisation of the key")
        found.raise_problems()
    match topic:
        case "order-create":
            if body["cart_id"] not in copies.carts:
                found.warn("cart_id", "is unknown")
            copies.orders_announced.append({**body, "at": state.stamp()})
        case "order-status-update":
            set_status(state, existing(copies.orders, body["external_id"]), body["status"], "connector", found)
        case "order-update":
            _take_snapshot(state, existing(copies.orders, body["external_id"]), body, found)
        case "order-refund-create":
            _refund(state, existing(copies.orders, body["external_order_id"]), body, found)
        case "product-update":
            upsert_product(state, copies, body)
        case "product-delete":
            if copies.products.pop(body["external_id"], None) is None:
                found.warn("external_id", "is no product Rally knows")
            _forget_stock(copies, body["external_id"])
        case "product-inventory-update":
            _set_stock(state, copies, body, found)
        case "category-update":
            copies.categories[body["external_id"]] = body
        case "category-delete":
            if copies.categories.pop(body["external_id"], None) is None:
                found.warn("external_id", "is no category Rally knows")
        case "shop-info-update":
            copies.shop["profile"] = body
    return found


def set_status(state: State, order: Json, status: str, by: str, found: Findings) -> None:
    """Any forward move is right; a move back happens, too, with a warning (contract A.6)."""
    if STATUSES.index(status) < STATUSES.index(order["status"]):
        found.warn("status", f"goes back from {order['status']} to {status}")
    order["status"] = status
    order["statuses"].append({"status": status, "at": state.stamp(), "by": by})


def add_refund(state: State, order: Json, refund_id: str, amount: Decimal, rows: list[Json], by: str) -> None:
    """Money back to the shopper."""
    refund = {
        "order_id": order["external_id"],
        "external_id": refund_id,
        "amount": amount,
        "refunds": rows,
        "at": state.stamp(),
        "by": by,
    }
    order["refunds"].append(refund)
    order["refunded"] += amount


def _take_snapshot(state: State, order: Json, body: Json, found: Findings) -> None:
    if body["cart"]["external_id"] != order["cart_id"]:
        found.warn("cart.external_id", "is not the order's cart")
    order["snapshot"] = body
    if body["status"] != order["status"]:
        set_status(state, order, body["status"], "connector", found)


def _refund(state: State, order: Json, body: Json, found: Findings) -> None:
    """A repeat changes nothing (contract A.5)."""
    amount, rows = body["amount"], body["refunds"]
    known = next((refund for refund in order["refunds"] if refund["external_id"] == body["external_id"]), None)
    if known is not None:
        if known["amount"] != amount or known["refunds"] != rows:
            found.warn("external_id", "was refunded already with other contents; nothing is done")
        return
    if amount <= 0:
        found.refuse("amount", "must be more than 0")
    elif order["refunded"] + amount > order["charged"]:
        found.refuse("amount", "exceeds what is left of the charged total")
    found.raise_problems()
    if abs(sum(row["amount"] for row in rows) - amount) > CENT:
        found.warn("refunds", "do not add up to amount")
    sold = {line["external_id"]: line["quantity"] for line in order["answer"]["line_items"]}
    for position, row in enumerate(rows):
        if row["amount"] < 0:
            found.warn(f"refunds.{position}.amount", "is negative")
        if row["type"] == "line_item" and row["quantity"] > sold.get(row["external_id"], 0):
            found.warn(f"refunds.{position}", "names a line or more units than the order has")
    add_refund(state, order, body["external_id"], amount, rows, "connector")


def upsert_product(state: State, copies: Copies, product: Json) -> None:
    """A product's snapshot carries its variants' stock."""
    product_id = product["external_id"]
    copies.products[product_id] = product
    variants = {stock_key(product_id, variant["external_id"]): variant for variant in product["variants"]}
    _forget_stock(copies, product_id, but=variants)
    for key, variant in variants.items():
        counted = product if product["inventory_management"] == "product" else variant
        copies.stock[key] = {
            "product_id": product_id,
            "variant_id": variant["external_id"],
            "sku": variant["external_sku"],
            "value": counted["inventory_quantity"],
            "updates": copies.stock.get(key, {"updates": 0})["updates"],
            "at": state.stamp(),
        }


def stock_key(product_id: str, variant_id: str) -> str:
    """One text for a product's variant; a product without variants is its own."""
    return f"{product_id}\n{variant_id or product_id}"


def _forget_stock(copies: Copies, product_id: str, *, but: Container[str] = ()) -> None:
    for key, row in list(copies.stock.items()):
        if row["product_id"] == product_id and key not in but:
            del copies.stock[key]


def _set_stock(state: State, copies: Copies, body: Json, found: Findings) -> None:
    row = copies.stock.get(stock_key(body["external_product_id"], body["external_variant_id"]))
    if row is None:
        found.warn("external_product_id", "and variant are no product Rally knows; the stock is not kept")
        return
    row.update(value=body["value"], updates=row["updates"] + 1, at=state.stamp())
