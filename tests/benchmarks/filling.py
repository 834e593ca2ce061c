"""Rows as years of traffic leave them, in every table that grows, for benchmarks and for the plans of statements."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Table

from app.domain.orders import SketchLine
from app.records.call_figures import DAY_S, FIVE_MINUTES_S, HOUR_S, begin_of
from app.records.database import Database
from app.records.search_keys import folded
from app.records.statements import chunked
from app.records.tables import metadata

CALLBACKS = ("order_pull", "inventory_push", "order_acknowledge", "order_shipment_submit", "catalog_push")

LINES = msgspec.json.encode((SketchLine("1", "SKU-0000007", 2),))
"""Those of every order."""

FIRST_ID = 1_000_000

Row = dict[str, Any]


@dataclass(frozen=True)
class Amounts:
    """How many rows of what; every order has its payment, refund and numbers."""

    lines: int
    """Of the journal."""
    calls: int
    """Commands with a delivery each; the last are parked."""
    orders: int
    """That were handed out, one of twenty without acknowledgement and one of ten still open."""
    channel: str = "bench0"
    gateway: str = "pipe17"
    skus: int = 0
    """Of goods, each with its stock; one of ten was refused and waits."""
    parked: int = 100
    body: Callable[[int], bytes] = lambda number: b"{}"
    """The document of a shop's order, by its number."""
    first_id: int = FIRST_ID
    """Of commands and of deliveries, so that they can stand beside others."""


def fill(database: Database, amounts: Amounts, tables: Iterable[str] | None = None) -> None:
    """Add the rows of these tables; None: of all."""
    now = database.now()
    for name, rows in ROWS.items():
        if tables is None or name in tables:
            add(database, metadata.tables[name], rows(amounts, now))


def add(database: Database, table: Table, rows: Iterable[Row]) -> None:
    """Add rows that name the same columns, as quickly as the database takes them."""
    for some in chunked(list(rows), 50_000):
        columns = list(some[0])
        kept = [
            table.c[column].type.dialect_impl(database.engine.dialect).bind_processor(database.engine.dialect)
            for column in columns
        ]
        values = [
            tuple(keep(row[column]) if keep else row[column] for column, keep in zip(columns, kept, strict=True))
            for row in some
        ]
        named = ", ".join(f'"{column}"' for column in columns)
        with database.write(is_durable=False) as connection:
            if database.is_sqlite:
                marks = ", ".join("?" * len(columns))
                connection.exec_driver_sql(f"insert into {table.name} ({named}) values ({marks})", values)
                continue
            driver: Any = connection.connection.dbapi_connection
            with driver.cursor().copy(f"copy {table.name} ({named}) from stdin") as copy:
                for row in values:
                    copy.write_row(row)


def _each(row: Callable[[Amounts, int, datetime], Row], count: str) -> Callable[[Amounts, datetime], Iterator[Row]]:
    return lambda amounts, now: (row(amounts, number, now) for number in range(getattr(amounts, count)))


def _journal(amounts: Amounts, now: datetime) -> Iterator[Row]:
    draw = random.Random(1)
    for number in range(amounts.lines):
        kind = (*["callback"] * 6, *["vendor"] * 3, "hook")[number % 10]
        named = {"callback": CALLBACKS[number % 5], "vendor": "pipe17 GET /orders", "hook": "pipe17 shipment"}
        yield {
            "at": now - timedelta(seconds=7 * (amounts.lines - number)), "kind": kind, "channel": amounts.channel,
            "name": named[kind], "order_refnum": f"ORDER-{number % amounts.orders}" if number % 3 == 0 else "",
            "status": 200 if number % 500 else 503, "outcome": "success" if number % 50 else "OWED",
            "duration_ms": draw.randint(1, 400), "request_id": f"request-{number // 3}",
        }  # fmt: skip


def _command(amounts: Amounts, number: int, now: datetime) -> Row:
    at = now - timedelta(minutes=amounts.calls - number)
    return {
        "id": amounts.first_id + number, "channel": amounts.channel, "callback": "order_shipment_submit",
        "natural_key": f"filled-{number}", "order_refnum": f"ORDER-{number % amounts.orders}", "digest": "",
        "events": b"[]", "request_id": f"request-{number}", "begun_at": at, "lease_until": at, "finished_at": at,
    }  # fmt: skip


