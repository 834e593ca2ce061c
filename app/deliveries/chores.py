"""Background work of a gateway besides sending: reports for observers, and the gateway's own regular work."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.events import about
from app.domain.purchases import Purchase
from app.gateways.capabilities import Gateway
from app.records import observed, outbox
from app.records.database import Database, DatabaseUnavailable
from app.records.observed import Ripe
from app.records.outbox import Owed
from app.records.tables.deliveries import commands

LOOK_S = 1.0
"""How often it is looked for orders an observer is to be told of."""

REST = 20
"""A look is followed by a rest this many times as long: it costs more the more orders wait for their moment."""

REPORT = "report_purchase"

log = logging.getLogger(__name__)


class Chores:
    """One process's."""

    def __init__(
        self,
        database: Database,
        gateways: Mapping[tuple[str, str], Gateway],
        clock: Callable[[], datetime],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._database = database
        self._gateways = gateways
        self._clock = clock
        self._is_stopping = is_stopping
        self._look_at_s: dict[tuple[str, str], float] = {}

    def do(self, channel: str, token: str) -> bool:
        """True when something is owed now that was not before.  Never raises."""
        gateway = self._gateways[(channel, token)]
        try:
            reports_at = gateway.observer.reports_at if gateway.observer is not None else ""
            is_owed = bool(reports_at) and self._owe_reports(gateway, channel, reports_at)
            if gateway.background is not None:
                gateway.background(self._is_stopping)
            return is_owed
        except DatabaseUnavailable as error:
            log.warning("chores for %s/%s wait for the database: %s", channel, token, error)
        except Exception:
            log.exception("chores for %s/%s failed", channel, token)
        return False

    def _owe_reports(self, gateway: Gateway, channel: str, reports_at: str) -> bool:
        stream = (channel, gateway.token)
        if time.monotonic() < self._look_at_s.get(stream, 0.0):
            return False
        began_s = time.monotonic()
        with self._database.read() as connection:
            is_any = bool(observed.ripe(connection, *stream, reports_at))
        ended_s = time.monotonic()
        self._look_at_s[stream] = ended_s + max(LOOK_S, REST * (ended_s - began_s))
        if not is_any:
            return False
        with self._database.write() as connection:
            found = observed.ripe(connection, *stream, reports_at)
            for item in found:
                if not item.is_void:
                    self._owe(connection, channel, gateway, _as_told(item, reports_at))
            observed.forget(connection, *stream, [item.purchase.order_refnum for item in found])
        self._look_at_s[stream] = 0.0
        return bool(found)

    def _owe(self, connection: Connection, channel: str, gateway: Gateway, purchase: Purchase) -> None:
        """Owe the report once for ever: the ledger of commands knows it by observer and order (R9)."""
        now = self._clock()
        if not purchase.lines:
            return
        insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(commands)
        request_id = f"report-{outbox.new_lease()}"
        command_id = connection.execute(
            insert.values(
                channel=channel,
                callback=REPORT,
                natural_key=f"{gateway.token}/{purchase.order_refnum}",
                order_refnum=purchase.order_refnum,
                digest="",
                events=msgspec.json.encode(()),
                request_id=request_id,
                begun_at=now,
                lease_until=now,
                finished_at=now,
            )
            .on_conflict_do_nothing()
            .returning(commands.c.id)
        ).scalar()
        if command_id is None:
            return
        placed = outbox.owe(
            connection,
            Owed(gateway.token, REPORT, purchase, about("order_refnum", purchase.order_refnum)),
            channel=channel,
            # Not the order's lane: one shopper's reports follow one another, whatever else befalls the order.
            lane=f"shopper {purchase.shopper}",
            command_id=command_id,
            request_id=request_id,
            now=now,
            lease=None,
        )
        assert placed is not None
        outbox.wake(connection, placed.delivery.id, now)


def _as_told(item: Ripe, moment: str) -> Purchase:
    """At completion without the units that never ship."""
    if moment != "completion":
        return item.purchase
    lines = tuple(
        msgspec.structs.replace(line, quantity=left)
        for line in item.purchase.lines
        if (left := line.quantity - item.unshipped.get(line.line_refnum, 0)) > 0
    )
    return msgspec.structs.replace(item.purchase, lines=lines)
