"""RetailOps asks the channel to give money back; the order's source says what it does about it.

The answer has no events and no order number: its status and message are all RetailOps learns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.channel.commands import declined
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.contract.reading import entries, mapping, text
from app.contract.schemas import Reading


def read(body: Mapping[str, Any], reading: Reading) -> str:
    """How the first parent was paid; an answer has to repeat it."""
    parents = entries(mapping(body.get("credit")).get("parent_payment_transactions"))
    return text(mapping(parents[0]).get("payment_type")) if parents else ""


def carry_out(payment_type: str, asked: Asked, desk: Desk) -> Outcome:
    """Fail with amount 0 where the source moves no money (R24)."""
    outcome = Outcome(content={"payment_type": payment_type or "none"})
    declined(desk, asked, "credit_payment", outcome)
    return outcome