def _delivery(amounts: Amounts, number: int, now: datetime) -> Row:
    at = now - timedelta(minutes=amounts.calls - number)
    return {
        "id": amounts.first_id + number, "channel": amounts.channel, "gateway": amounts.gateway,
        "verb": "submit_shipment", "lane": f"ORDER-{number % amounts.orders}",
        "command_id": amounts.first_id + number, "about": b"[]",
        "state": "delivered" if number < amounts.calls - amounts.parked else "parked", "next_try_at": at,
        "request_id": f"request-{number}", "created_at": at, "attempts": 1,
    }  # fmt: skip


def _attempt(amounts: Amounts, number: int, now: datetime) -> Row:
    at = now - timedelta(minutes=amounts.calls - number)
    return {
        "delivery_id": amounts.first_id + number,
        "at": at,
        "number": 1,
        "ms": 20,
        "outcome": "delivered",
        "code": "",
    }


def _late_event(amounts: Amounts, number: int, now: datetime) -> Row:
    at = now - timedelta(minutes=amounts.calls - number)
    return {
        "channel": amounts.channel, "gateway": amounts.gateway, "callback": "order_shipment_submit",
        "subject": f"ORDER-{number % amounts.orders}", "code": "LATE_HTTP_400", "message": "it was refused",
        "about": b"[]", "delivery_id": amounts.first_id + number, "request_id": f"request-{number}", "at": at,
        "sent_at": at, "dismissed_at": at if number < amounts.calls - amounts.parked else None,
    }  # fmt: skip


def _order(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "refnum": f"ORDER-{number}", "lines": LINES, "times": 1, "last_handed_at": now,
        "acknowledged_at": now if number % 20 else None, "state": "completed" if number % 10 else "open",
        "retailops_order_id": str(8_000_000 + number) if number % 20 else "",
    }  # fmt: skip


def _package(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "order_refnum": f"ORDER-{number}", "key": f"{number}-1",
        "retailops_shipment_id": str(number), "lines": b"[]", "registered_at": now,
    }  # fmt: skip


def _payment(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "order_refnum": f"ORDER-{number}", "refnum": f"pay-{number}", "position": 0,
        "currency_code": "USD", "kind": "charge", "processing_type": "channel_payment", "payment_type": "card",
        "amount": Decimal("40.00"),
    }  # fmt: skip


def _refund(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "key": f"refund-{number}", "order_refnum": f"ORDER-{number}",
        "payment_refnum": f"pay-{number}", "callback": "order_returned", "natural_key": f"return-{number}",
        "amount": Decimal("12.50"), "currency_code": "USD", "lines": b"[]",
        "state": "accepted" if number % 100 else "parked",
        "created_at": now - timedelta(minutes=amounts.orders - number),
    }  # fmt: skip


def _keys(amounts: Amounts, now: datetime) -> Iterator[Row]:
    for number in range(amounts.orders):
        numbers = {"order": f"ORDER-{number}", "retailops_order": str(8_000_000 + number)}
        for kind, written in {**numbers, "tracking": f"1Z{number:010d}"}.items():
            yield {
                "channel": amounts.channel, "order_refnum": f"ORDER-{number}", "kind": kind, "object": written,
                "folded_key": folded(written), "at": now - timedelta(minutes=amounts.orders - number),
            }  # fmt: skip


def _shop_order(amounts: Amounts, number: int, now: datetime) -> Row:
    at = now - timedelta(minutes=amounts.orders - number)
    return {
        "channel": amounts.channel, "refnum": f"ORDER-{number}", "cart_id": f"cart-{number}",
        "state": "completed" if number % 20 else "paid", "body": amounts.body(number), "hooks": b"",
        "created_at": at, "exportable_at": at, "changed_at": at, "purge_after": at + timedelta(days=180),
        "paid_at": at, "taken_at": at if number % 20 else None,
    }  # fmt: skip


def _cart(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "cart_id": f"cart-{number}", "body": b"{}", "changed_at": now,
        "purge_after": now + timedelta(minutes=number),
    }  # fmt: skip


def _reservation(amounts: Amounts, number: int, now: datetime) -> Row:
    return {"channel": amounts.channel, "sku": f"SKU-{number % 97:07d}", "order_refnum": f"ORDER-{number}", "units": 2}


