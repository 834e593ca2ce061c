"""A stand-in of Example Shop.  Its API, below `/v1`, which is made up:

Every request has the header `X-Api-Key`; without a known one the answer is 401.  Bodies are JSON.  A refused request is
answered with a status of 400 to 499 and `{"message": text}`.

    GET  /account                     {"id", "name"}
    GET  /orders                      {"orders": [order], "next": text or null}, by time of creation, 50 a page
         ?status=open                 open, acknowledged or shipped
         &created_from=, &created_until=   RFC 3339, both included
         &after=                      `next` of the page before; "" for the first
    GET  /orders/{id}                 order
    POST /orders/{id}/acknowledge     {"reference": text} -> order
    POST /orders/{id}/shipments       shipment -> shipment; one whose `id` is known is not made again
    PUT  /stock                       [{"sku", "quantity"}] -> {"results": [{"error": code or ""}]}
    PUT  /products                    [{"sku", "title", "price", "currency", "description"}] -> likewise

    order     {"id", "status", "created_at", "currency", "ship_service", "ship_to", "lines", "shipments"}
    ship_to   {"name", "street", "city", "state", "postal_code", "country"}
    line      {"id", "sku", "quantity", "title"}
    shipment  {"id", "carrier", "service", "tracking_number", "shipped_at", "lines": [{"line_id", "quantity"}]}

Quantities are absolute.  Stock of a SKU that is no product is refused with the code `unknown_sku`.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Final

from flask import request

from app.sandbox.bodies import Failure, Json, decode, existing
from app.sandbox.host import Account, Vendor, serve_sandbox
from app.sandbox.page import Play, Result
from app.sandbox.routes import Routes, keys_in
from app.sandbox.server import RunningServer
from app.sandbox.state import State as SandboxState

BASE_PATH: Final = "/v1"
ACCOUNT_ID: Final = "demo"
API_KEY: Final = "sandbox-key-1"
PAGE: Final = 50

_SEED: Final[Json] = decode(Path(__file__).with_name("seed.json").read_bytes())
_API: Final = Routes(BASE_PATH, keys_in("X-Api-Key", API_KEY))


class State(SandboxState):
    """Begins with goods and a few open orders."""

    orders: dict[str, Json]
    products: dict[str, Json]
    stock: dict[str, int]

    def clear(self) -> None:
        super().clear()
        self.products = {product["sku"]: product for product in deepcopy(_SEED["products"])}
        for age_h in _SEED["orders_placed_h_ago"]:
            self.add_order(timedelta(hours=-age_h))

    def add_order(self, shift: timedelta = timedelta()) -> Json:
        """A shopper has paid for one of everything there is."""
        number = str(1000 + self.next_number("order"))
        lines = [
            {"id": str(place), "sku": sku, "quantity": 1, "title": product.get("title", "")}
            for place, (sku, product) in enumerate(self.products.items(), 1)
        ]
        order: Json = {"id": number, "created_at": self.stamp(shift=shift), **deepcopy(_SEED["order"]), "lines": lines}
        self.orders[number] = order
        return order


@_API.route("GET", "/account")
def account(state: State) -> Json:
    return {"id": ACCOUNT_ID, "name": "The demo account"}


@_API.route("GET", "/orders")
def orders(state: State) -> Json:
    first, last, status = (request.args.get(name, "") for name in ("created_from", "created_until", "status"))
    found = [
        order
        for order in sorted(state.orders.values(), key=lambda order: (order["created_at"], order["id"]))
        if status in ("", order["status"])
        and first <= order["created_at"]
        and (not last or order["created_at"] <= last)
    ]
    begin = request.args.get("after", 0, type=int)
    end = begin + PAGE
    return {"orders": found[begin:end], "next": str(end) if len(found) > end else None}


@_API.route("GET", "/orders/<number>")
def order(state: State, number: str) -> Json:
    return existing(state.orders, number, "no such order")


@_API.route("POST", "/orders/<number>/acknowledge", takes="acknowledgement")
def acknowledge(state: State, number: str, body: Json) -> Json:
    found = order(state, number)
    found["status"] = "acknowledged" if found["status"] == "open" else found["status"]
    found["reference"] = body.get("reference", "")
    return found


@_API.route("POST", "/orders/<number>/shipments", takes="shipment")
def ship(state: State, number: str, body: Json) -> Json:
    found = order(state, number)
    for known in found["shipments"]:
        if known["id"] == body["id"]:
            return dict(known)
    left = {line["id"]: line["quantity"] for line in found["lines"]}
    for shipment in (*found["shipments"], body):
        for line in shipment["lines"]:
            left[line["line_id"]] = left.get(line["line_id"], 0) - line["quantity"]
    if any(units < 0 for units in left.values()):
        raise Failure(422, "more units than the order has left")
    lines = [_named(line, "line_id", "quantity") for line in body["lines"]]
    kept = {**_named(body, "id", "carrier", "service", "tracking_number", "shipped_at"), "lines": lines}
    found["shipments"].append(kept)
    found["status"] = found["status"] if any(left.values()) else "shipped"
    return kept


@_API.route("PUT", "/stock", takes="stock")
def stock(state: State, body: list[Json]) -> Json:
    state.stock |= {row["sku"]: row["quantity"] for row in body if row["sku"] in state.products}
    return {"results": [{"error": "" if row["sku"] in state.products else "unknown_sku"} for row in body]}


@_API.route("PUT", "/products", takes="products")
def products(state: State, body: list[Json]) -> Json:
    kept = [_named(row, "sku", "title", "price", "currency", "description") for row in body if row.get("title")]
    state.products |= {row["sku"]: row for row in kept}
    return {"results": [{"error": "" if row.get("title") else "no_title"} for row in body]}


def _named(body: Json, *names: str) -> Json:
    """What its API knows of a body; any other field is ignored."""
    return {name: body[name] for name in names if name in body}


class ExampleShop(Vendor):
    """See `Vendor`."""

    title = "Example Shop"
    base_path = BASE_PATH
    port_offset = 4
    accounts = (Account(API_KEY, ACCOUNT_ID, "the key of the only account"),)
    remembers = State
    routes = (_API,)

    def plays(self, state: State) -> list[Play]:
        def place() -> Result:
            with state.lock:
                order = state.add_order()
            return Result(True, f"Order {order['id']} waits for RetailOps.", order["lines"])

        about = "A shopper buys one of everything; the order waits for RetailOps."
        return [Play("order", "Place an order", about, "Place it", (), lambda form: place())]


VENDOR = ExampleShop()


def serve_example_shop(port: int = 0) -> tuple[RunningServer, State]:
    """The stand-in on loopback, and what it holds; port 0 takes a free one."""
    state = State()
    return serve_sandbox(VENDOR, state, port=port), state
