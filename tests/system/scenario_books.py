"""What each step of the demo's scenarios has to change in our own records, and what it did change."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, case, func, select

from app.cli.demo import pipe17, rally, retailrocket
from app.cli.demo.playing import Failed, Steps
from app.records.database import Database
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.deliveries import commands, deliveries, late_events
from app.records.tables.gateways import reported_lines
from app.records.tables.money import refunds
from app.records.tables.orders import handed_out
from app.records.tables.stock import stock
from app.records.tables.storefront import orders, reservations

PATIENCE_S = 20.0
"""How long what is done in the background may take on a busy machine."""

Changes = Mapping[tuple[str, ...], int]
"""How many more of each kind of row there are, by what the rows say."""

CHANGES: dict[str, dict[str, Changes]] = {
    pipe17.VENDOR: {
        "configuration": {},
        "pull": {("order", "open", "new"): 9},
        "acknowledge": {
            ("order", "open", "new"): -9, ("order", "open", "acknowledged"): 9,
            ("command", "order_acknowledge"): 9, ("call", "acknowledge_order", "delivered"): 9,
        },
        "catalogue": {("goods", "sent"): 2, ("goods", "refused"): 1, ("late", "LATE_PRODUCT_REFUSED"): 1},
        "withdraw": {},
        "stock": {("stock", "sent"): 13},
        "ship": {("command", "order_shipment_submit"): 2, ("call", "submit_shipment", "delivered"): 2},
        "ship_again": {},
        "cancel": {
            ("order", "open", "acknowledged"): -1, ("order", "cancelled", "acknowledged"): 1,
            ("command", "order_cancel"): 1, ("call", "cancel_order", "delivered"): 1,
        },
        "cancel_shipped": {},
        "complete": {
            ("order", "open", "acknowledged"): -1, ("order", "completed", "acknowledged"): 1,
            ("command", "order_shipment_submit"): 1, ("call", "submit_shipment", "delivered"): 1,
            ("command", "order_complete"): 1, ("call", "complete_order", "delivered"): 1,
        },
        "called_off": {},
        "toggle": {
            ("order", "open", "acknowledged"): 1,
            ("command", "order_acknowledge"): 1, ("call", "acknowledge_order", "delivered"): 1,
        },
        "money": {},
        "outage": {("command", "order_shipment_submit"): 1, ("call", "submit_shipment", "owed"): 1},
        "recovery": {("call", "submit_shipment", "owed"): -1, ("call", "submit_shipment", "delivered"): 1},
    },
    rally.VENDOR: {
        "register": {},
        "catalogue": {("goods", "sent"): 2, ("goods", "refused"): 1, ("late", "LATE_PRODUCT_REFUSED"): 1},
        "stock": {("stock", "sent"): 3},
        "checkout": {("sale", "pending"): 1, ("sale", "paid"): 1, ("reserved units",): 6},
        "pull": {("order", "open", "new"): 1},
        "ship": {
            ("order", "open", "new"): -1, ("order", "open", "acknowledged"): 1,
            ("command", "order_acknowledge"): 1, ("call", "acknowledge_order", "delivered"): 1,
            ("command", "order_shipment_submit"): 1, ("call", "submit_shipment", "delivered"): 1,
        },
        "complete": {
            ("order", "open", "acknowledged"): -1, ("order", "completed", "acknowledged"): 1,
            ("sale", "paid"): -1, ("sale", "completed"): 1,
            ("command", "order_complete"): 1, ("call", "complete_order", "delivered"): 1,
            ("call", "refund_payment", "delivered"): 1, ("refund", "order_complete", "13.53", "accepted"): 1,
        },
        "give_back": {
            ("command", "order_returned"): 1, ("call", "return_order", "delivered"): 2,
            ("refund", "order_returned", "16.47", "accepted"): 1, ("refund", "order_returned", "16.01", "accepted"): 1,
        },
        "credit": {("refund", "payment_credit", "32.48", "matched"): 1},
    },
    retailrocket.VENDOR: {
        "feed": {
            ("goods", "sent"): 3, ("stock", "sent"): 3,
            ("call", "report_purchase", "delivered"): 1, ("reported lines",): 3,
        },
        "sell_out": {},
        "purchases": {},
        "hang": {},
    },
}  # fmt: skip
"""By vendor and step; what is done twice, looked at or refused changes nothing."""


def played(database: Database, channel: str, vendor: str, steps: Steps) -> dict[str, Changes]:
    """Play the steps; by step what it changed, once that is all it has to change or long after.

    A step that does not hold is the last, and says what it saw.
    """
    found: dict[str, Changes] = {}
    before = Counter[tuple[str, ...]]()
    for name, act in steps:
        step = getattr(act, "__name__", name)
        try:
            print(step, act(), sep=": ")
        except Failed as failed:
            found[step] = {("did not hold", str(failed)): 1}
            break
        expected = CHANGES[vendor].get(step, {})
        give_up_at = time.monotonic() + PATIENCE_S
        while (changes := _difference(_rows(database, channel, vendor), before)) != expected:
            if time.monotonic() > give_up_at:
                break
            time.sleep(0.02)
        found[step] = changes
        before.update(expected)
    return found


def _difference(now: Counter[tuple[str, ...]], before: Counter[tuple[str, ...]]) -> Changes:
    return {kind: now[kind] - before[kind] for kind in now | before if now[kind] != before[kind]}


def _rows(database: Database, channel: str, vendor: str) -> Counter[tuple[str, ...]]:
    """What is kept of a vendor, and of the orders of its channel where it is the one they come from."""
    with database.read() as connection:
        return Counter(
            {
                (kind, *(f"{value:.2f}" if isinstance(value, Decimal) else value for value in row[:-1])): int(row[-1])
                for kind, query in _queries(channel, vendor)
                for row in connection.execute(query)
                if row[-1]
            }
        )


def _queries(channel: str, vendor: str) -> list[tuple[str, Select[Any]]]:
    count = func.count()
    order, call = handed_out.c, deliveries.c
    is_new = case((order.acknowledged_at.is_(None), "new"), else_="acknowledged")
    goods = case(
        (catalogue_sync.c.seq > catalogue_sync.c.sent_seq, "pending"),
        (catalogue_sync.c.refusal != "", "refused"),
        else_="sent",
    )
    level = case((stock.c.seq > stock.c.sent_seq, "pending"), else_="sent")

    def of(table: Any, *columns: Any) -> Select[Any]:
        """How many rows of the channel, and of the vendor where the table names it."""
        query = select(*columns, count).where(table.c.channel == channel)
        return (query.where(table.c.gateway == vendor) if "gateway" in table.c else query).group_by(*columns)

    found = [
        ("call", of(deliveries, call.verb, call.state)),
        ("goods", of(catalogue_sync, goods)),
        ("stock", of(stock, level)),
        ("reported lines", of(reported_lines)),
    ]
    if vendor == retailrocket.VENDOR:
        return found
    reserved = select(func.sum(reservations.c.units)).where(reservations.c.channel == channel)
    return [
        *found,
        ("order", of(handed_out, order.state, is_new)),
        ("command", of(commands, commands.c.callback).where(commands.c.callback != "report_purchase")),
        ("late", of(late_events, late_events.c.code)),
        ("refund", of(refunds, refunds.c.callback, refunds.c.amount, refunds.c.state)),
        ("sale", of(orders, orders.c.state)),
        ("reserved units", reserved),
    ]
