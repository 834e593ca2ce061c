"""Acts on chosen calls, one or many: previewed first, and exactly those are changed, each only while it is as shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from app.gateways.capabilities import Gateways
from app.operations import acts
from app.operations.deliveries import Act, DeliveryRow, rows_of, verb_of, why_not
from app.operations.operators import Operator
from app.operations.scope import Scope
from app.records import delivery_rows
from app.records.database import Database
from app.records.delivery_rows import DeliveryFilter

MOST_AT_ONCE = 1000
"""Calls of one preview."""

SAMPLE = 20
"""Calls of a preview that are shown."""


@dataclass(frozen=True)
class Preview:
    """What an act on many calls would change."""

    act: Act
    count: int
    """How many calls it would change."""
    sample: tuple[DeliveryRow, ...]
    """The first of them, oldest first."""
    refused: Mapping[str, int]
    """How many chosen calls it would leave alone, by reason."""
    expected: str
    """Names each of the calls with the state and attempt it was shown in; passed to `act_on`."""
    has_more: bool
    """True where more calls were chosen than one act may change."""


@dataclass(frozen=True)
class ActOutcome:
    """What an act has changed."""

    done: tuple[int, ...]
    left: Mapping[int, str]
    """The calls it left alone, and why."""


def expected(row: DeliveryRow) -> str:
    """Names one call with the state and attempt it is shown in, for `act_on`."""
    return f"{row.id}.{row.state}.{row.attempts}"


def preview(
    database: Database,
    scope: Scope,
    gateways: Gateways,
    act: Act,
    chosen: DeliveryFilter,
    *,
    even_if_done: bool = False,
) -> Preview:
    """What `act_on` would change of these calls now; nothing is written.  Raises `DatabaseUnavailable`."""
    now = database.now()
    with database.read() as connection:
        found = delivery_rows.oldest(connection, chosen, channels=scope.keys, limit=MOST_AT_ONCE + 1)
        shown = rows_of(connection, found[:MOST_AT_ONCE], now)
    refused: dict[str, int] = {}
    ready = []
    for row, as_shown in zip(found, shown, strict=False):
        if why := why_not(act, gateways, row, now, even_if_done=even_if_done):
            refused[why] = refused.get(why, 0) + 1
        else:
            ready.append(as_shown)
    names = ",".join(map(expected, ready))
    return Preview(act, len(ready), tuple(ready[:SAMPLE]), refused, names, len(found) > MOST_AT_ONCE)


def act_on(
    database: Database,
    scope: Scope,
    gateways: Gateways,
    act: Act,
    operator: Operator,
    expected: str,
    *,
    even_if_done: bool = False,
    refnum: str = "",
) -> ActOutcome:
    """Retry, drop or confirm exactly these calls, each only while it is as it was shown.

    `expected` is that of a preview, or of one call.  `refnum`, of a confirmed call alone: the vendor's own number.
    Raises `DatabaseUnavailable`, and `ValueError` where a reason is missing or `expected` names nothing.
    """
    if act != "retry" and not operator.reason:
        raise ValueError("this act needs a reason")
    shown = _shown(expected)
    now = database.now()
    with database.read() as connection:
        rows = {row.id: row for row in delivery_rows.of_ids(connection, list(shown))}
    done: list[int] = []
    left: dict[int, str] = {}
    for number, state in shown.items():
        row = rows.get(number)
        if row is None or not scope.sees(row.channel):
            left[number] = "there is no such call"
        elif (row.state, row.attempts) != state:
            left[number] = CHANGED
        elif why := why_not(act, gateways, row, now, even_if_done=even_if_done):
            left[number] = why
        elif carry_out(database, gateways, act, operator, row, now, even_if_done=even_if_done, refnum=refnum):
            done.append(number)
        else:
            left[number] = CHANGED
    return ActOutcome(tuple(done), left)


CHANGED = "it has changed since it was shown; look again"


def _shown(expected: str) -> dict[int, tuple[str, int]]:
    shown: dict[int, tuple[str, int]] = {}
    for item in filter(None, expected.split(",")):
        parts = item.split(".")
        if len(parts) != 3 or not (parts[0].isdecimal() and parts[2].isdecimal()):
            raise ValueError("no call is named so")
        shown[int(parts[0])] = parts[1], int(parts[2])
    if not 1 <= len(shown) <= MOST_AT_ONCE:
        raise ValueError(f"between 1 and {MOST_AT_ONCE} calls are changed at once")
    return shown


def carry_out(
    database: Database,
    gateways: Gateways,
    act: Act,
    operator: Operator,
    row: Row[Any],
    now: datetime,
    *,
    even_if_done: bool,
    refnum: str,
) -> bool:
    """One of the acts on a call as it was read.  False, and nothing written, when it has changed since."""
    verb = verb_of(gateways, row)
    if act == "drop":
        return acts.drop(database, operator, row, verb, now)
    if act == "confirm":
        return acts.confirm(database, operator, row, gateways.get((row.channel, row.gateway)), now, refnum=refnum)
    return verb is not None and acts.retry(database, operator, row, verb, now, even_if_done=even_if_done)
