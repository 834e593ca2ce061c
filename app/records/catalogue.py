"""The catalogue as state: what RetailOps stated last of each product, with the names and numbers we gave it (R13)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

import msgspec
from sqlalchemy import ClauseElement, Connection, Row, bindparam, select, text

from app.domain.catalogue import Item, Product, of_group
from app.records.database import Database
from app.records.statements import MANY, Prepared, among, chunked, texts, upsert
from app.records.tables.catalogue import HAS_TITLE, catalogue, categories, sku_numbers
from app.records.tables.stock import HAS_BLANKS

SEARCHED = 500
"""Characters of a title that a search looks at."""


def item_of(row: Row[tuple[object, ...]]) -> Item:
    """A row's statement with the names we gave it, and the SKU only where no other record has it now."""
    stated = msgspec.json.decode(row.item, type=Item)
    return msgspec.structs.replace(stated, sku=row.sku, key=row.key, number=row.sku_number)


def of_roots(connection: Connection, channel: str, root_keys: Collection[str]) -> dict[str, Product]:
    """These products with their variants, in the order RetailOps first named them."""
    found: dict[str, Product] = {}
    for some in chunked(root_keys):
        rows = connection.execute(
            select(catalogue)
            .where(catalogue.c.channel == channel, catalogue.c.root_key.in_(some))
            .order_by(catalogue.c.number)
        ).all()
        found.update(_grouped(rows))
    return found


def _grouped(rows: Iterable[Row[tuple[object, ...]]]) -> dict[str, Product]:
    by_root: dict[str, list[Row[tuple[object, ...]]]] = {}
    for row in rows:
        by_root.setdefault(row.root_key, []).append(row)
    return {root: product for root, family in by_root.items() if (product := _product(root, family))}


def _product(root_key: str, family: Sequence[Row[tuple[object, ...]]]) -> Product | None:
    """None where only variants are known: their product has gone to another root.

    Whatever has variants is a group, at every depth: what it states holds for those below it.  A record that waits
    for its SKU is switched off meanwhile, which nobody stated.
    """
    parents = {row.key: row.parent_key for row in family}
    groups = set(parents.values())
    items = {row.key: item_of(row) for row in family}
    root = items.get(root_key)
    if root is None:
        return None
    for row in family:
        if row.waits_for and row.key not in groups:
            items[row.key] = msgspec.structs.replace(items[row.key], is_enabled=False)
    variants = []
    for row in family:
        if row.key == root_key or row.key in groups:
            continue
        item, above = items[row.key], row.parent_key
        while above in items and above != root_key:
            item, above = of_group(items[above], item), parents[above]
        variants.append(item)
    return Product(items[root_key], tuple(variants))


def of_skus(connection: Connection, channel: str, skus: Collection[str]) -> dict[str, tuple[Product, Item]]:
    """Each SKU's product, and of that the unit that can be bought; unknown SKUs are left out."""
    needed = set(skus)
    roots: set[str] = set()
    for some in chunked(sorted(needed)):
        roots |= set(
            connection.execute(
                select(catalogue.c.root_key).where(catalogue.c.channel == channel, catalogue.c.sku.in_(some))
            ).scalars()
        )
    return {
        unit.sku: (product, unit)
        for product in of_roots(connection, channel, roots).values()
        for unit in product.units
        if unit.sku in needed
    }


def known_skus(connection: Connection, channel: str, skus: Collection[str]) -> set[str]:
    """Those of these SKUs that stand in the catalogue."""
    return set(_KNOWN.execute(connection, {"of_channel": channel, "skus": skus}).scalars()) if skus else set()


_OF_CHANNEL = catalogue.c.channel == bindparam("of_channel")
_KNOWN = Prepared(select(catalogue.c.sku).where(_OF_CHANNEL, among(catalogue.c.sku, "skus")))


def unknown_skus(connection: Connection, channel: str, skus: Collection[str]) -> set[str]:
    """Those of these SKUs that do not stand in the catalogue."""
    listed = _UNKNOWN.execute(connection, {"of_channel": channel, "skus": skus}).scalar_one()
    return set(msgspec.json.decode(listed, type=list[str]))


def _unknown(dialect: str) -> ClauseElement:
    """One JSON list, not a row for each: on SQLite other threads may run between two rows of a result.

    PostgreSQL would look through the whole catalogue for each SKU (`not exists`) where it does not know its size yet.
    """
    known = "select sku from catalogue where channel = :of_channel and sku"
    query = {
        "sqlite": f"json_group_array(value) from json_each(:skus) where not exists ({known} = value)",
        "postgresql": "coalesce(json_agg(value), '[]')::text "
        f"from (select unnest(:skus) as value except {known} = any(:skus)) as unknown",
    }[dialect]
    return text(f"select {query}").bindparams(texts("skus"))


_UNKNOWN = Prepared(_unknown)


def blanked_skus(connection: Connection, channel: str) -> list[str]:
    """SKUs of the catalogue that have a blank at an end, which some of RetailOps' systems drop."""
    return list(_BLANKED.execute(connection, {"of_channel": channel}).scalars())


_BLANKED = Prepared(select(catalogue.c.sku).where(_OF_CHANNEL, text(HAS_BLANKS)))


