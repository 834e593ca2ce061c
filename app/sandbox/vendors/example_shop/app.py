"""The stand-in of Example Shop over HTTP; the package describes its API."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

import msgspec
from flask import Flask, Response, request

from app.sandbox.bodies import Failure, Json, api_body, converted, json_answer
from app.sandbox.faults import Faults
from app.sandbox.host import Account, Options, Vendor, serve_sandbox
from app.sandbox.page import Play, Result
from app.sandbox.server import RunningServer
from app.sandbox.vendors.example_shop.state import ACCOUNT_ID, API_KEY, State

BASE_PATH: Final = "/v1"

PAGE: Final = 50


class StockRow(msgspec.Struct):
    """A row of `PUT /stock`."""

    sku: str
    quantity: int


class ProductRow(msgspec.Struct, omit_defaults=True):
    """A row of `PUT /products`."""

    sku: str
    title: str = ""
    price: float | None = None
    currency: str = ""
    description: str = ""


class ShippedLine(msgspec.Struct):
    """Units of a line in a shipment."""

    line_id: str
    quantity: int


class Shipment(msgspec.Struct):
    """The body of `POST /orders/{id}/shipments`."""

    id: str
    lines: list[ShippedLine]
    carrier: str = ""
    service: str = ""
    tracking_number: str = ""
    shipped_at: str = ""


class ExampleShop(Vendor):
    """See `Vendor`."""

    title = "Example Shop"
    base_path = BASE_PATH
    port_offset = 4
    accounts = (Account(API_KEY, ACCOUNT_ID, "the key of the only account"),)

    def start(self, port: int, options: Options) -> RunningServer:
        state = State(state_file=options.state_file)
        state.load()
        return serve_sandbox(self, state, port=port)

    def plays(self, state: State) -> list[Play]:
        about = "A shopper buys one of everything; the order waits for RetailOps."
        return [Play("order", "Place an order", about, "Place it", (), lambda form: _order_placed(state))]

    def add_routes(self, app: Flask, state: State, faults: Faults) -> None:
        @app.before_request
        def know_the_key() -> None:
            key = request.headers.get("X-Api-Key", "")
            if request.path.startswith(BASE_PATH) and not hmac.compare_digest(key.encode(), API_KEY.encode()):
                raise Failure(401, "this key is not known")

        @app.get(f"{BASE_PATH}/account")
        def account() -> Response:
            return json_answer({"id": ACCOUNT_ID, "name": "The demo account"})

        @app.get(f"{BASE_PATH}/orders")
        def orders() -> Response:
            with state.lock:
                return json_answer(_page(list(state.orders.values()), request.args))

        @app.get(f"{BASE_PATH}/orders/<number>")
        def order(number: str) -> Response:
            with state.lock:
                return json_answer(_known(state, number))

        @app.post(f"{BASE_PATH}/orders/<number>/acknowledge")
        def acknowledge(number: str) -> Response:
            with state.lock:
                found = _known(state, number)
                found["status"] = "acknowledged" if found["status"] == "open" else found["status"]
                found["reference"] = api_body().get("reference", "")
                return json_answer(found)

        @app.post(f"{BASE_PATH}/orders/<number>/shipments")
        def ship(number: str) -> Response:
            shipment = converted(api_body(), Shipment)
            with state.lock:
                return json_answer(_shipped(_known(state, number), shipment))

        @app.put(f"{BASE_PATH}/stock")
        def stock() -> Response:
            rows = converted(api_body(), list[StockRow])
            with state.lock:
                known = {row.sku: row.quantity for row in rows if row.sku in state.products}
                state.stock.update(known)
            return json_answer({"results": [{"error": "" if row.sku in known else "unknown_sku"} for row in rows]})

        @app.put(f"{BASE_PATH}/products")
        def products() -> Response:
            rows = converted(api_body(has_decimals=False), list[ProductRow])
            with state.lock:
                state.products.update({row.sku: msgspec.to_builtins(row) for row in rows if row.title})
            return json_answer({"results": [{"error": "" if row.title else "no_title"} for row in rows]})


def _page(orders: list[Json], params: Mapping[str, str]) -> Json:
    first, last, status = (params.get(name, "") for name in ("created_from", "created_until", "status"))
    found = sorted(
        (order for order in orders if status in ("", order["status"])),
        key=lambda order: (order["created_at"], order["id"]),
    )
    found = [order for order in found if first <= order["created_at"] and (not last or order["created_at"] <= last)]
    begin = int(params.get("after") or 0)
    rest = len(found) > begin + PAGE
    return {"orders": found[begin : begin + PAGE], "next": str(begin + PAGE) if rest else None}


def _known(state: State, number: str) -> Json:
    if number not in state.orders:
        raise Failure(404, "no such order")
    return state.orders[number]


def _shipped(order: Json, shipment: Shipment) -> Json:
    """The shipment as it is kept.  Raises `Failure` 422 for units that the order has not."""
    for known in order["shipments"]:
        if known["id"] == shipment.id:
            return dict(known)
    made: Json = msgspec.to_builtins(shipment)
    left = {line["id"]: line["quantity"] for line in order["lines"]}
    for sent in (*order["shipments"], made):
        for line in sent["lines"]:
            left[line["line_id"]] = left.get(line["line_id"], 0) - line["quantity"]
    if any(units < 0 for units in left.values()):
        raise Failure(422, "more units than the order has left")
    order["shipments"].append(made)
    if not any(left.values()):
        order["status"] = "shipped"
    return made


def _order_placed(state: State) -> Result:
    with state.lock:
        order = state.add_order()
    return Result(True, f"Order {order['id']} waits for RetailOps.", order["lines"])


VENDOR = ExampleShop()


def serve_example_shop(port: int = 0) -> tuple[RunningServer, State]:
    """The stand-in on loopback, and what it holds; port 0 takes a free one."""
    state = State()
    return serve_sandbox(VENDOR, state, port=port), state
