"""The levels whose turn it is, for the one sender of a gateway: claimed, then recorded as the vendor answered (R13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from app.domain.stock import StockChange, StockDetail, StockLevel, StockSent
from app.domain.texts import mended
from app.records import obstacles, search_keys, sync_state
from app.records.row_lists import rows_of
from app.records.search_keys import Number
from app.records.statements import chunked
from app.records.synced_facts import SyncedFacts
from app.records.tables.stock import stock

SKIPPED: Final = "skipped"
"""Stands in the column `refusal` for a level that the vendor does not accept just now and need not."""

TRIES: Final = 3
"""How often a SKU whose obstacle is gone is sent again after a refusal, for what is created appears late."""

_STOCK = stock.c
Batch = sync_state.Batch[StockChange]


def claim(
    connection: sa.Connection, channel: str, gateway: str, *, token: str, limit: int, now: datetime, lease_s: float
) -> Batch | None:
    """Take the stream and the levels whose turn it is; None when nothing is owed, due or free.

    One sender per (channel, gateway), so no two calls for one SKU overlap.  Until `record` what the vendor has of
    these SKUs is in doubt, whatever becomes of the sender.
    """
    claimed = STOCK.claim(connection, channel, gateway, token=token, limit=limit, now=now, lease_s=lease_s)
    if claimed is None:
        return None
    attempts, owed = claimed
    seqs, levels = {item.sku: item.seq for item in owed}, {item.sku: item.level for item in owed}
    changes = tuple(map(_change, owed))
    batch = Batch(channel, gateway, "stock", token, attempts, changes, seqs, levels, now)
    _note_uncertain(connection, batch)
    return batch


def _change(row: sa.Row[Any]) -> StockChange:
    level = msgspec.json.decode(row.level, type=StockLevel)
    uncertain = None if row.uncertain is None else msgspec.json.decode(row.uncertain, type=tuple[StockDetail, ...])
    return StockChange(row.sku, level, row.sent, uncertain, row.is_uncertain, row.refusal != "", row.sent_at)


def _note_uncertain(connection: sa.Connection, batch: Batch) -> None:
    """These levels are about to be sent."""
    noted = {}
    for change in batch.changes:
        named = (StockDetail(item.quantity_type, item.place, 0, 0) for item in change.level.details)
        sources = tuple(dict.fromkeys((*(change.uncertain or ()), *named)))
        if sources != change.uncertain:
            noted[change.sku] = sources
    _write_uncertain(connection, batch, noted)


def give_back(connection: sa.Connection, batch: Batch, skus: Collection[str]) -> None:
    """For these SKUs no call has begun: only what was uncertain before the claim is so."""
    _write_uncertain(connection, batch, {item.sku: item.uncertain for item in batch.changes if item.sku in skus})


def _write_uncertain(
    connection: sa.Connection, batch: Batch, noted: Mapping[str, tuple[StockDetail, ...] | None]
) -> None:
    if noted:
        rows = [
            (sku, None if sources is None else msgspec.json.encode(sources).decode()) for sku, sources in noted.items()
        ]
        connection.execute(_NOTE_UNCERTAIN, _of_stream(batch) | {"rows": rows})


def record(
    connection: sa.Connection, batch: Batch, sent: Sequence[StockSent], *, now: datetime | None = None,
    settle_s: float = 60.0,
) -> bool:  # fmt: skip
    """The vendor answered for these SKUs at `now` (None: when they were claimed).

    A refused one waits for its next statement or until its obstacle is gone.  One whose earlier attempt ended
    with an unknown outcome is owed once more after `settle_s`, for that attempt may still arrive.  False, and
    nothing written, when somebody else holds the stream now.
    """
    if not sync_state.release(connection, batch):
        return False
    if not sent:
        return True
    now = now or batch.claimed_at
    changes = {change.sku: change for change in batch.changes}
    rows = [
        (item.sku, item.sent.decode(), batch.seqs[item.sku], batch.levels[item.sku].decode(), item.was_sent,
         mended(SKIPPED if item.is_skipped else item.refusal), bool(item.refusal),
         changes[item.sku].uncertain is not None, mended(item.attention))
        for item in sent
    ]  # fmt: skip
    at = {"now": now, "settled_at": now + timedelta(seconds=settle_s)}
    connection.execute(_RECORD, _of_stream(batch) | at | {"rows": rows})
    fresh = (Number("", "sku", item.sku) for item in sent if changes[item.sku].sent_at is None)
    search_keys.learn(connection, batch.channel, fresh, now)
    refused = {item.sku: item.obstacles for item in sent if item.refusal or item.is_skipped}
    known = [item.sku for item in sent if changes[item.sku].was_refused]
    if refused or known:
        obstacles.replace(connection, "stock", batch.channel, batch.gateway, refused, known)
        _try_later(connection, batch, refused, now, settle_s)
    return True


def _try_later(connection: sa.Connection, batch: Batch, skus: Collection[str], now: datetime, settle_s: float) -> None:
    """Those whose obstacle was said to be gone are sent again after `settle_s`, then after twice that, and again."""
    for some in chunked(sorted(set(skus))):
        for tries in range(1, TRIES + 1):
            wait_s = settle_s * 2 ** (TRIES - tries)
            connection.execute(
                sa.update(stock)
                .where(*STOCK.of_gateway(batch.channel, batch.gateway), _STOCK.sku.in_(some), _STOCK.tries == tries)
                .values(again_at=now + timedelta(seconds=wait_s), tries=tries - 1)
            )


def _is_due(now: datetime | sa.BindParameter[datetime]) -> sa.ColumnElement[bool]:
    """Owed again by itself; what has been moved since it was stated waits for the next statement."""
    return _STOCK.again_at.is_not(None) & (_STOCK.again_at <= now) & _STOCK.moved_at.is_(None)


STOCK: Final = SyncedFacts("stock", stock, _STOCK.sku, _is_due, goes_first=_STOCK.refusal != "")


def _of_stream(batch: Batch) -> dict[str, Any]:
    return {"of_channel": batch.channel, "of_gateway": batch.gateway}


_FLAG = _STOCK.is_uncertain
_NOTED = rows_of({"sku": _STOCK.sku, "sources": _STOCK.uncertain})
_NOTE_UNCERTAIN = STOCK.update_each(_NOTED).values(uncertain=_NOTED.c.sources)

_SENT = rows_of({
    "sku": _STOCK.sku, "sent": _STOCK.sent, "seq": _STOCK.seq, "level": _STOCK.level, "was_sent": _FLAG,
    "refusal": _STOCK.refusal, "is_refused": _FLAG, "was_uncertain": _FLAG, "attention": _STOCK.attention,
})  # fmt: skip
_GIVEN = _SENT.c
_IS_NEWEST = _STOCK.seq == _GIVEN.seq
_NOW = sa.bindparam("now", type_=_STOCK.sent_at.type)
# What was stated or owed anew while this was under way counts as changed only where it differs from what was sent.
_IS_CHANGED_SINCE = sa.case(
    (_IS_NEWEST, sa.false()), (_STOCK.level != _GIVEN.level, sa.true()), else_=_STOCK.is_uncertain
)
_RECORD = STOCK.update_each(_SENT).values(
    sent=_GIVEN.sent,
    uncertain=None,
    sent_seq=_GIVEN.seq,
    sent_at=sa.case((_GIVEN.was_sent, _NOW), else_=_STOCK.sent_at),
    refusal=_GIVEN.refusal,
    attention=_GIVEN.attention,
    is_changed=_IS_CHANGED_SINCE,
    turn=sa.case((_IS_CHANGED_SINCE, _STOCK.seq), else_=sa.type_coerce(_NOW, sa.BigInteger)),
    is_uncertain=sa.case((_IS_NEWEST, _GIVEN.is_refused), else_=_STOCK.is_uncertain),
    again_at=sa.case(
        (_GIVEN.was_uncertain, sa.bindparam("settled_at", type_=_STOCK.again_at.type)),
        (_STOCK.again_at > _NOW, _STOCK.again_at),
    ),
    tries=sa.case((_GIVEN.is_refused, _STOCK.tries), else_=0),
)
