"""Packages as they are kept: code that is older reads what newer code writes, and sends nothing else on (R21, R22)."""

from __future__ import annotations

import msgspec
from sqlalchemy import select

from app.clock import utc_now
from app.domain.commands import Package, PackageLine
from app.records import parcels
from app.records.database import Database
from app.records.tables.orders import packages


def test_p47_what_gives_way_is_no_line_of_a_package_to_older_code(database: Database) -> None:
    held = PackageLine("2", "MUG", 1)
    with database.write() as connection:
        parcels.register(connection, "first", Package("A1", "501-1", (held,)), {"1": -1, "2": 1}, "", utc_now())
        kept = connection.execute(select(packages.c.lines)).scalar_one()
        [parcel] = parcels.of_order(connection, "first", "A1")
    assert msgspec.json.decode(kept, type=tuple[PackageLine, ...]) == (held,)
    assert parcel.lines == (held,)
    assert (parcel.units, parcel.named, dict(parcel.by_sku)) == ({"2": 1}, {"1": 1}, {"1": -1, "2": 1})
