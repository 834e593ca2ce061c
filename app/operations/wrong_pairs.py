"""The numbers of client and channel that somebody got wrong: RetailOps called with a good key, for no channel (R3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from app.channel_settings import FIXTURE_PAIRS
from app.records import attention

_OF_FIXTURES: Final = {f"{client}/{number}" for client, channel in FIXTURE_PAIRS for number in (channel, None)}
"""What certification sends with a good key (R4); one fixture of ours leaves the channel's number out."""


@dataclass(frozen=True)
class WrongPair:
    """A pair of client_id and channel_info.id that belongs to no channel, as the body stated it."""

    pair: str
    count: int
    last: datetime
    is_of_fixtures: bool


def wrong_pairs(connection: Connection, since: datetime) -> list[WrongPair]:
    """Every pair that belongs to no channel and called since then, the latest first."""
    pairs = [(row.outcome.rpartition(" ")[2], row) for row in attention.wrong_pairs(connection, since)]
    return [
        WrongPair(pair.replace("/None", "/absent"), row.number, row.last, pair in _OF_FIXTURES) for pair, row in pairs
    ]
