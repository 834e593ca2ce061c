"""Stock records that Pipe17 has locked against ingests: their `inventoryNotTracked` is set (contract 2.4)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from app.errors import Misconfigured, Refused
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import FORBIDDEN, KEPT_S, Api
from app.gateways.vendors.pipe17.stock.held_stock import PATH, StockRecord
from app.gateways.wire_objects import read_all

MOST_PAGES: Final = 20
"""Pages of locked records read at a time; of any others Pipe17 itself refuses the ingest."""

log = logging.getLogger(__name__)


class UntrackedStock:
    """What one key sees of them.  Used by one sender of stock at a time (R13)."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._found: frozenset[tuple[str, str]] = frozenset()
        self._places: frozenset[str] = frozenset()
        self._is_all = True
        self._due_at = float("-inf")

    def forget(self) -> None:
        """What is known may be stale: the next use reads it anew."""
        self._due_at = float("-inf")

    @property
    def is_all(self) -> bool:
        """False when there were more of them than were read."""
        return self._is_all

    def of(self, location_ids: Sequence[str], call: Call) -> frozenset[tuple[str, str]]:
        """(SKU, location id) of each locked record; none where the key may not read stock.

        Raises a `GatewayError`.
        """
        places = frozenset(location_ids)
        now = self._api.now()
        if now >= self._due_at or places != self._places:
            self._found = self._ask(location_ids, call)
            self._places, self._due_at = places, now + KEPT_S
        return self._found

    def _ask(self, location_ids: Sequence[str], call: Call) -> frozenset[tuple[str, str]]:
        params = {"inventoryNotTracked": "true", "locationId": ",".join(location_ids)}
        found: set[tuple[str, str]] = set()
        self._is_all = True
        try:
            for number, rows in enumerate(self._api.pages(PATH, params, call), 1):
                found |= {record.key for record in read_all(StockRecord, rows) if record.is_untracked}
                if number == MOST_PAGES:
                    self._is_all = False
                    break
        except (Misconfigured, Refused) as error:
            if isinstance(error, Misconfigured) and error.code != FORBIDDEN:
                raise
            log.info("pipe17 does not show which stock records are locked (%s)", error.code)
        return frozenset(found)
