"""What a call of a gateway is given and what it gives back, the same for every vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import msgspec
from sqlalchemy import Connection

from app.deadline import Deadline
from app.domain.events import Event, EventType
from app.domain.findings import Finding
from app.errors import GatewayError, Misconfigured, Refused

Kind = Literal["question", "command", "fact"]
Repeat = Literal["safe", "lookup", "never"]

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """The circumstances of one use of a gateway: how long it may take and which request it serves."""

    deadline: Deadline
    request_id: str
    kind: Kind


@dataclass(frozen=True)
class Verb:
    """How a command behaves at this vendor (R10, R11)."""

    repeat: Repeat
    decided_by: Literal["us", "vendor"] = "us"


@dataclass(frozen=True)
class NotOurs:
    """A command this gateway does not carry out, and the event that says so."""

    event_type: EventType
    code: str
    message: str


@dataclass(frozen=True)
class Accepted:
    """The vendor has it.  `events` tell RetailOps anything worth knowing, such as "already so" (P12)."""

    events: tuple[Event, ...] = ()
    refnum: str = ""
    """The vendor's own number of what it made; RetailOps is sent that of a refund."""
    note: Callable[[Connection], None] | None = field(default=None, compare=False)
    """What this acceptance leaves in the gateway's own records, written in the transaction that records it (T2), so
    that a database that is away can never turn the vendor's yes into an unknown outcome."""


@dataclass(frozen=True)
class Health:
    """Answer of a harmless read, for `channel check` and the demo."""

    state: Literal["connected", "refused", "unreachable"]
    detail: str = ""
    findings: tuple[Finding, ...] = ()
    """What else was seen: permissions, grants, settings, hooks, a feed."""

    @classmethod
    def after(cls, error: GatewayError, findings: tuple[Finding, ...] = ()) -> Health:
        """What the failure of the read says of the account."""
        return cls("refused" if isinstance(error, Misconfigured | Refused) else "unreachable", error.message, findings)


def until_failure(results: Iterable[T], known: Iterable[T] = ()) -> list[T]:
    """The known results and those that come before the vendor fails; raises its `GatewayError` where there is none."""
    found = list(known)
    try:
        for result in results:
            found.append(result)
    except GatewayError:
        if not found:
            raise
    return found


def read_note(sent: bytes | None, kind: type[T]) -> T | None:
    """The note of what was sent of a fact; None where there is none, or in a form that this version does not write."""
    try:
        return msgspec.json.decode(sent, type=kind) if sent else None
    except msgspec.DecodeError:
        return None
