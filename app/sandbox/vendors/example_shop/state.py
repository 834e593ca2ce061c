"""What the stand-in of Example Shop holds: open orders, and the products and stock it was sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from app.sandbox.bodies import Json
from app.sandbox.state import State as SandboxState

ACCOUNT_ID: Final = "demo"
API_KEY: Final = "sandbox-key-1"

GOODS: Final = {"MUG-RED": "Red mug", "TEE-M": "T-shirt, medium"}
"""Title by SKU of what is sold before any catalogue is sent."""

ORDERS: Final = 3
"""How many orders wait in a new stand-in."""


class State(SandboxState):
    """Begins with a few open orders."""

    def clear(self) -> None:
        super().clear()
        self.orders: dict[str, Json] = {}
        self.products: dict[str, Json] = {sku: {"sku": sku, "title": title} for sku, title in GOODS.items()}
        self.stock: dict[str, int] = {}
        for age_h in range(ORDERS, 0, -1):
            self.add_order(timedelta(hours=-age_h))

    def add_order(self, shift: timedelta = timedelta()) -> Json:
        """A shopper has paid for one of everything there is."""
        number = str(1000 + self.next_number("order"))
        order: dict[str, Any] = {
            "id": number,
            "status": "open",
            "created_at": self.stamp(shift=shift),
            "currency": "USD",
            "ship_service": "GROUND",
            "ship_to": {
                "name": "Dana Doe",
                "street": "1 Example Street",
                "city": "Austin",
                "state": "TX",
                "postal_code": "78701",
                "country": "US",
            },
            "lines": [
                {"id": str(place), "sku": sku, "quantity": 1, "title": str(product.get("title", ""))}
                for place, (sku, product) in enumerate(self.products.items(), 1)
            ],
            "shipments": [],
        }
        self.orders[number] = order
        return order

    def view(self) -> Json:
        return {**super().view(), **self.kept()}

    def held(self) -> dict[str, Sequence[Json]]:
        stock = [{"sku": sku, "quantity": quantity} for sku, quantity in self.stock.items()]
        return {"orders": list(self.orders.values()), "products": list(self.products.values()), "stock": stock}

    def kept(self) -> Json:
        return {"orders": self.orders, "products": self.products, "stock": self.stock}

    def restore(self, whole: Json) -> None:
        self.orders, self.products, self.stock = dict(whole["orders"]), dict(whole["products"]), dict(whole["stock"])