def of_keys(connection: Connection, channel: str, keys: Collection[str]) -> dict[str, Product]:
    """By each key the product that has it, or one of whose variants has it; unknown keys are left out."""
    roots: dict[str, str] = {}
    products: dict[str, Product] = {}
    for some in chunked(sorted(set(keys))):
        named = select(catalogue.c.root_key).where(catalogue.c.channel == channel, catalogue.c.key.in_(some))
        rows = connection.execute(
            select(catalogue)
            .where(catalogue.c.channel == channel, catalogue.c.root_key.in_(named))
            .order_by(catalogue.c.number)
        ).all()
        roots |= {row.key: row.root_key for row in rows if row.key in some}
        products |= _grouped(rows)
    return {key: products[root] for key, root in roots.items() if root in products}


def search(connection: Connection, channel: str, title: str, limit: int) -> list[Product]:
    """Products whose title, or a variant's, holds this text whatever its case."""
    matching = select(catalogue.c.root_key).where(catalogue.c.channel == channel).order_by(catalogue.c.number)
    if title:
        # HAS_TITLE lets the index over titles alone answer.
        matching = matching.where(HAS_TITLE, catalogue.c.title.contains(title.casefold()[:SEARCHED], autoescape=True))
    roots: dict[str, None] = {}
    with connection.execute(matching.execution_options(yield_per=MANY)) as rows:
        for row in rows:
            roots[row.root_key] = None
            if len(roots) == limit:
                break
    return list(of_roots(connection, channel, list(roots)).values())


def walk(connection: Connection, channel: str) -> Iterator[Product]:
    """Every product, one at a time, in bounded memory."""
    rows = connection.execution_options(yield_per=MANY).execute(
        select(catalogue).where(catalogue.c.channel == channel).order_by(catalogue.c.root_key, catalogue.c.number)
    )
    for root_key, group in groupby(rows, key=lambda row: row.root_key):
        if product := _product(root_key, list(group)):
            yield product


def page(connection: Connection, channel: str, after: str, limit: int) -> tuple[str, list[Product]]:
    """The next products after a root key ("" is the beginning), and the key to go on from, "" at the end.

    For walks too long for one transaction; each page shows the catalogue as it is when it is read.
    """
    roots = roots_after(connection, channel, after, limit)
    found = of_roots(connection, channel, roots)
    return roots[-1] if len(roots) == limit else "", [found[root] for root in roots if root in found]


def pages(database: Database, channel: str, limit: int) -> Iterator[list[Product]]:
    """The whole catalogue, each page as it is when it is read; the last one may be empty.

    Raises `DatabaseUnavailable`.
    """
    after, is_last = "", False
    while not is_last:
        with database.read() as connection:
            after, products = page(connection, channel, after, limit)
        yield products
        is_last = not after


def roots_after(connection: Connection, channel: str, after: str, limit: int) -> list[str]:
    """The next root keys after this one."""
    return list(
        connection.execute(
            select(catalogue.c.root_key)
            .where(catalogue.c.channel == channel, catalogue.c.root_key > after)
            .group_by(catalogue.c.root_key)
            .order_by(catalogue.c.root_key)
            .limit(limit)
        ).scalars()
    )


def oldest(connection: Connection, channel: str, limit: int) -> list[Item]:
    """The records this channel has known longest, as stated."""
    rows = connection.execute(
        select(catalogue).where(catalogue.c.channel == channel).order_by(catalogue.c.number).limit(limit)
    )
    return [item_of(row) for row in rows]


def of_numbers(connection: Connection, channel: str, numbers: Collection[int]) -> dict[int, tuple[Product, Item]]:
    """The product of each number, and the record that has it, or had it last, with what it inherits.

    The record bears the requested number, though its SKU may be another by now; unknown numbers are left out.
    """
    holders: dict[int, tuple[str, str]] = {}
    for some in chunked(sorted(numbers)):
        rows = connection.execute(
            select(sku_numbers.c.number, catalogue.c.key, catalogue.c.root_key)
            .join_from(
                sku_numbers,
                catalogue,
                (catalogue.c.channel == sku_numbers.c.channel) & (catalogue.c.key == sku_numbers.c.key),
            )
            .where(sku_numbers.c.channel == channel, sku_numbers.c.number.in_(some))
        )
        holders |= {row.number: (row.key, row.root_key) for row in rows}
    found = {
        record.key: (product, record)
        for product in of_roots(connection, channel, {root for _, root in holders.values()}).values()
        for record in (product.item, *product.units)
    }
    return {
        number: (found[key][0], msgspec.structs.replace(found[key][1], number=number))
        for number, (key, _) in holders.items()
        if key in found
    }


def former_numbers(connection: Connection, channel: str, items: Collection[Item]) -> dict[str, list[int]]:
    """By key of a record the numbers of SKUs it had and nobody has now; records without any are left out."""
    own = {item.key: item for item in items}
    found: dict[str, list[int]] = {}
    for some in chunked(sorted(own)):
        rows = connection.execute(
            select(sku_numbers)
            .where(sku_numbers.c.channel == channel, sku_numbers.c.key.in_(some))
            .order_by(sku_numbers.c.number)
        )
        for row in rows:
            if row.number != own[row.key].number and row.name != row.key:
                found.setdefault(row.key, []).append(row.number)
    return found


def number_categories(connection: Connection, channel: str, paths: Collection[str]) -> None:
    """Give these paths numbers too, for those above the ones that products stand in."""
    if paths:
        rows = [{"channel": channel, "path": path} for path in sorted(paths)]
        upsert(connection, categories, rows, key=("channel", "path"))


def category_numbers(connection: Connection, channel: str) -> dict[str, int]:
    """The number of every category path a product ever stood in."""
    rows = connection.execute(
        select(categories.c.path, categories.c.number)
        .where(categories.c.channel == channel)
        .order_by(categories.c.number)
    )
    return {row.path: row.number for row in rows}
