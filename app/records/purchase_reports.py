"""Purchases to report to observers: kept when an order is handed out, and commands once their moment has come (R17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, or_, select

from app.domain.events import about
from app.domain.purchases import Purchase
from app.records import outbox
from app.records.deliveries import OPEN_STATES
from app.records.outbox import Owed
from app.records.statements import upsert
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.gateways import pending_reports
from app.records.tables.orders import handed_out

AT_A_TIME = 100

VERB = "report_purchase"

_STEPS = {"acknowledgement": "acknowledge_order", "completion": "complete_order"}
"""The verb the order's own source has to have taken first, for only what is committed is reported."""


@dataclass(frozen=True)
class Ripe:
    """An order whose moment has come; `is_void` when it was cancelled before."""

    purchase: Purchase
    is_void: bool
    unshipped: dict[str, int]
    """Units by order line that will never ship."""


class _Rejected(msgspec.Struct):
    units: dict[str, int]


def see(connection: Connection, channel: str, gateway: str, purchases: Sequence[Purchase], now: datetime) -> None:
    """Keep what is to be reported of these orders; of one seen again the newest holds."""
    rows = {
        purchase.order_refnum: {
            "channel": channel,
            "gateway": gateway,
            "refnum": purchase.order_refnum,
            "body": msgspec.json.encode(purchase),
            "seen_at": now,
        }
        for purchase in purchases
    }
    upsert(connection, pending_reports, list(rows.values()), _as_seen_now)


def _as_seen_now(row: Any) -> dict[str, Any]:
    return {"body": row.body, "seen_at": row.seen_at}


def ripe_streams(connection: Connection, moment: str) -> set[tuple[str, str]]:
    """Every (channel, gateway) for which `ripe` finds some, were all reported at this moment."""
    statement = _reports(moment, pending_reports.c.channel, pending_reports.c.gateway).distinct()
    return {(row.channel, row.gateway) for row in connection.execute(statement)}


def ripe(connection: Connection, channel: str, gateway: str, moment: str) -> list[Ripe]:
    """Orders whose source has taken the step that counts, and those that were cancelled.

    One that its source has cancelled waits until RetailOps knows (R18): its acknowledgement of that is none of
    the order.
    """
    rows = connection.execute(
        _reports(moment, pending_reports.c.body, _IS_VOID.label("is_void"), handed_out.c.rejected)
        .where(pending_reports.c.channel == channel, pending_reports.c.gateway == gateway)
        .order_by(handed_out.c.acknowledged_at, pending_reports.c.refnum)
        .limit(AT_A_TIME)
        .with_for_update(skip_locked=True, of=pending_reports)
    )
    return [
        Ripe(
            msgspec.json.decode(row.body, type=Purchase),
            row.is_void,
            msgspec.json.decode(row.rejected, type=_Rejected).units if row.rejected else {},
        )
        for row in rows
    ]


_IS_VOID = or_(handed_out.c.state == "cancelled", handed_out.c.cancellation_known_at.is_not(None))


def _reports(moment: str, *columns: ColumnElement[Any]) -> Select[Any]:
    """SQL: these columns of each report whose moment has come, and of its order."""
    has_come = {
        "acknowledgement": handed_out.c.acknowledged_at.is_not(None),
        "completion": handed_out.c.state == "completed",
    }[moment]
    is_under_way = exists().where(
        deliveries.c.channel == pending_reports.c.channel,
        deliveries.c.lane == pending_reports.c.refnum,
        deliveries.c.gateway != pending_reports.c.gateway,
        deliveries.c.verb == _STEPS[moment],
        outbox.is_in(deliveries, OPEN_STATES),
    )
    return (
        select(*columns)
        .select_from(pending_reports)
        .join(
            handed_out,
            and_(handed_out.c.channel == pending_reports.c.channel, handed_out.c.refnum == pending_reports.c.refnum),
        )
        .where(or_(_IS_VOID, and_(has_come, handed_out.c.source_cancelled_at.is_(None), ~is_under_way)))
    )


def forget(connection: Connection, channel: str, gateway: str, refnums: Sequence[str]) -> None:
    """They are commands now, or will never be."""
    connection.execute(
        delete(pending_reports).where(
            pending_reports.c.channel == channel,
            pending_reports.c.gateway == gateway,
            pending_reports.c.refnum.in_(refnums),
        )
    )


def queue_ripe(connection: Connection, channel: str, gateway: str, moment: str, now: datetime) -> bool:
    """Make commands of the reports whose moment has come; False when there are none.

    Each is made once for ever: the ledger of commands knows it by observer and order (R9).  Its lane is not the
    order's: one shopper's reports follow one another, whatever else befalls the order.
    """
    found = ripe(connection, channel, gateway, moment)
    for item in found:
        purchase = _as_reported(item, moment)
        if not item.is_void and purchase.lines:
            _queue(connection, channel, gateway, purchase, now)
    forget(connection, channel, gateway, [item.purchase.order_refnum for item in found])
    return bool(found)


def _queue(connection: Connection, channel: str, gateway: str, purchase: Purchase, now: datetime) -> None:
    command = {
        "channel": channel,
        "callback": VERB,
        "natural_key": f"{gateway}/{purchase.order_refnum}",
        "order_refnum": purchase.order_refnum,
        "digest": "",
        "events": msgspec.json.encode(()),
        "request_id": f"report-{outbox.new_lease()}",
        "begun_at": now,
        "lease_until": now,
        "finished_at": now,
    }
    key = ("channel", "callback", "natural_key")
    command_id = upsert(connection, commands, command, key=key, returning=[commands.c.id]).scalar()
    if command_id is None:
        return
    placed = outbox.owe(
        connection,
        Owed(gateway, VERB, purchase, about("order_refnum", purchase.order_refnum)),
        channel=channel,
        lane=f"shopper {purchase.shopper}",
        command_id=command_id,
        request_id=str(command["request_id"]),
        now=now,
        lease=None,
    )
    assert placed is not None
    outbox.wake(connection, placed.delivery.id, now)


def _as_reported(item: Ripe, moment: str) -> Purchase:
    """At completion without the units that never ship."""
    if moment != "completion":
        return item.purchase
    lines = tuple(
        msgspec.structs.replace(line, quantity=left)
        for line in item.purchase.lines
        if (left := line.quantity - item.unshipped.get(line.line_refnum, 0)) > 0
    )
    return msgspec.structs.replace(item.purchase, lines=lines)
