"""What a connector sends to Rally, and what Rally makes of it (contract 2.2 to 2.10 and A.3, A.5, A.6)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.rally.answers import TOPICS
from app.sandbox.vendors.rally.fields import Findings, filled, look_at, one_of, record, text, web_address
from app.sandbox.vendors.rally.objects import STATUSES
from app.sandbox.vendors.rally.payloads import WEBHOOKS
from app.sandbox.vendors.rally.state import Copies, State

_CENT = Decimal("0.005")
_hook = record(
    {"type": one_of(*TOPICS), "url": web_address, "method": one_of("get", "post", "put")},
    {"app_id": filled, "organization_id": text},
)


def register_hook(state: State, organization_id: str, body: object) -> tuple[Json, Findings]:
    """Raises `Failure` 422."""
    found = _examined(look_at(body, _hook))
    assert isinstance(body, dict)
    hook = {
        "id": f"hook-{state.next_number('hook')}",
        "app_id": body.get("app_id", f"app-{organization_id}"),
        "type": body["type"],
        "url": body["url"],
        "method": body["method"],
        "created_at": state.stamp(),
    }
    copies = state.copies[organization_id]
    if any(known["type"] == hook["type"] for known in copies.hooks):
        found.warn("type", "is registered already; the newest is called")
    if body["method"] != TOPICS[body["type"]].method:
        found.warn("method", "is not the one the contract names for this topic")
    copies.hooks.append(hook)
    return hook, found


def remove_hook(state: State, organization_id: str, hook_id: str) -> Json:
    """Raises `Failure` 404."""
    hooks = state.copies[organization_id].hooks
    for hook in hooks:
        if hook["id"] == hook_id:
            hooks.remove(hook)
            return hook
    raise Failure(404, "Not found")


def receive(state: State, organization_id: str, topic: str, body: object) -> Findings:
    """One `webhooks/<topic>` call.  Raises `Failure` 404 or 422; nothing is changed then."""
    found = _examined(look_at(body, WEBHOOKS[topic]))
    assert isinstance(body, dict)
    if body.get("organization_id", "") not in ("", organization_id):
        found.refuse("organization_id", "must be empty or the organisation of the key")
        _examined(found)
    _EFFECTS[topic](state, state.copies[organization_id], body, found)
    return found


def _examined(found: Findings) -> Findings:
    if found.problems:
        raise Failure(422, "The given data was invalid.", found.problems)
    return found


def _order(copies: Copies, order_id: str) -> Json:
    order = copies.orders.get(order_id)
    if order is None:
        raise Failure(404, "Not found")
    return order


def set_status(state: State, order: Json, status: str, by: str, found: Findings) -> None:
    """Any forward move is right; a move back happens, too, with a warning (A.6)."""
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


def _announce_order(state: State, copies: Copies, body: Json, found: Findings) -> None:
    if body["cart_id"] not in copies.carts:
        found.warn("cart_id", "is unknown")
    copies.orders_announced.append({**body, "at": state.stamp()})


def _change_status(state: State, copies: Copies, body: Json, found: Findings) -> None:
    set_status(state, _order(copies, body["external_id"]), body["status"], "connector", found)


def _change_order(state: State, copies: Copies, body: Json, found: Findings) -> None:
    order = _order(copies, body["external_id"])
    if body["cart"]["external_id"] != order["cart_id"]:
        found.warn("cart.external_id", "is not the order's cart")
    order["snapshot"] = body
    if body["status"] != order["status"]:
        set_status(state, order, body["status"], "connector", found)


def _refund(state: State, copies: Copies, body: Json, found: Findings) -> None:
    order = _order(copies, body["external_order_id"])
    amount, rows = Decimal(body["amount"]), body["refunds"]
    known = next((refund for refund in order["refunds"] if refund["external_id"] == body["external_id"]), None)
    if known is not None:
        if known["amount"] != amount or known["refunds"] != rows:
            found.warn("external_id", "was refunded already with other contents; nothing is done")
        return
    if amount <= 0:
        found.refuse("amount", "must be more than 0")
    elif order["refunded"] + amount > order["charged"]:
        found.refuse("amount", "exceeds what is left of the charged total")
    _examined(found)
    if abs(sum((Decimal(row["amount"]) for row in rows), Decimal()) - amount) > _CENT:
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
    _forget_stock(copies, product_id, {variant["external_id"] for variant in product["variants"]})
    for variant in product["variants"]:
        is_kept_by_product = product["inventory_management"] == "product"
        value = product["inventory_quantity"] if is_kept_by_product else variant["inventory_quantity"]
        key = stock_key(product_id, variant["external_id"])
        known = copies.stock.get(key, {"updates": 0})
        copies.stock[key] = {
            "product_id": product_id,
            "variant_id": variant["external_id"],
            "sku": variant["external_sku"],
            "value": value,
            "updates": known["updates"],
            "at": state.stamp(),
        }


def stock_key(product_id: str, variant_id: str) -> str:
    """One text for a product's variant; a product without variants is its own."""
    return f"{product_id}\n{variant_id or product_id}"


def _forget_stock(copies: Copies, product_id: str, but: set[str]) -> None:
    for key, row in list(copies.stock.items()):
        if row["product_id"] == product_id and row["variant_id"] not in but:
            del copies.stock[key]


def _update_product(state: State, copies: Copies, body: Json, found: Findings) -> None:
    upsert_product(state, copies, body)


def _delete_product(state: State, copies: Copies, body: Json, found: Findings) -> None:
    if copies.products.pop(body["external_id"], None) is None:
        found.warn("external_id", "is no product Rally knows")
    _forget_stock(copies, body["external_id"], set())


def _set_stock(state: State, copies: Copies, body: Json, found: Findings) -> None:
    row = copies.stock.get(stock_key(body["external_product_id"], body["external_variant_id"]))
    if row is None:
        found.warn("external_product_id", "and variant are no product Rally knows; the stock is not kept")
        return
    row.update(value=body["value"], updates=row["updates"] + 1, at=state.stamp())


def _update_category(state: State, copies: Copies, body: Json, found: Findings) -> None:
    copies.categories[body["external_id"]] = body


def _delete_category(state: State, copies: Copies, body: Json, found: Findings) -> None:
    if copies.categories.pop(body["external_id"], None) is None:
        found.warn("external_id", "is no category Rally knows")


def _update_shop(state: State, copies: Copies, body: Json, found: Findings) -> None:
    copies.shop["profile"] = body


_EFFECTS: dict[str, Callable[[State, Copies, Json, Findings], None]] = {
    "order-create": _announce_order,
    "order-status-update": _change_status,
    "order-update": _change_order,
    "order-refund-create": _refund,
    "product-update": _update_product,
    "product-delete": _delete_product,
    "product-inventory-update": _set_stock,
    "category-update": _update_category,
    "category-delete": _delete_category,
    "shop-info-update": _update_shop,
}
