"""Orders that observers get a report of, and which of these reports are due (R17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, delete, exists, or_, select

from app.domain.purchases import Purchase
from app.records.deliveries import OPEN_STATES
from app.records.statements import upsert
from app.records.tables.deliveries import deliveries
from app.records.tables.gateways import observed_orders
from app.records.tables.orders import handed_out

AT_A_TIME = 100

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
    """Keep what is to be told of these orders; of one seen again the newest holds."""
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
    upsert(connection, observed_orders, list(rows.values()), _as_seen_now)


def _as_seen_now(row: Any) -> dict[str, Any]:
    return {"body": row.body, "seen_at": row.seen_at}


def ripe(connection: Connection, channel: str, gateway: str, moment: str) -> list[Ripe]:
    """Orders whose source has taken the step that counts, and those that were cancelled.

    One that its source has called off waits until RetailOps knows (R18): its acknowledgement of that is none of
    the order.
    """
    has_come = {
        "acknowledgement": handed_out.c.acknowledged_at.is_not(None),
        "completion": handed_out.c.state == "completed",
    }[moment]
    is_void = or_(handed_out.c.state == "cancelled", handed_out.c.called_off_told_at.is_not(None))
    is_under_way = exists().where(
        deliveries.c.channel == channel,
        deliveries.c.lane == observed_orders.c.refnum,
        deliveries.c.gateway != gateway,
        deliveries.c.verb == _STEPS[moment],
        deliveries.c.state.in_(OPEN_STATES),
    )
    rows = connection.execute(
        select(observed_orders.c.body, is_void.label("is_void"), handed_out.c.rejected)
        .join(
            handed_out,
            and_(handed_out.c.channel == observed_orders.c.channel, handed_out.c.refnum == observed_orders.c.refnum),
        )
        .where(
            observed_orders.c.channel == channel,
            observed_orders.c.gateway == gateway,
            or_(is_void, and_(has_come, handed_out.c.called_off_at.is_(None), ~is_under_way)),
        )
        .order_by(handed_out.c.acknowledged_at, observed_orders.c.refnum)
        .limit(AT_A_TIME)
        .with_for_update(skip_locked=True, of=observed_orders)
    )
    return [
        Ripe(
            msgspec.json.decode(row.body, type=Purchase),
            row.is_void,
            msgspec.json.decode(row.rejected, type=_Rejected).units if row.rejected else {},
        )
        for row in rows
    ]


def forget(connection: Connection, channel: str, gateway: str, refnums: Sequence[str]) -> None:
    """They are owed now, or will never be."""
    connection.execute(
        delete(observed_orders).where(
            observed_orders.c.channel == channel,
            observed_orders.c.gateway == gateway,
            observed_orders.c.refnum.in_(refnums),
        )
    )
