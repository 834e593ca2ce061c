"""What stock and catalogue have in common as facts that are synced: which are due, and whose turn it is (R13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.records import sync_state
from app.records.sync_state import Batch, Kind


@dataclass(frozen=True)
class SyncedFacts:
    """A kind of fact as it is kept: a row for each fact of each gateway."""

    kind: Kind
    table: sa.Table
    key: sa.Column[str]
    comes_again: Callable[[datetime | sa.BindParameter[datetime]], sa.ColumnElement[bool]]
    """Which facts are due again by themselves, given now."""
    goes_first: sa.ColumnElement[bool]
    """Which of those go before facts that did not change."""

    def of_gateway(
        self, channel: str | sa.BindParameter[str], gateway: str | sa.BindParameter[str]
    ) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
        """SQL: the rows of one gateway of a channel."""
        return self.table.c.channel == channel, self.table.c.gateway == gateway

    def update_each(self, given: sa.Subquery) -> sa.Update:
        """An UPDATE, to be given its values, of the facts that `given` names in a column called as the key.

        Its parameters `of_channel` and `of_gateway` are the gateway's.
        """
        own = self.of_gateway(sa.bindparam("of_channel"), sa.bindparam("of_gateway"))
        return sa.update(self.table).where(*own, self.key == given.c[self.key.name])

    def is_due(self, channel: str, gateway: str, now: datetime) -> sa.ColumnElement[bool]:
        """SQL: the gateway has facts of this kind to receive, and may be tried now."""
        rows, own = self.table.c, self.of_gateway(channel, gateway)
        # Each asks an index of its own.
        is_any = sa.exists().where(*own, rows.seq > rows.sent_seq) | sa.exists().where(*own, self.comes_again(now))
        return ~sync_state.is_waiting(self.kind, channel, gateway, now) & is_any

    def claim(
        self,
        connection: sa.Connection,
        channel: str,
        gateway: str,
        *,
        token: str,
        limit: int,
        now: datetime,
        lease_s: float,
    ) -> tuple[int, list[sa.Row[Any]]] | None:
        """Lease the stream and take the facts whose turn it is; None when nothing is due or free.

        Returns how often this kind failed lately, and the rows: changed ones first.
        """
        attempts = sync_state.take(connection, self.kind, channel, gateway, token=token, now=now, lease_s=lease_s)
        if attempts is None:
            return None
        again = (*self.of_gateway(channel, gateway), self.comes_again(now))
        if connection.execute(sa.select(self.key).where(*again).limit(1)).first() is not None:
            seq = sync_state.next_seq(connection, channel, gateway)
            self.owe(connection, again, seq, goes_first=self.goes_first)
        found = self._next(connection, channel, gateway, limit)
        if not found:
            sync_state.release(connection, Batch(channel, gateway, self.kind, token, attempts))
            return None
        return attempts, found

    def _next(self, connection: sa.Connection, channel: str, gateway: str, limit: int) -> list[sa.Row[Any]]:
        rows, found = self.table.c, list[sa.Row[Any]]()
        for is_changed in (True, False):
            which = (*self.of_gateway(channel, gateway), rows.seq > rows.sent_seq, rows.is_changed.is_(is_changed))
            statement = sa.select(self.table).where(*which).order_by(rows.turn, self.key)
            found += connection.execute(statement.limit(limit - len(found))).all()
            if len(found) == limit:
                break
        return found

    def owe(
        self,
        connection: sa.Connection,
        which: Iterable[sa.ColumnElement[bool]],
        seq: int,
        *,
        goes_first: sa.ColumnElement[bool],
        is_uncertain: bool = True,
        **values: Any,
    ) -> int:
        """Make these rows due anew, equal or not; those that go first count as changed now.  Returns how many."""
        rows = self.table.c
        keeps_turn = rows.seq > rows.sent_seq
        last_sent = sa.func.coalesce(sa.type_coerce(rows.sent_at, sa.BigInteger), 0)
        turn = sa.case(
            (rows.is_changed & keeps_turn, rows.turn), (goes_first, seq), (keeps_turn, rows.turn), else_=last_sent
        )
        uncertain = {"is_uncertain": True} if is_uncertain else {}
        changed = {"seq": seq, "turn": turn, "is_changed": sa.or_(rows.is_changed, goes_first), "again_at": None}
        return connection.execute(sa.update(self.table).where(*which).values(**changed, **uncertain, **values)).rowcount
