"""Why a vendor refused a fact, by name, so that the fact is owed again once that is gone and never before (R13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from app.domain.facts import Obstacle
from app.records.statements import chunked, upsert
from app.records.sync_state import Kind
from app.records.tables.stock import fact_obstacles

LONGEST: Final = 2000
"""Bytes of a fact and its subject that an index of PostgreSQL holds; a longer one is not kept and waits for its next
statement."""

_OBSTACLES = fact_obstacles.c


def replace(
    connection: Connection, kind: Kind, channel: str, gateway: str, found: Mapping[str, Collection[Obstacle]],
    known: Collection[str],
) -> None:  # fmt: skip
    """Keep for each fact what stands in its way now; `known` are the facts that may have had any before."""
    stream = {"channel": channel, "gateway": gateway, "kind": kind}
    for some in chunked(sorted(set(known))):
        connection.execute(
            delete(fact_obstacles).where(
                _OBSTACLES.channel == channel, _OBSTACLES.gateway == gateway, _OBSTACLES.kind == kind,
                _OBSTACLES.fact.in_(some),
            )
        )  # fmt: skip
    rows = [
        stream | {"fact": fact, "code": item.code, "subject": item.subject}
        for fact, items in sorted(found.items())
        for item in dict.fromkeys(items)
        if len(fact.encode()) + len(item.subject.encode()) <= LONGEST
    ]
    if rows:
        upsert(connection, fact_obstacles, rows)


def subjects(connection: Connection, channel: str, gateway: str) -> dict[str, tuple[str, ...]]:
    """What facts of this gateway wait for, by the obstacle's code."""
    rows = connection.execute(
        select(_OBSTACLES.code, _OBSTACLES.subject)
        .where(_OBSTACLES.channel == channel, _OBSTACLES.gateway == gateway)
        .distinct()
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.code, []).append(row.subject)
    return {code: tuple(sorted(items)) for code, items in found.items()}


def behind(connection: Connection, kind: Kind, channel: str, gateway: str, gone: Collection[Obstacle]) -> list[str]:
    """The facts that waited for one of these."""
    by_code: dict[str, list[str]] = {}
    for item in gone:
        by_code.setdefault(item.code, []).append(item.subject)
    facts: set[str] = set()
    for code, named in by_code.items():
        for some in chunked(sorted(set(named))):
            facts |= set(
                connection.execute(
                    select(_OBSTACLES.fact).where(
                        _OBSTACLES.channel == channel, _OBSTACLES.gateway == gateway, _OBSTACLES.kind == kind,
                        _OBSTACLES.code == code,
                        _OBSTACLES.subject.in_(some),
                    )
                ).scalars()
            )  # fmt: skip
    return sorted(facts)


def lacking_product(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> list[str]:
    """Those of these SKUs whose stock was refused because the vendor had no such product."""
    found: set[str] = set()
    for some in chunked(sorted(set(skus))):
        found |= set(
            connection.execute(
                select(_OBSTACLES.fact).where(
                    _OBSTACLES.channel == channel, _OBSTACLES.gateway == gateway, _OBSTACLES.kind == "stock",
                    _OBSTACLES.fact.in_(some), _OBSTACLES.code == "product",
                )
            ).scalars()
        )  # fmt: skip
    return sorted(found)


def remove(connection: Connection, channel: str, gateway: str, gone: Collection[Obstacle]) -> None:
    """These are gone; whoever is refused for one of them again says so anew."""
    if gone:
        connection.execute(
            _REMOVE,
            [
                {"of_channel": channel, "of_gateway": gateway, "of_code": item.code, "of_subject": item.subject}
                for item in gone
            ],
        )


_REMOVE = delete(fact_obstacles).where(
    _OBSTACLES.channel == bindparam("of_channel"),
    _OBSTACLES.gateway == bindparam("of_gateway"),
    _OBSTACLES.code == bindparam("of_code"),
    _OBSTACLES.subject == bindparam("of_subject"),
)
