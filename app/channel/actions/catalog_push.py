"""RetailOps pushes its catalogue; every gateway of the channel says what it does with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.contract.schemas import Reading
from app.gateways.interface import NotOurs


def read(body: Mapping[str, Any], reading: Reading) -> None:
    """No gateway takes a catalogue yet, so nothing of the body is needed."""


def carry_out(wanted: None, asked: Asked, desk: Desk) -> Outcome:
    """One event per gateway that leaves the catalogue alone."""
    outcome = Outcome()
    for gateway in desk.gateways_of(asked.channel):
        declared = gateway.verbs.get("push_catalog")
        if isinstance(declared, NotOurs):
            outcome.add(declared.event_type, declared.code, declared.message)
    return outcome
