"""The products that are owed to a gateway: taken in batches under the sync lease, and what came of them (R13)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from app.domain.catalogue import ProductChange, ProductSent
from app.domain.moments import to_ms
from app.domain.texts import mended
from app.records import obstacles, sync_state
from app.records.catalogue import of_roots
from app.records.row_lists import rows_of
from app.records.statements import Prepared, chunked
from app.records.synced_facts import SyncedFacts
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.columns import Moment

Batch = sync_state.Batch[ProductChange]


def claim(
    connection: sa.Connection, channel: str, gateway: str, *, token: str, limit: int, now: datetime, lease_s: float
) -> Batch | None:
    """Take the stream and the products whose turn it is; None when nothing is owed, due or free.

    Until `record` what the vendor has of these products is in doubt, whatever becomes of the sender.
    """
    claimed = CATALOGUE.claim(connection, channel, gateway, token=token, limit=limit, now=now, lease_s=lease_s)
    if claimed is None:
        return None
    attempts, owed = claimed
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
    for some in chunked(sorted(seqs)):
        which = (*CATALOGUE.of_gateway(channel, gateway), _SYNC.root_key.in_(some))
        connection.execute(sa.update(catalogue_sync).where(*which).values(is_in_flight=True))
    return batch


def record(
    connection: sa.Connection, batch: Batch, sent: Sequence[ProductSent], *, now: datetime | None = None,
    settle_s: float = 60.0,
) -> bool:  # fmt: skip
    """The vendor answered for these products at `now` (None: when they were claimed).

    What it refused waits for its next statement or until its obstacle is gone.  One whose earlier attempt nobody
    knows the end of is owed once more after `settle_s`.  False, and nothing written, when somebody else holds the
    stream now.
    """
    if not sync_state.release(connection, batch):
        return False
    if not sent:
        return True
    now = now or batch.claimed_at
    changes = {change.key: change for change in batch.changes}
    settled_at = now + timedelta(seconds=settle_s)
    rows = [
        (item.key, item.sent.decode(), batch.seqs[item.key],
         mended("; ".join(dict.fromkeys(refusal.reason for refusal in item.refusals))),
         to_ms(settled_at) if changes[item.key].is_in_doubt else None)
        for item in sent
    ]  # fmt: skip
    _RECORD.execute(connection, _of_stream(batch) | {"rows": rows, "at": now})
    refused = {item.key: [each for refusal in item.refusals for each in refusal.obstacles] for item in sent}
    known = [item.key for item in sent if changes[item.key].was_refused]
    obstacles.replace(connection, "catalogue", batch.channel, batch.gateway, refused, known)
    return True


def give_back(connection: sa.Connection, batch: Batch, keys: Collection[str]) -> None:
    """For these products no call has begun: only what was in doubt before the claim is so, and its note holds."""
    rows = [
        (change.key, None if change.sent is None else change.sent.decode(), change.is_in_doubt)
        for change in batch.changes
        if change.key in keys
    ]
    _GIVE_BACK.execute(connection, _of_stream(batch) | {"rows": rows})


def _of_stream(batch: Batch) -> dict[str, Any]:
    return {"of_channel": batch.channel, "of_gateway": batch.gateway}


_SYNC = catalogue_sync.c


def _is_due(now: datetime | sa.BindParameter[datetime]) -> sa.ColumnElement[bool]:
    return _SYNC.again_at.is_not(None) & (_SYNC.again_at <= now)


CATALOGUE: Final = SyncedFacts("catalogue", catalogue_sync, _SYNC.root_key, _is_due, goes_first=sa.false())

_BEFORE = rows_of({"root_key": _SYNC.root_key, "sent": _SYNC.sent, "is_in_doubt": _SYNC.is_in_flight})
_GIVE_BACK = Prepared(CATALOGUE.update_each(_BEFORE).values(sent=_BEFORE.c.sent, is_in_flight=_BEFORE.c.is_in_doubt))

_SENT = rows_of({
    "root_key": _SYNC.root_key, "sent": _SYNC.sent, "seq": _SYNC.seq, "refusal": _SYNC.refusal, "later": _SYNC.again_at,
})  # fmt: skip
_GIVEN = _SENT.c
_IS_NEWEST = _SYNC.seq == _GIVEN.seq
_IS_CHANGED_SINCE = sa.and_(_SYNC.seq != _GIVEN.seq, _SYNC.is_changed)
_AT = sa.bindparam("at", type_=Moment)
_RECORD = Prepared(
    CATALOGUE.update_each(_SENT).values(
        sent=_GIVEN.sent,
        sent_seq=_GIVEN.seq,
        sent_at=_AT,
        refusal=_GIVEN.refusal,
        is_in_flight=False,
        is_uncertain=sa.case((_IS_NEWEST, sa.false()), else_=_SYNC.is_uncertain),
        is_changed=_IS_CHANGED_SINCE,
        turn=sa.case((_IS_CHANGED_SINCE, _SYNC.seq), else_=sa.type_coerce(_AT, sa.BigInteger)),
        again_at=sa.func.coalesce(_GIVEN.later, sa.case((_SYNC.again_at > _AT, _SYNC.again_at))),
    )
)
