"""The catalogue by SKU as operators look it up: records by the beginning of their SKU, and a SKU's product."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from app.domain.catalogue import Product
from app.domain.facts import Obstacle
from app.records import catalogue as products
from app.records.bounded_search import look_through
from app.records.statements import visible
from app.records.tables.catalogue import catalogue, catalogue_sync
from app.records.tables.stock import fact_obstacles

_SYNC = catalogue_sync.c


@dataclass(frozen=True)
class ProductRow:
    """A record of the catalogue; `channel` is the key of the records."""

    channel: str
    sku: str
    title: str
    is_enabled: bool
    changed_at: datetime
    number: int
    """Which record was stated first: the order of the list."""


@dataclass(frozen=True)
class ProductAtGateway:
    """How far one gateway has received a product with its variants."""

    gateway: str
    is_owed: bool
    is_changed: bool
    """True while it differs from what the vendor was last sent."""
    is_uncertain: bool
    sent: str | None
    """What the gateway noted of it when it was last sent (JSON); None before the first time."""
    sent_at: datetime | None
    refusal: str
    """Why it was not sent as it is the last time, "" where it was."""
    obstacles: tuple[Obstacle, ...]
    again_at: datetime | None


@dataclass(frozen=True)
class KeptProduct:
    """A product with its variants, when its records last changed, and each gateway's state of it."""

    product: Product
    changed_at: datetime
    gateways: tuple[ProductAtGateway, ...]


def page(
    connection: Connection,
    start: str,
    *,
    channels: Collection[str] | None,
    channel: str,
    after: int,
    limit: int,
    searched: int,
) -> tuple[list[ProductRow], int | None]:
    """Records whose SKU begins so, without regard to case, after a number, and after which the next page begins.

    At most `searched` are looked through for them.
    """

    def rules(of: Any) -> list[ColumnElement[bool]]:
        found = [of.sku != "", visible(of.channel, channels)]
        if channel:
            found.append(of.channel == channel)
        if start:
            found.append(func.lower(of.sku).startswith(start.lower(), autoescape=True))
        return found

    def whole(listed: Any) -> Select[Any]:
        return select(catalogue).join(listed, listed.c.number == catalogue.c.number)

    of = catalogue.c
    listed = select(of.number, of.channel, of.sku).where(of.number > after)
    part = look_through(
        connection, listed, rules, by=("number",), limit=limit, searched=searched, is_newest_first=False, shown=whole
    )
    rows = [
        ProductRow(row.channel, row.sku, products.item_of(row).title or "", row.is_enabled, row.changed_at, row.number)
        for row in part.rows
    ]
    return rows, None if part.last is None else part.last[0]


def of_sku(connection: Connection, channel: str, sku: str) -> KeptProduct | None:
    """The product a SKU belongs to; None where no record has it."""
    root = connection.execute(
        select(catalogue.c.root_key).where(catalogue.c.channel == channel, catalogue.c.sku == sku)
    ).scalar()
    product = products.of_roots(connection, channel, [root]).get(root) if root is not None else None
    if product is None:
        return None
    family = (catalogue.c.channel == channel) & (catalogue.c.root_key == root)
    changed_at = connection.execute(select(func.max(catalogue.c.changed_at)).where(family)).scalar_one()
    obstacles: dict[str, list[Obstacle]] = {}
    named = fact_obstacles.c
    synced = connection.execute(
        select(catalogue_sync).where(_SYNC.channel == channel, _SYNC.root_key == root).order_by(_SYNC.gateway)
    ).all()
    for row in connection.execute(
        select(named.gateway, named.code, named.subject)
        .where(named.channel == channel, named.gateway.in_([row.gateway for row in synced]))
        .where(named.kind == "catalogue", named.fact == root)
    ):
        obstacles.setdefault(row.gateway, []).append(Obstacle(row.code, row.subject))
    gateways = tuple(
        ProductAtGateway(
            row.gateway, row.seq > row.sent_seq, row.is_changed, row.is_uncertain,
            None if row.sent is None else bytes(row.sent).decode(errors="replace"), row.sent_at, row.refusal,
            tuple(obstacles.get(row.gateway, ())), row.again_at,
        )
        for row in synced
    )  # fmt: skip
    return KeptProduct(product, changed_at, gateways)
