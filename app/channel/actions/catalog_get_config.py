"""RetailOps requests how it should push the catalogue; the channel's configuration answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.channel.services import CallbackRequest, CallbackResult
from app.contract.schemas import Reading


def read(body: Mapping[str, Any], reading: Reading) -> None:
    """The callback has no fields of its own."""


def carry_out(payload: None, request: CallbackRequest) -> CallbackResult:
    """Calls no vendor."""
    return CallbackResult(content={"sku_fanout": request.channel.sku_fanout})


def answer_json(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    """The setting; this answer has no events."""
    return {"sku_fanout": result.content.get("sku_fanout", "no_fanout")}
