"""RetailOps asks the channel to collect money; the order's source says what it does about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.channel.commands import declined
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.contract.reading import mapping, text
from app.contract.schemas import Reading


def read(body: Mapping[str, Any], reading: Reading) -> str:
    """The order's refnum; no gateway needs more of the body yet."""
    return text(mapping(body.get("order")).get("channel_order_refnum"))


def carry_out(refnum: str, asked: Asked, desk: Desk) -> Outcome:
    """The event that says what the source does instead."""
    outcome = Outcome()
    declined(desk, asked, "settle_payment", outcome, refnum)
    return outcome
