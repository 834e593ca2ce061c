"""Products as the sandbox holds them, however they came: by the Product API or by the feed (contract 2.1, 2.2, 3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.retailrocket.fields import PRODUCT, check, old_price, paths, whole_id
from app.sandbox.vendors.retailrocket.state import State


def take_product(state: State, number: int, query: dict[str, str], body: Any) -> None:
    """Raises `Failure` 400."""
    product = _object(body)
    check(product, {"id": whole_id, **PRODUCT, "categoryPaths": paths}, {"oldPrice": old_price}, "")
    _same(product, "id", number, query)
    _keep(state, product, product["id"], None, query.get("stockId", ""))


def take_group(state: State, number: int, query: dict[str, str], body: Any) -> None:
    """Raises `Failure` 400."""
    group = _object(body)
    check(group, {"groupId": whole_id, **PRODUCT, "categoryPaths": paths}, {"oldPrice": old_price}, "")
    _same(group, "groupId", number, query)
    variants = group.get("products")
    if not isinstance(variants, dict) or not variants:
        raise Failure(400, "products must be a map of products")
    for key, variant in variants.items():
        if not key.isdigit() or whole_id(int(key)):
            raise Failure(400, "products must be named by their ids")
        check(_object(variant), PRODUCT, {"oldPrice": old_price}, f"products.{key}.")
    for key, variant in variants.items():
        whole = {"categoryPaths": group["categoryPaths"], **variant}
        _keep(state, whole, int(key), number, query.get("stockId", ""))


def _object(body: Any) -> Json:
    if not isinstance(body, dict):
        raise Failure(400, "the body must be an object")
    return body


def _same(body: Json, field: str, number: int, query: dict[str, str]) -> None:
    if body[field] != number:
        raise Failure(400, f"{field} must be the one of the path")
    if body.get("stockId", "") != query.get("stockId", ""):
        raise Failure(400, "stockId must be the one of the query")


def _keep(state: State, body: Json, number: int, group: int | None, stock_id: str) -> None:
    before = state.products.get(str(number), {})
    stocks = dict(before.get("stocks", {}))
    if stock_id:
        stocks[stock_id] = {"available": body["isAvailable"], "price": body["price"]}
    state.products[str(number)] = {
        "id": number,
        "groupId": group,
        "name": body["name"],
        "price": body["price"],
        "oldPrice": body.get("oldPrice"),
        "url": body["url"],
        "pictureUrl": body["pictureUrl"],
        "vendor": body.get("vendor"),
        "description": body.get("description"),
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
    return {
        "ItemId": product["id"],
        "Name": product["name"],
        "Price": product["price"],
        "OldPrice": product["oldPrice"] or 0,
        "Url": product["url"],
        "PictureUrl": product["pictureUrl"],
        "Vendor": product["vendor"],
        "Description": product["description"],
        "CategoryNames": product["categories"],
        "Params": product["params"],
        "IsAvailable": product["isAvailable"],
        "GroupId": product["groupId"],
        "Modification": [],
        "Regions": product["stocks"] or None,
    }


def visible(state: State, now: datetime) -> list[Json]:
    """Products that reads show by now."""
    lag = timedelta(seconds=state.settings.import_lag_s)
    return [
        product
        for product in state.products.values()
        if product["source"] != "feed" or datetime.fromisoformat(product["visible_at"]) + lag <= now
    ]
