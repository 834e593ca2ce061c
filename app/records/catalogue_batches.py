"""The products that are owed to a gateway: taken in batches under the sync lease, and what came of them (R13)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    false,
    func,
    select,
    type_coerce,
    update,
)

from app.domain.catalogue import ProductChange, ProductSent
from app.records import obstacles, sync_state
from app.records.catalogue import of_roots
from app.records.statements import chunked
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.columns import Moment

Batch = sync_state.Batch[ProductChange]


def claim(
    connection: Connection, channel: str, gateway: str, *, token: str, limit: int, now: datetime, lease_s: float
) -> Batch | None:
    """Take the stream and the products whose turn it is; None when nothing is owed, due or free.

    Until `record` what the vendor has of these products is in doubt, whatever becomes of the sender.
    """
    attempts = sync_state.take(connection, "catalogue", channel, gateway, token=token, now=now, lease_s=lease_s)
    if attempts is None:
        return None
    _owe_due(connection, channel, gateway, now)
    owed = sync_state.next_rows(connection, catalogue_sync, _SYNC.root_key, channel, gateway, limit)
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
        sync_state.release(connection, batch)
        return None
    for some in chunked(sorted(seqs)):
        which = (*of_gateway(channel, gateway), _SYNC.root_key.in_(some))
        connection.execute(update(catalogue_sync).where(*which).values(is_in_flight=True))
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
    if not sync_state.release(connection, batch):
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


_SYNC = catalogue_sync.c
_IS_NEWEST = _SYNC.seq == bindparam("claimed_seq")
_IS_CHANGED_SINCE = and_(_SYNC.seq != bindparam("claimed_seq"), _SYNC.is_changed)
_RECORD = (
    update(catalogue_sync)
    .where(
        _SYNC.channel == bindparam("of_channel"),
        _SYNC.gateway == bindparam("of_gateway"),
        _SYNC.root_key == bindparam("of_root"),
    )
    .values(
        sent=bindparam("was"),
        sent_seq=bindparam("claimed_seq"),
        sent_at=bindparam("at"),
        refusal=bindparam("because"),
        is_in_flight=False,
        is_uncertain=case((_IS_NEWEST, false()), else_=_SYNC.is_uncertain),
        is_changed=_IS_CHANGED_SINCE,
        turn=case((_IS_CHANGED_SINCE, _SYNC.seq), else_=type_coerce(bindparam("at", type_=Moment), BigInteger)),
        again_at=func.coalesce(
            bindparam("later", type_=Moment), case((_SYNC.again_at > bindparam("at", type_=Moment), _SYNC.again_at))
        ),
    )
)


def is_due(channel: str, gateway: str, now: datetime) -> ColumnElement[bool]:
    """SQL: the gateway has products to receive and may be tried now."""
    return sync_state.is_due(catalogue_sync, "catalogue", channel, gateway, _is_due(now), now)


def _is_due(now: datetime) -> ColumnElement[bool]:
    return _SYNC.again_at.is_not(None) & (_SYNC.again_at <= now)


def _owe_due(connection: Connection, channel: str, gateway: str, now: datetime) -> None:
    due = (*of_gateway(channel, gateway), _is_due(now))
    if connection.execute(select(_SYNC.root_key).where(*due).limit(1)).first() is not None:
        owe(connection, due, sync_state.next_seq(connection, channel, gateway), goes_first=False)


def owe(connection: Connection, which: Iterable[ColumnElement[bool]], seq: int, *, goes_first: bool) -> int:
    """Owe these products anew, equal or not; those that go first count as changed now.  Returns how many."""
    keeps_turn = _SYNC.seq > _SYNC.sent_seq
    last_sent = func.coalesce(type_coerce(_SYNC.sent_at, BigInteger), 0)
    turn = case(
        (_SYNC.is_changed & keeps_turn, _SYNC.turn),
        else_=seq if goes_first else case((keeps_turn, _SYNC.turn), else_=last_sent),
    )
    changed = {"is_changed": True} if goes_first else {}
    return connection.execute(
        update(catalogue_sync).where(*which).values(seq=seq, turn=turn, is_uncertain=True, again_at=None, **changed)
    ).rowcount


def of_gateway(channel: str, gateway: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Restricts a statement to the products of one gateway."""
    return _SYNC.channel == channel, _SYNC.gateway == gateway
