"""The catalogue as state: what RetailOps stated last of each product, and how far each gateway has received it.

What is owed to a gateway is a product with all its variants, because that is what vendors are told (R13).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    and_,
    bindparam,
    case,
    false,
    func,
    literal,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.catalogue import Item, Product, ProductChange, ProductSent, of_group
from app.records import obstacles, streams
from app.records.obstacles import parts
from app.records.stock import SendAgain
from app.records.tables import HAS_TITLE, Moment, catalogue, catalogue_heard, categories, sku_numbers

MANY = 500
"""How many keys one statement names."""

SEARCHED = 500
"""Characters of a title that a search looks at."""

Batch = streams.Batch[ProductChange]


def item_of(row: Row[tuple[object, ...]]) -> Item:
    """A row's statement with the names we gave it, and the SKU only where no other record has it now."""
    stated = msgspec.json.decode(row.item, type=Item)
    return msgspec.structs.replace(stated, sku=row.sku, key=row.key, number=row.sku_number)


def of_roots(connection: Connection, channel: str, root_keys: Collection[str]) -> dict[str, Product]:
    """These products with their variants, in the order RetailOps first named them."""
    found: dict[str, Product] = {}
    keys = list(root_keys)
    for at in range(0, len(keys), MANY):
        rows = connection.execute(
            select(catalogue)
            .where(catalogue.c.channel == channel, catalogue.c.root_key.in_(keys[at : at + MANY]))
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
    wanted = set(skus)
    roots: set[str] = set()
    for at in range(0, len(wanted), MANY):
        some = sorted(wanted)[at : at + MANY]
        roots |= set(
            connection.execute(
                select(catalogue.c.root_key).where(catalogue.c.channel == channel, catalogue.c.sku.in_(some))
            ).scalars()
        )
    return {
        unit.sku: (product, unit)
        for product in of_roots(connection, channel, roots).values()
        for unit in product.units
        if unit.sku in wanted
    }


def known_skus(connection: Connection, channel: str, skus: Collection[str]) -> set[str]:
    """Those of these SKUs that stand in the catalogue."""
    wanted = sorted(skus)
    found: set[str] = set()
    for at in range(0, len(wanted), MANY):
        found |= set(
            connection.execute(
                select(catalogue.c.sku).where(
                    catalogue.c.channel == channel, catalogue.c.sku.in_(wanted[at : at + MANY])
                )
            ).scalars()
        )
    return found


def blanked_skus(connection: Connection, channel: str) -> list[str]:
    """SKUs of the catalogue that have a blank at an end, which some of RetailOps' systems drop."""
    is_blanked = or_(*(catalogue.c.sku.like(pattern) for pattern in ("% ", " %", "%\u00a0", "\u00a0%")))
    return list(connection.execute(select(catalogue.c.sku).where(catalogue.c.channel == channel, is_blanked)).scalars())


def of_keys(connection: Connection, channel: str, keys: Collection[str]) -> dict[str, Product]:
    """By each key the product that has it, or one of whose variants has it; unknown keys are left out."""
    roots: dict[str, str] = {}
    products: dict[str, Product] = {}
    wanted = sorted(set(keys))
    for at in range(0, len(wanted), MANY):
        some = wanted[at : at + MANY]
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

    The record bears the number asked for, though its SKU may be another by now; unknown numbers are left out.
    """
    wanted = sorted(numbers)
    holders: dict[int, tuple[str, str]] = {}
    for at in range(0, len(wanted), MANY):
        rows = connection.execute(
            select(sku_numbers.c.number, catalogue.c.key, catalogue.c.root_key)
            .join_from(
                sku_numbers,
                catalogue,
                (catalogue.c.channel == sku_numbers.c.channel) & (catalogue.c.key == sku_numbers.c.key),
            )
            .where(sku_numbers.c.channel == channel, sku_numbers.c.number.in_(wanted[at : at + MANY]))
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
    wanted = sorted(own)
    for at in range(0, len(wanted), MANY):
        rows = connection.execute(
            select(sku_numbers)
            .where(sku_numbers.c.channel == channel, sku_numbers.c.key.in_(wanted[at : at + MANY]))
            .order_by(sku_numbers.c.number)
        )
        for row in rows:
            if row.number != own[row.key].number and row.name != row.key:
                found.setdefault(row.key, []).append(row.number)
    return found


def number_categories(connection: Connection, channel: str, paths: Collection[str]) -> None:
    """Give these paths numbers too, for those above the ones that products stand in."""
    if paths:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(
            insert(categories).on_conflict_do_nothing(), [{"channel": channel, "path": path} for path in sorted(paths)]
        )


def category_numbers(connection: Connection, channel: str) -> dict[str, int]:
    """The number of every category path a product ever stood in."""
    rows = connection.execute(
        select(categories.c.path, categories.c.number)
        .where(categories.c.channel == channel)
        .order_by(categories.c.number)
    )
    return {row.path: row.number for row in rows}


def claim(
    connection: Connection, channel: str, gateway: str, *, token: str, limit: int, now: datetime, lease_s: float
) -> Batch | None:
    """Take the stream and the products whose turn it is; None when nothing is owed, due or free.

    Until `record` what the vendor has of these products is in doubt, whatever becomes of the sender.
    """
    attempts = streams.take(connection, "catalogue", channel, gateway, token=token, now=now, lease_s=lease_s)
    if attempts is None:
        return None
    _owe_due(connection, channel, gateway, now)
    owed: list[Row[Any]] = []
    for is_changed in (True, False):
        owed += connection.execute(
            select(catalogue_heard)
            .where(*_of(channel, gateway), _HEARD.seq > _HEARD.sent_seq, _HEARD.is_changed.is_(is_changed))
            .order_by(_HEARD.turn, _HEARD.root_key)
            .limit(limit - len(owed))
        ).all()
        if len(owed) == limit:
            break
    products = of_roots(connection, channel, [row.root_key for row in owed])
    changes = tuple(
        ProductChange(
            row.root_key,
            products.get(row.root_key),
            row.sent,
            is_uncertain=row.is_uncertain or row.is_in_flight,
            is_in_doubt=row.is_in_flight,
            was_refused=row.refusal != "",
        )
        for row in owed
    )
    seqs = {row.root_key: row.seq for row in owed}
    batch = Batch(channel, gateway, "catalogue", token, attempts, changes, seqs, claimed_at=now)
    if not owed:
        streams.release(connection, batch)
        return None
    for some in parts(seqs):
        which = (*_of(channel, gateway), _HEARD.root_key.in_(some))
        connection.execute(update(catalogue_heard).where(*which).values(is_in_flight=True))
    return batch


def record(
    connection: Connection, batch: Batch, sent: Sequence[ProductSent], *, now: datetime | None = None,
    settle_s: float = 60.0,
) -> bool:  # fmt: skip
    """The vendor answered for these products at `now` (None: when they were claimed).

    What it refused waits for its next statement or until its obstacle is gone.  One whose earlier attempt nobody
    knows the end of is owed once more after `settle_s`.  False, and nothing written, when somebody else holds the
    stream now.
    """
    if not streams.release(connection, batch):
        return False
    if not sent:
        return True
    now = now or batch.claimed_at
    changes = {change.key: change for change in batch.changes}
    settled_at = now + timedelta(seconds=settle_s)
    connection.execute(
        _RECORD,
        [
            {"of_root": item.key, "was": item.sent, "claimed_seq": batch.seqs[item.key], "at": now,
             "because": "; ".join(dict.fromkeys(refusal.reason for refusal in item.refusals)),
             "later": settled_at if changes[item.key].is_in_doubt else None,
             "of_channel": batch.channel, "of_gateway": batch.gateway}
            for item in sent
        ],
    )  # fmt: skip
    refused = {item.key: [each for refusal in item.refusals for each in refusal.obstacles] for item in sent}
    known = [item.key for item in sent if changes[item.key].was_refused]
    obstacles.replace(connection, "catalogue", batch.channel, batch.gateway, refused, known)
    return True


_HEARD = catalogue_heard.c
_IS_NEWEST = _HEARD.seq == bindparam("claimed_seq")
_IS_CHANGED_SINCE = and_(_HEARD.seq != bindparam("claimed_seq"), _HEARD.is_changed)
_RECORD = (
    update(catalogue_heard)
    .where(
        _HEARD.channel == bindparam("of_channel"),
        _HEARD.gateway == bindparam("of_gateway"),
        _HEARD.root_key == bindparam("of_root"),
    )
    .values(
        sent=bindparam("was"),
        sent_seq=bindparam("claimed_seq"),
        sent_at=bindparam("at"),
        refusal=bindparam("because"),
        is_in_flight=False,
        is_uncertain=case((_IS_NEWEST, false()), else_=_HEARD.is_uncertain),
        is_changed=_IS_CHANGED_SINCE,
        turn=case((_IS_CHANGED_SINCE, _HEARD.seq), else_=type_coerce(bindparam("at", type_=Moment), BigInteger)),
        again_at=func.coalesce(
            bindparam("later", type_=Moment), case((_HEARD.again_at > bindparam("at", type_=Moment), _HEARD.again_at))
        ),
    )
)


def _is_due(now: datetime) -> ColumnElement[bool]:
    return _HEARD.again_at.is_not(None) & (_HEARD.again_at <= now)


def _owe_due(connection: Connection, channel: str, gateway: str, now: datetime) -> None:
    due = (*_of(channel, gateway), _is_due(now))
    if connection.execute(select(_HEARD.root_key).where(*due).limit(1)).first() is not None:
        _owe(connection, due, streams.next_seq(connection, channel, gateway), goes_first=False)


def _owe(connection: Connection, which: Iterable[ColumnElement[bool]], seq: int, *, goes_first: bool) -> int:
    """Owe these products anew, equal or not; those that go first count as changed now.  Returns how many."""
    keeps_turn = _HEARD.seq > _HEARD.sent_seq
    last_sent = func.coalesce(type_coerce(_HEARD.sent_at, BigInteger), 0)
    turn = case(
        (_HEARD.is_changed & keeps_turn, _HEARD.turn),
        else_=seq if goes_first else case((keeps_turn, _HEARD.turn), else_=last_sent),
    )
    changed = {"is_changed": True} if goes_first else {}
    return connection.execute(
        update(catalogue_heard).where(*which).values(seq=seq, turn=turn, is_uncertain=True, again_at=None, **changed)
    ).rowcount


def owe_stated(connection: Connection, channel: str, gateway: str, seq: int, roots: Collection[str]) -> None:
    """RetailOps stated these products without a change: those that were refused, or never sent, are owed all the same.

    They keep their turn when they are stated again before they are sent.
    """
    keeps_turn = _HEARD.seq > _HEARD.sent_seq
    turn = case((keeps_turn, _HEARD.turn), else_=func.coalesce(type_coerce(_HEARD.sent_at, BigInteger), 0))
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    for some in parts(roots):
        connection.execute(
            update(catalogue_heard)
            .where(*_of(channel, gateway), _HEARD.root_key.in_(some), _HEARD.refusal != "")
            .values(seq=seq, turn=turn)
        )
        known = set(
            connection.execute(
                select(_HEARD.root_key).where(*_of(channel, gateway), _HEARD.root_key.in_(some))
            ).scalars()
        )
        if never_sent := [root for root in some if root not in known]:
            connection.execute(
                insert(catalogue_heard).on_conflict_do_nothing(),
                [
                    {"channel": channel, "gateway": gateway, "root_key": root, "seq": seq, "turn": seq}
                    for root in never_sent
                ],
            )


def owe_anew(connection: Connection, channel: str, gateway: str, keys: Collection[str]) -> bool:
    """The vendor may accept these products now, or have an older state: they are owed again, before others.

    False when there is none.
    """
    if not keys:
        return False
    seq = streams.next_seq(connection, channel, gateway)
    counts = [
        _owe(connection, (*_of(channel, gateway), _HEARD.root_key.in_(some)), seq, goes_first=True)
        for some in parts(keys)
    ]
    return sum(counts) > 0


def send_again(
    connection: Connection, channel: str, gateway: str, skus: Collection[str] | None, *, is_dry_run: bool
) -> SendAgain:
    """Owe the products of these SKUs again, before others; None: all that were ever owed, each in its turn.

    SKUs are answered with; of None the SKU of every product and variant.
    """
    found: dict[str, str] = {}
    for some in [None] if skus is None else parts(skus):
        named = [catalogue.c.sku != ""] if some is None else [catalogue.c.sku.in_(some)]
        rows = connection.execute(
            select(catalogue.c.sku, catalogue.c.root_key)
            .join_from(
                catalogue,
                catalogue_heard,
                (_HEARD.channel == catalogue.c.channel)
                & (_HEARD.gateway == gateway)
                & (_HEARD.root_key == catalogue.c.root_key),
            )
            .where(catalogue.c.channel == channel, *named)
            .order_by(catalogue.c.sku)
        )
        found |= {row.sku: row.root_key for row in rows}
    if not is_dry_run and (found or skus is None):
        seq = streams.next_seq(connection, channel, gateway)
        for some in [None] if skus is None else parts(found.values()):
            named = [] if some is None else [_HEARD.root_key.in_(some)]
            _owe(connection, (*_of(channel, gateway), *named), seq, goes_first=skus is not None)
    return SendAgain(owed=tuple(found), unknown=tuple(sorted(set(skus or ()) - found.keys())))


def _of(channel: str, gateway: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _HEARD.channel == channel, _HEARD.gateway == gateway


def owe_again(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> bool:
    """The gateway is to hear the products of these SKUs anew; False when it never heard of any of them."""
    wanted = sorted(skus)
    seq = streams.next_seq(connection, channel, gateway) if wanted else 0
    count = 0
    for at in range(0, len(wanted), MANY):
        roots = select(catalogue.c.root_key).where(
            catalogue.c.channel == channel, catalogue.c.sku.in_(wanted[at : at + MANY])
        )
        count += connection.execute(
            update(catalogue_heard)
            .where(
                catalogue_heard.c.channel == channel,
                catalogue_heard.c.gateway == gateway,
                catalogue_heard.c.root_key.in_(roots),
            )
            .values(seq=seq, turn=case((_HEARD.is_changed, _HEARD.turn), else_=seq), is_changed=True)
        ).rowcount
    return count > 0


def heard_notes(connection: Connection, channel: str, gateway: str, keys: Collection[str]) -> dict[str, bytes]:
    """The gateway's own notes about these products; those it never heard of are left out."""
    rows = _heard(connection, channel, gateway, keys, catalogue_heard.c.sent.is_not(None))
    return {row.root_key: row.sent for row in rows}


def notes_with(connection: Connection, channel: str, gateway: str, part: bytes) -> list[bytes]:
    """The gateway's own notes that hold these bytes, of whatever products; reads them all: for rare questions."""
    if connection.dialect.name == "sqlite":
        place = func.instr(_HEARD.sent, literal(part, LargeBinary))
    else:
        place = func.position(literal(part, LargeBinary).op("in")(_HEARD.sent))
    found = select(_HEARD.sent).where(*_of(channel, gateway), _HEARD.sent.is_not(None), place > 0)
    return [bytes(sent) for sent in connection.execute(found).scalars() if sent is not None]


def refusals(connection: Connection, channel: str, gateway: str, keys: Collection[str]) -> dict[str, str]:
    """Why the gateway did not tell these products, or all of them, as they are; the others are left out."""
    rows = _heard(connection, channel, gateway, keys, catalogue_heard.c.refusal != "")
    return {row.root_key: row.refusal for row in rows}


@dataclass(frozen=True)
class StatedProduct:
    """A product as RetailOps stated it last, and how far one gateway has received it.

    `sent` is the gateway's own note, None before the first time; `stated_at` is when the record last changed.
    """

    sent: bytes | None
    stated_at: datetime
    sent_at: datetime | None
    is_owed: bool
    refusal: str


def stated(connection: Connection, channel: str, gateway: str, keys: Collection[str]) -> dict[str, StatedProduct]:
    """By root key; a product the gateway was never to receive is neither owed nor sent."""
    found: dict[str, StatedProduct] = {}
    of_gateway = (_HEARD.channel == channel) & (_HEARD.gateway == gateway) & (_HEARD.root_key == catalogue.c.key)
    for some in parts(keys):
        for row in connection.execute(
            select(
                catalogue.c.key, catalogue.c.changed_at, _HEARD.sent, _HEARD.sent_at, _HEARD.refusal,
                (_HEARD.seq > _HEARD.sent_seq).label("is_owed"),
            )
            .join_from(catalogue, catalogue_heard, of_gateway, isouter=True)
            .where(catalogue.c.channel == channel, catalogue.c.key.in_(some))
        ):  # fmt: skip
            found[row.key] = StatedProduct(row.sent, row.changed_at, row.sent_at, bool(row.is_owed), row.refusal or "")
    return found


def _heard(
    connection: Connection, channel: str, gateway: str, keys: Collection[str], which: ColumnElement[bool]
) -> Iterator[Row[Any, Any, Any]]:
    wanted = sorted(keys)
    for at in range(0, len(wanted), MANY):
        yield from connection.execute(
            select(catalogue_heard.c.root_key, catalogue_heard.c.sent, catalogue_heard.c.refusal).where(
                catalogue_heard.c.channel == channel,
                catalogue_heard.c.gateway == gateway,
                catalogue_heard.c.root_key.in_(wanted[at : at + MANY]),
                which,
            )
        )


def refused_count(connection: Connection, channel: str, gateway: str) -> int:
    """How many products the gateway could not tell as they are."""
    is_refused = (
        catalogue_heard.c.channel == channel, catalogue_heard.c.gateway == gateway, catalogue_heard.c.refusal != "",
    )  # fmt: skip
    return int(connection.execute(select(func.count()).select_from(catalogue_heard).where(*is_refused)).scalar_one())


def note_heard(connection: Connection, channel: str, gateway: str, notes: Mapping[str, bytes]) -> None:
    """The gateway's own notes about products it is going to tell; each is owed as before."""
    if notes:
        connection.execute(
            _NOTE,
            [
                {"of_channel": channel, "of_gateway": gateway, "of_root": key, "was": note}
                for key, note in notes.items()
            ],
        )


_NOTE = (
    update(catalogue_heard)
    .where(
        catalogue_heard.c.channel == bindparam("of_channel"),
        catalogue_heard.c.gateway == bindparam("of_gateway"),
        catalogue_heard.c.root_key == bindparam("of_root"),
    )
    .values(sent=bindparam("was"))
)


def is_owed(connection: Connection, channel: str, gateway: str, now: datetime) -> bool:
    """True when the gateway has products to hear and may be tried now; costs no write lock."""
    is_open = ~streams.is_waiting("catalogue", channel, gateway, now)
    for which in (_HEARD.seq > _HEARD.sent_seq, _is_due(now)):
        found = select(_HEARD.root_key).where(*_of(channel, gateway), which, is_open).limit(1)
        if connection.execute(found).first() is not None:
            return True
    return False
