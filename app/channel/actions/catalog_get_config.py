"""RetailOps asks how it should push the catalogue; the channel's configuration answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.contract.schemas import Reading


def read(body: Mapping[str, Any], reading: Reading) -> None:
    """The callback has no fields of its own."""


def carry_out(wanted: None, asked: Asked, desk: Desk) -> Outcome:
    """No vendor is asked."""
    return Outcome(content={"sku_fanout": asked.channel.sku_fanout})
