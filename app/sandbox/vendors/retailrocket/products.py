"""Products as the sandbox holds them, however they came: by the Product API or by the feed (contract 2.1, 2.2, 3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.retailrocket.checks import checked, is_id
from app.sandbox.vendors.retailrocket.state import SAMPLES, State


def take(state: State, kind: str, number: int, query: Mapping[str, str], body: Json) -> None:
    """Keeps a product (`kind` is `products`) or a group of variants (`productsgroup`).  Raises `Failure` 400."""
    field = "id" if kind == "products" else "groupId"
    if body[field] != number:
        raise Failure(400, f"{field} must be the one of the path")
    stock_id = query.get("stockId", "")
    if body.get("stockId", "") != stock_id:
        raise Failure(400, "stockId must be the one of the query")
    if kind == "products":
        _keep(state, body, number, None, stock_id)
        return
    for key, variant in body["products"].items():
        if not is_id(key):
            raise Failure(400, "products must be named by their ids")
        checked("variant", variant, "products", key)
    for key, variant in body["products"].items():
        _keep(state, {"categoryPaths": body["categoryPaths"], **variant}, int(key), number, stock_id)


def _keep(state: State, body: Json, number: int, group: int | None, stock_id: str) -> None:
    before = state.products.get(str(number), {})
    stocks = dict(before.get("stocks", {}))
    if stock_id:
        stocks[stock_id] = {"available": body["isAvailable"], "price": body["price"]}
    state.products[str(number)] = {
        "id": number,
        "groupId": group,
        **{name: body[name] for name in ("name", "price", "url", "pictureUrl")},
        **{name: body.get(name) for name in ("oldPrice", "vendor", "description")},
        "params": body.get("params", {}),
        "categories": body["categoryPaths"],
        "isAvailable": any(stock["available"] for stock in stocks.values()) if stocks else body["isAvailable"],
        "stocks": stocks,
        "source": "product_api",
        "visible_at": state.stamp(),
        "times": before.get("times", 0) + 1,
    }


def content_hash(body: str) -> int:
    """What the SDK sends as `contentHash` (contract 2.2)."""
    found = 0
    for unit in memoryview(msgspec.json.encode(body).decode().encode("utf-16-le")).cast("H"):
        found = (31 * found + unit) % 2**32
    return found - 2**32 if found >= 2**31 else found


def item(product: Json) -> Json:
    """The read-back form (contract 3, Item)."""
    fields = {name: product[own] for name, own in SAMPLES.item.items()}
    return {**fields, "OldPrice": product["oldPrice"] or 0, "Modification": [], "Regions": product["stocks"] or None}


def visible(state: State) -> list[Json]:
    """Products that reads show by now."""
    latest = state.clock() - timedelta(seconds=state.settings.import_lag_s)
    return [
        product
        for product in state.products.values()
        if product["source"] != "feed" or datetime.fromisoformat(product["visible_at"]) <= latest
    ]
