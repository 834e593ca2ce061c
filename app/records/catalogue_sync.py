"""How far each gateway has received the catalogue: notes, refusals, and products that are owed to it again (R13)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    bindparam,
    case,
    false,
    func,
    literal,
    select,
    true,
    type_coerce,
    update,
)

from app.records import sync_state
from app.records.catalogue_batches import CATALOGUE
from app.records.statements import chunked, upsert
from app.records.stock_sync import SendAgain
from app.records.tables.catalogue import catalogue, catalogue_sync
from app.records.tables.columns import FreeText

_SYNC = catalogue_sync.c


def owe_stated(connection: Connection, channel: str, gateway: str, seq: int, roots: Collection[str]) -> None:
    """RetailOps stated these products without a change: those that were refused, or never sent, are owed all the same.

    They keep their turn when they are stated again before they are sent.
    """
    keeps_turn = _SYNC.seq > _SYNC.sent_seq
    turn = case((keeps_turn, _SYNC.turn), else_=func.coalesce(type_coerce(_SYNC.sent_at, BigInteger), 0))
    for some in chunked(sorted(set(roots))):
        connection.execute(
            update(catalogue_sync)
            .where(*CATALOGUE.of_gateway(channel, gateway), _SYNC.root_key.in_(some), _SYNC.refusal != "")
            .values(seq=seq, turn=turn)
        )
        known = set(
            connection.execute(
                select(_SYNC.root_key).where(*CATALOGUE.of_gateway(channel, gateway), _SYNC.root_key.in_(some))
            ).scalars()
        )
        if never_sent := [root for root in some if root not in known]:
            row = {"channel": channel, "gateway": gateway, "seq": seq, "turn": seq}
            upsert(connection, catalogue_sync, [{**row, "root_key": root} for root in never_sent])


def owe_anew(connection: Connection, channel: str, gateway: str, keys: Collection[str]) -> bool:
    """The vendor may accept these products now, or have an older state: they are owed again, before others.

    False when there is none.
    """
    if not keys:
        return False
    seq = sync_state.next_seq(connection, channel, gateway)
    counts = [
        CATALOGUE.owe(
            connection, (*CATALOGUE.of_gateway(channel, gateway), _SYNC.root_key.in_(some)), seq, goes_first=true()
        )
        for some in chunked(sorted(set(keys)))
    ]
    return sum(counts) > 0


def send_again(
    connection: Connection, channel: str, gateway: str, skus: Collection[str] | None, *, is_dry_run: bool
) -> SendAgain:
    """Owe the products of these SKUs again, before others; None: all that were ever owed, each in its turn.

    SKUs are answered with; of None the SKU of every product and variant.
    """
    found: dict[str, str] = {}
    for some in [None] if skus is None else chunked(sorted(set(skus))):
        named = [catalogue.c.sku != ""] if some is None else [catalogue.c.sku.in_(some)]
        rows = connection.execute(
            select(catalogue.c.sku, catalogue.c.root_key)
            .join_from(
                catalogue,
                catalogue_sync,
                (_SYNC.channel == catalogue.c.channel)
                & (_SYNC.gateway == gateway)
                & (_SYNC.root_key == catalogue.c.root_key),
            )
            .where(catalogue.c.channel == channel, *named)
            .order_by(catalogue.c.sku)
        )
        found |= {row.sku: row.root_key for row in rows}
    if not is_dry_run and (found or skus is None):
        seq = sync_state.next_seq(connection, channel, gateway)
        for some in [None] if skus is None else chunked(sorted(set(found.values()))):
            named = [] if some is None else [_SYNC.root_key.in_(some)]
            CATALOGUE.owe(
                connection,
                (*CATALOGUE.of_gateway(channel, gateway), *named),
                seq,
                goes_first=false() if skus is None else true(),
            )
    return SendAgain(owed=tuple(found), unknown=tuple(sorted(set(skus or ()) - found.keys())))


def owe_again(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> bool:
    """The gateway is sent the products of these SKUs anew; False when it never received any of them."""
    seq = sync_state.next_seq(connection, channel, gateway) if skus else 0
    count = 0
    for some in chunked(sorted(skus)):
        roots = select(catalogue.c.root_key).where(catalogue.c.channel == channel, catalogue.c.sku.in_(some))
        count += connection.execute(
            update(catalogue_sync)
            .where(*CATALOGUE.of_gateway(channel, gateway), _SYNC.root_key.in_(roots))
            .values(seq=seq, turn=case((_SYNC.is_changed, _SYNC.turn), else_=seq), is_changed=True)
        ).rowcount
    return count > 0


def sent_notes(connection: Connection, channel: str, gateway: str, keys: Collection[str]) -> dict[str, bytes]:
    """The gateway's own notes about these products; those it never received are left out."""
    rows = _sync_rows(connection, channel, gateway, keys, _SYNC.sent.is_not(None))
    return {row.root_key: row.sent for row in rows}


