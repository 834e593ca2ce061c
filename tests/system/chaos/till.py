"""A shop at Rally under fire: shoppers who buy, and the lives of orders in which money goes back."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import requests

from app.sandbox.vendors.rally import ORGANIZATION_ID
from tests.system.books import Books, Request
from tests.system.chaos.lives import Playwright, Shop, Step
from tests.system.chaos.stage import FullStage

SKUS = ("TILL-A", "TILL-B")
PRICE, UNIT = Decimal("20.00"), Decimal("22.00")
"""What a unit costs without and with its tax."""

CREDIT = Decimal("5.00")


class TillLives(Playwright):
    """Every way in which money goes back.  Each order has at most one return, one credit and one completion."""

    def __init__(self, rng: random.Random, shop: Shop) -> None:
        super().__init__(rng, shop)
        self._lives: dict[str, Callable[[dict[str, Any]], list[Step]]] = {
            "kept at Rally": lambda order: [],
            "cancelled at Rally": self._cancelled,
            "cut short at Rally": self._partly_shipped,
            "returned at Rally": self._returned,
            "credited at Rally": self._credited,
        }
        self._weights = (1, 3, 4, 4, 3)

    def _partly_shipped(self, order: dict[str, Any]) -> list[Step]:
        """At least one unit ships and at least one never will."""
        units = self._units(order)
        at = self._rng.randint(1, len(units) - 1)
        submitted = [[self._parcelled(order, parcels)] for parcels in self._shipments(units[:at])]
        completion = self._completion(order, [step[0] for step in submitted], units[at:])
        completion.gives_back = UNIT * len(units[at:])
        return [*submitted, [completion]]

    def _returned(self, order: dict[str, Any]) -> list[Step]:
        """A unit comes back; then RetailOps says so again, with another spelling of the return's id."""
        number = self._shop.next_shipment_id()
        spellings: list[Any] = [number, str(number), f"00{number}", float(number)]
        self._rng.shuffle(spellings)
        said = [self._return(order, spelling) for spelling in spellings[: self._rng.randint(1, 3)]]
        return [*self._completed(order), *([request] for request in said)]

    def _return(self, order: dict[str, Any], number: Any) -> Request:
        refnum, line = order["channel_order_refnum"], order["order_items"][0]
        price, tax = float(PRICE), float(UNIT - PRICE)
        item = {"channel_item_refnum": line["channel_item_refnum"], "sku": line["sku"], "quantity": 1,
                "product_amt": price, "subtotal_amt": price, "tax_amt": tax}  # fmt: skip
        returned = {"retailops_return_id": number, "refund_action": "refund", "refund_amt": float(UNIT),
                    "product_amt": price, "subtotal_amt": price, "tax_amt": tax, "items": [item]}  # fmt: skip
        fields = {"order": {"channel_order_refnum": refnum}, "return": returned}
        return Request("order_returned", fields, (refnum,), gives_back=UNIT)

    def _credited(self, order: dict[str, Any]) -> list[Step]:
        parents = [
            {name: payment[name] for name in ("payment_type", "refnum", "amount")}
            for payment in order["payment_transactions"]
        ]
        fields = {"credit": {"amount": float(CREDIT), "parent_payment_transactions": parents}}
        credit = Request("payment_credit", fields, (order["channel_order_refnum"],), gives_back=CREDIT)
        return [*self._completed(order), [credit]]


class Till:
    """The shop's goods, its hooks, and the shoppers."""

    def __init__(self, stage: FullStage, seed: int) -> None:
        self._stage = stage
        self._rng = random.Random(f"{seed}:shoppers")
        self.bought: dict[str, Decimal] = {}
        """What was charged for each order whose checkout Rally called good."""
        self.checkouts: Counter[str] = Counter()

    def open(self) -> None:
        """Goods without end, and Rally knows where to ask for them."""
        records = [
            {"feed_data": {"General": {"SKU": sku, "Title": sku.title(), "Price": str(PRICE)}},
             "object_data": {"id": number, "source_type": "product"}}
            for number, sku in enumerate(SKUS, 100)
        ]  # fmt: skip
        rows = [{"sku": sku, "quantity_available": 99_999} for sku in SKUS]
        voice = self._stage.till()
        for callback, fields in (
            ("catalog_push", {"template_output": {"data": {"Product": records}}}),
            ("inventory_push", {"inventory_updates": rows}),
        ):
            heard = voice.call(callback, **fields)
            assert heard.is_accepted and not heard.codes("error"), (callback, heard.status, heard.answer)
        voice.close()
        self._stage.register_hooks()
        give_up_at = time.monotonic() + 30
        while len(self._view("products")) < len(SKUS):
            assert time.monotonic() < give_up_at, "the products do not arrive at Rally"
            time.sleep(0.2)

    def sell(self, ending: threading.Event) -> None:
        """One shopper after the other."""
        while not ending.is_set():
            with suppress(requests.RequestException, AssertionError):
                self.buy()
            ending.wait(self._rng.uniform(0.3, 1.2))

    def buy(self) -> None:
        """One checkout; kept in `bought` if Rally calls every step of it good."""
        wish = {"skus": {SKUS[0]: self._rng.randint(1, 3), SKUS[1]: self._rng.randint(1, 2)}}
        done = self._stage.at_rally("POST", f"merchants/{ORGANIZATION_ID}/checkouts", wish)
        self.checkouts[done["outcome"]] += 1
        if done["outcome"] == "good":
            self.bought[done["order_id"]] = Decimal(str(done["charged"]))

    def orders(self) -> dict[str, dict[str, Any]]:
        """Every order as Rally holds it, by number."""
        found: dict[str, dict[str, Any]] = self._view("orders")
        return found

    def _view(self, part: str) -> Any:
        return self._stage.at_rally("GET", f"merchants/{ORGANIZATION_ID}/{part}")[part]


def lost_orders(till: Till, books: Books, handed_out: set[str]) -> list[str]:
    """Orders the shopper has paid and RetailOps never got."""
    known = handed_out | books.acknowledged()
    return [f"order {refnum} was paid at Rally and never handed out" for refnum in till.bought if refnum not in known]
