"""The carts of a shop in the database: what shoppers are about to buy.  `body` is what `cart_document` writes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, select

from app.records.statements import upsert
from app.records.tables.storefront import carts, orders


def lock_name(channel: str, cart_id: str) -> str:
    """What `Database.write(serial=...)` needs, so that one request at a time changes a cart."""
    return f"{channel}/cart/{cart_id}"


def get(connection: Connection, channel: str, cart_id: str, now: datetime) -> bytes | None:
    """The document of a cart that is not past its date, or None."""
    return connection.execute(
        select(carts.c.body).where(carts.c.channel == channel, carts.c.cart_id == cart_id, carts.c.purge_after > now)
    ).scalar()


def put(connection: Connection, channel: str, cart_id: str, body: bytes, now: datetime, purge_after: datetime) -> None:
    """Keep the cart as it is now."""
    values = {"body": body, "changed_at": now, "purge_after": purge_after}
    upsert(connection, carts, {"channel": channel, "cart_id": cart_id, **values}, values)


def remove(connection: Connection, channel: str, cart_id: str) -> None:
    """The cart has become an order."""
    connection.execute(delete(carts).where(carts.c.channel == channel, carts.c.cart_id == cart_id))


def expired(now: datetime) -> Select[Any]:
    """Keys of what is past its date (R28)."""
    return select(carts.c.channel, carts.c.cart_id).where(carts.c.purge_after < now).order_by(carts.c.purge_after)


def of_order(channel: str, refnum: str) -> Select[Any]:
    """The key of the cart that an order was made of, where it is kept."""
    cart_id = select(orders.c.cart_id).where(orders.c.channel == channel, orders.c.refnum == refnum)
    return select(carts.c.channel, carts.c.cart_id).where(carts.c.channel == channel, carts.c.cart_id.in_(cart_id))


def purge(connection: Connection, keys: Collection[tuple[str, str]], now: datetime) -> None:
    """Delete those of these carts that are still past their date."""
    for channel, cart_id in keys:
        connection.execute(
            delete(carts).where(carts.c.channel == channel, carts.c.cart_id == cart_id, carts.c.purge_after < now)
        )