def _pending_report(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "gateway": "retailrocket", "refnum": f"ORDER-{number}", "body": b"{}",
        "seen_at": now - timedelta(minutes=number),
    }  # fmt: skip


def _reported_line(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "gateway": "retailrocket", "order_refnum": f"ORDER-{number}", "product": "7",
        "reported_at": now,
    }  # fmt: skip


def _stock(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "gateway": amounts.gateway, "sku": f"SKU-{number:07d}", "level": b"[5,[],false]",
        "seq": number, "sent_seq": number, "stated_at": now, "is_changed": False, "turn": number,
        "refusal": "" if number % 10 else "NO_PRODUCT",
    }  # fmt: skip


def _record(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "key": f"product-{number}", "root_key": f"product-{number}",
        "identity": f"product/{number}", "sku": f"SKU-{number:07d}", "title": f"mug {number}", "item": b"{}",
        "is_enabled": True, "changed_at": now, "sku_number": number,
    }  # fmt: skip


def _catalogue_sync(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "gateway": amounts.gateway, "root_key": f"product-{number}", "seq": number,
        "sent_seq": number, "is_changed": False, "turn": number, "refusal": "" if number % 10 else "NO_PRODUCT",
    }  # fmt: skip


def _sku_number(amounts: Amounts, number: int, now: datetime) -> Row:
    return {"channel": amounts.channel, "name": f"SKU-{number:07d}", "key": f"product-{number}"}


def _obstacle(amounts: Amounts, number: int, now: datetime) -> Row:
    return {
        "channel": amounts.channel, "gateway": amounts.gateway, "kind": "stock", "fact": f"SKU-{number:07d}",
        "code": "product", "subject": f"SKU-{number:07d}",
    }  # fmt: skip


def _figures(amounts: Amounts, now: datetime) -> Iterator[Row]:
    """Counts for as long as each length of span is kept, of callbacks and of a vendor's calls."""
    named = [("callback", name) for name in CALLBACKS] + [("vendor", "pipe17")]
    for span_s, days in ((FIVE_MINUTES_S, 2), (HOUR_S, 90), (DAY_S, 90)):
        last = begin_of(now, span_s)
        for back, (kind, name) in itertools.product(range(days * DAY_S // span_s), named):
            for outcome in ("success", "failed"):
                yield {
                    "span_s": span_s, "at": last - timedelta(seconds=span_s * back), "kind": kind,
                    "channel": amounts.channel, "name": name, "outcome": outcome, "count": 9, "took_3": 5, "took_6": 4,
                }  # fmt: skip


def _pending(amounts: Amounts, now: datetime) -> Iterator[Row]:
    last = begin_of(now, FIVE_MINUTES_S)
    for back in range(90 * DAY_S // FIVE_MINUTES_S):
        at = last - timedelta(seconds=FIVE_MINUTES_S * back)
        yield {
            "at": at, "channel": amounts.channel, "gateway": amounts.gateway, "owed": 3, "parked": 1,
            "oldest_s": 60 + back % 900, "facts": 2,
        }  # fmt: skip


ROWS: Mapping[str, Callable[[Amounts, datetime], Iterator[Row]]] = {
    "journal": _journal,
    "commands": _each(_command, "calls"),
    "deliveries": _each(_delivery, "calls"),
    "attempts": _each(_attempt, "calls"),
    "late_events": _each(_late_event, "calls"),
    "handed_out": _each(_order, "orders"),
    "packages": _each(_package, "orders"),
    "payments": _each(_payment, "orders"),
    "refunds": _each(_refund, "orders"),
    "search_keys": _keys,
    "orders": _each(_shop_order, "orders"),
    "carts": _each(_cart, "orders"),
    "reservations": _each(_reservation, "orders"),
    "pending_reports": _each(_pending_report, "orders"),
    "reported_lines": _each(_reported_line, "orders"),
    "stock": _each(_stock, "skus"),
    "catalogue": _each(_record, "skus"),
    "catalogue_sync": _each(_catalogue_sync, "skus"),
    "sku_numbers": _each(_sku_number, "skus"),
    "fact_obstacles": _each(_obstacle, "skus"),
    "call_figures": _figures,
    "pending_figures": _pending,
}
"""By table what is filled in; what refers to a row stands behind it."""
