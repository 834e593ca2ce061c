"""Who carries out an act and why, and the record that is kept of each act (R34)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.records import operations
from app.records.operations import REASON_LENGTH, WHO_LENGTH, Target


@dataclass(frozen=True)
class Operator:
    """Who acts, and why; made by `operator`."""

    who: str
    reason: str = ""


def operator(who: str, reason: str) -> Operator:
    """An operator whose texts can be kept: on one line, without control characters.

    Raises `ValueError` for one without a name and for a text that is too long; nothing is cut.
    """
    who, reason = _one_line(who), _one_line(reason)
    if not who:
        raise ValueError("the operator needs a name")
    if len(who) > WHO_LENGTH:
        raise ValueError(f"the operator's name has more than {WHO_LENGTH} characters")
    if len(reason) > REASON_LENGTH:
        raise ValueError(f"the reason has more than {REASON_LENGTH} characters")
    return Operator(who, reason)


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def keep(
    connection: Connection,
    operator: Operator,
    act: str,
    channel: str,
    gateway: str,
    outcome: str,
    targets: list[Target],
    now: datetime,
    detail: str = "",
    count: int = 1,
) -> int:
    """Keep what an operator did, in the transaction that does it.  Returns its number."""
    return operations.add(
        connection,
        who=operator.who,
        act=act,
        channel=channel,
        gateway=gateway,
        reason=operator.reason,
        detail=detail,
        outcome=outcome,
        targets=targets,
        now=now,
        count=count,
    )
