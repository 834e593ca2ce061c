"""What a call of a gateway is given and what it gives back, the same for every vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import msgspec

from app.deadline import Deadline
from app.domain.events import Event, EventType
from app.domain.findings import Finding
from app.errors import GatewayError, Misconfigured, Refused

if TYPE_CHECKING:
    from sqlalchemy import Connection

Kind = Literal["question", "command", "fact"]
Repeat = Literal["safe", "lookup", "never"]

T = TypeVar("T")
Item = TypeVar("Item")


class SendEach(Protocol):
    """Makes the calls of a batch, such as `one_by_one`."""

    def __call__(self, send: Callable[[Item], T], items: Mapping[str, Item], known: Iterable[T] = ()) -> list[T]: ...


def one_by_one(send: Callable[[Item], T], items: Mapping[str, Item], known: Iterable[T] = ()) -> list[T]:
    """The known results and what `send` makes of each item, until the vendor fails.

    `items` are known by the key of the change.  Raises the vendor's `GatewayError` where there is no result at all.
    """
    found = list(known)
    try:
        for item in items.values():
            found.append(send(item))
    except GatewayError:
        if not found:
            raise
    return found


@dataclass(frozen=True)
class Call:
    """The circumstances of one use of a gateway: how long it may take and which request it serves."""

    deadline: Deadline
    request_id: str
    kind: Kind
    send_each: SendEach = field(default=one_by_one, repr=False, compare=False)
    """For a batch of facts to a vendor that takes one a call; `send` is used by several threads where the sink's
    `at_once` is more than 1."""


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


def read_note(sent: bytes | None, kind: type[T]) -> T | None:
    """The note of what was sent of a fact; None where there is none, or in a form that this version does not write."""
    try:
        return msgspec.json.decode(sent, type=kind) if sent else None
    except msgspec.DecodeError:
        return None
