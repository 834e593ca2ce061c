"""The vendor's side of the feed: it fetches, and silently skips what is not complete (contract 2.1)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import requests

from app.sandbox.bodies import Json
from app.sandbox.calls import call
from app.sandbox.vendors.retailrocket.checks import is_id
from app.sandbox.vendors.retailrocket.state import State

PATIENCE_S = 30.0
HEADER = b"<?xml"


def poll(state: State, url: str) -> Json:
    """Fetch the feed once, unless it is unchanged, and import it.  What became of it, as kept in `polls`."""
    with state.lock:
        marks = dict(state.feed_marks.get(url, {}))
    headers = {"Accept-Encoding": "gzip"}
    if marks.get("etag"):
        headers["If-None-Match"] = marks["etag"]
    elif marks.get("modified"):
        headers["If-Modified-Since"] = marks["modified"]
    result: Json = {"at": state.stamp(), "status": 0, "imported": 0, "skipped": 0, "fault": ""}
    try:
        reply = call("GET", url, headers=headers, patience_s=PATIENCE_S)
        result["status"] = reply.status_code
        if reply.status_code == 200:
            products, skipped = read(reply.content)
            with state.lock:
                _take_over(state, products)
                state.skipped = skipped
                state.feed_marks[url] = {
                    "etag": reply.headers.get("ETag", ""),
                    "modified": reply.headers.get("Last-Modified", ""),
                }
            result |= {"imported": len(products), "skipped": len(skipped), "bytes": len(reply.content)}
    except (requests.RequestException, ET.ParseError, ValueError) as error:
        result["fault"] = f"{type(error).__name__}: the feed cannot be read"
    with state.lock:
        state.polls.append(result)
    return result


def read(document: bytes) -> tuple[list[Json], list[Json]]:
    """Products, and the offers that were skipped with the reason.

    Raises `ValueError` for a document the vendor would not take as a whole, `ParseError` for no XML.
    """
    if not document.startswith(HEADER):
        raise ValueError("the XML header must be at byte 0")
    root = ET.fromstring(document)
    shop = root.find("shop")
    if root.tag != "yml_catalog" or shop is None or not root.get("date"):
        raise ValueError("yml_catalog with a date and shop are required")
    if shop.find("categories") is None or shop.find("offers") is None:
        raise ValueError("categories and offers are required")
    tree = {
        item.get("id", ""): (item.text or "", item.get("parentId")) for item in shop.iterfind("categories/category")
    }
    products, skipped = [], []
    seen: set[str] = set()
    for offer in shop.iterfind("offers/offer"):
        if reason := _why_skipped(offer, tree, seen):
            skipped.append({"id": offer.get("id"), "reason": reason})
        else:
            products.append(_product(offer, tree))
        seen.add(offer.get("id", ""))
    return products, skipped


def _why_skipped(offer: ET.Element, tree: dict[str, tuple[str, str | None]], seen: set[str]) -> str:
    number = offer.get("id", "")
    if not is_id(number):
        return "id is not an integer"
    if number in seen:
        return "id stands twice"
    if offer.get("available") not in ("true", "false"):
        return "available is not true or false"
    for name in ("url", "price", "name", "picture", "categoryId"):
        if not (offer.findtext(name) or "").strip():
            return f"{name} is missing or empty"
    if any((item.text or "") not in tree for item in offer.findall("categoryId")):
        return "categoryId names no category"
    if float(offer.findtext("price") or 0) == 0:
        return "price is 0"
    if offer.find("stock") is not None and offer.get("available") != "false":
        return "available must be false where stock is used"
    return ""


def _product(offer: ET.Element, tree: dict[str, tuple[str, str | None]]) -> Json:
    stocks: dict[str, Any] = {
        stock.get("id", ""): {"available": stock.findtext("available") == "true"} for stock in offer.findall("stock")
    }
    is_there = any(stock["available"] for stock in stocks.values()) if stocks else offer.get("available") == "true"
    group = offer.get("group_id")
    return {
        "id": int(offer.get("id", "0")),
        "groupId": int(group) if group else None,
        "name": offer.findtext("name"),
        "price": float(offer.findtext("price") or 0),
        "oldPrice": float(offer.findtext("oldprice") or 0) or None,
        "url": offer.findtext("url"),
        "pictureUrl": offer.findtext("picture"),
        "vendor": offer.findtext("vendor"),
        "description": offer.findtext("description"),
        "params": {param.get("name", ""): param.text or "" for param in offer.findall("param")},
        "categories": [_path(item.text or "", tree) for item in offer.findall("categoryId")],
        "isAvailable": is_there,
        "stocks": stocks,
        "source": "feed",
    }


def _path(number: str, tree: dict[str, tuple[str, str | None]]) -> str:
    names: list[str] = []
    at: str | None = number
    while at in tree and len(names) < len(tree):
        name, at = tree[at]
        names.insert(0, name)
    return "/".join(names)


def _take_over(state: State, products: list[Json]) -> None:
    """What is missing from the feed stays, unavailable: the vendor does not say what becomes of it."""
    now = state.stamp()
    named = {str(product["id"]) for product in products}
    for number, product in state.products.items():
        if product["source"] == "feed" and number not in named:
            product["isAvailable"] = False
    for product in products:
        before = state.products.get(str(product["id"]), {})
        same = all(before.get(name) == value for name, value in product.items())
        state.products[str(product["id"])] = product | {
            "visible_at": before["visible_at"] if same else now,
            "times": before.get("times", 0) + (not same),
        }