def notes_with(connection: Connection, channel: str, gateway: str, part: bytes) -> list[bytes]:
    """The gateway's own notes that hold these bytes, of whatever products; reads them all: for rare questions."""
    if connection.dialect.name == "sqlite":
        place = func.instr(_SYNC.sent, literal(part, LargeBinary))
    else:
        place = func.position(literal(part, LargeBinary).op("in")(_SYNC.sent))
    found = select(_SYNC.sent).where(*CATALOGUE.of_gateway(channel, gateway), _SYNC.sent.is_not(None), place > 0)
    return [bytes(sent) for sent in connection.execute(found).scalars() if sent is not None]


def refusals(connection: Connection, channel: str, gateway: str, keys: Collection[str]) -> dict[str, str]:
    """Why the gateway did not send these products, or all of them, as they are; the others are left out."""
    rows = _sync_rows(connection, channel, gateway, keys, _SYNC.refusal != "")
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
    of_gateway = (_SYNC.channel == channel) & (_SYNC.gateway == gateway) & (_SYNC.root_key == catalogue.c.key)
    for some in chunked(sorted(set(keys))):
        for row in connection.execute(
            select(
                catalogue.c.key, catalogue.c.changed_at, _SYNC.sent, _SYNC.sent_at, _SYNC.refusal,
                (_SYNC.seq > _SYNC.sent_seq).label("is_owed"),
            )
            .join_from(catalogue, catalogue_sync, of_gateway, isouter=True)
            .where(catalogue.c.channel == channel, catalogue.c.key.in_(some))
        ):  # fmt: skip
            found[row.key] = StatedProduct(row.sent, row.changed_at, row.sent_at, bool(row.is_owed), row.refusal or "")
    return found


def _sync_rows(
    connection: Connection, channel: str, gateway: str, keys: Collection[str], which: ColumnElement[bool]
) -> Iterator[Row[Any, Any, Any]]:
    for some in chunked(sorted(keys)):
        yield from connection.execute(
            select(_SYNC.root_key, _SYNC.sent, _SYNC.refusal).where(
                *CATALOGUE.of_gateway(channel, gateway), _SYNC.root_key.in_(some), which
            )
        )


def refused_count(connection: Connection, channel: str, gateway: str) -> int:
    """How many products the gateway could not send as they are."""
    is_refused = (*CATALOGUE.of_gateway(channel, gateway), _SYNC.refusal != "")
    return int(connection.execute(select(func.count()).select_from(catalogue_sync).where(*is_refused)).scalar_one())


def note_sent(connection: Connection, channel: str, gateway: str, notes: Mapping[str, bytes]) -> None:
    """The gateway's own notes about products it is going to send; each is owed as before."""
    if notes:
        connection.execute(
            _NOTE,
            [
                {"of_channel": channel, "of_gateway": gateway, "of_root": key, "was": note}
                for key, note in notes.items()
            ],
        )


def note_lost(connection: Connection, channel: str, gateway: str, lost: Mapping[str, str]) -> None:
    """The vendor may have these products no more, though it took them: they are owed again when RetailOps states them.

    `lost` is by root key what the vendor said, of one product at least; a refusal of the product itself is kept.
    """
    connection.execute(
        _LOSE,
        [
            {"of_channel": channel, "of_gateway": gateway, "of_root": key, "reason": reason}
            for key, reason in sorted(lost.items())
        ],
    )


_EACH = update(catalogue_sync).where(
    _SYNC.channel == bindparam("of_channel"),
    _SYNC.gateway == bindparam("of_gateway"),
    _SYNC.root_key == bindparam("of_root"),
)
_NOTE = _EACH.values(sent=bindparam("was"))
_REASON = bindparam("reason", type_=FreeText)
_LOSE = _EACH.values(is_uncertain=True, refusal=case((_SYNC.refusal == "", _REASON), else_=_SYNC.refusal))
