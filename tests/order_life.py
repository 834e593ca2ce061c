"""What RetailOps says of stock, orders and money, for the tests' shops; and the ledger of refunds that is kept here."""

from __future__ import annotations

from typing import Any, ClassVar

from app.records.database import Database
from app.records.refunds import Entry, RefundChoice, page
from tests.retailops import Caller


class OrderLife:
    """RetailOps in front of one shop.  `FIRST` is the order that is meant where none is named."""

    FIRST: ClassVar[str] = ""
    CARD: ClassVar[str] = "visa"

    retailops: Caller

    @property
    def database(self) -> Database:
        return self.retailops.database

    def set_stock(self, **units: int) -> dict[str, Any]:
        rows = [{"sku": sku, "quantity_available": count} for sku, count in units.items()]
        return self.retailops.ask("inventory_push", inventory_updates=rows)

    def complete(self, refnum: str = "", **content: Any) -> dict[str, Any]:
        return self.retailops.ask("order_complete", order={"channel_order_refnum": refnum or self.FIRST, **content})

    def give_back(self, number: Any, amount: Any, refnum: str = "", **content: Any) -> dict[str, Any]:
        fields = {"retailops_return_id": number, "refund_amt": amount, "refund_action": "refund", **content}
        order = {"channel_order_refnum": refnum or self.FIRST}
        return self.retailops.ask("order_returned", order=order, **{"return": fields})

    def credit(self, amount: Any, *parents: str) -> dict[str, Any]:
        """`parents`: the payments it goes back to, the first of the first order where none is named."""
        names = parents or ((f"{self.FIRST}-p1",) if self.FIRST else ())
        named = [{"payment_type": self.CARD, "refnum": name, "amount": 1} for name in names]
        return self.retailops.ask("payment_credit", credit={"amount": amount, "parent_payment_transactions": named})

    def ledger(self, **which: Any) -> list[Entry]:
        """Refunds, oldest first."""
        with self.database.read() as connection:
            found, _ = page(
                connection, RefundChoice(**which), channels=None, before=None, limit=10_000, searched=10_000
            )
            return found[::-1]
