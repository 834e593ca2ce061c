"""Keeps whose request the current thread serves, until when, and what it has begun at vendors."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from app.deadline import Deadline

channel: ContextVar[str] = ContextVar("channel", default="")
"""The key of the channel's records, "" for the process itself.  Until a request is verified, what it says itself."""

deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)
"""When the answer to the request must stand; None for what runs in the background."""

read_limit_s: ContextVar[float | None] = ContextVar("read_limit_s", default=None)
"""How long the database may work on what this thread reads, in seconds; None: as long as for everybody."""

vendor_writes: ContextVar[int] = ContextVar("vendor_writes", default=0)
"""How many calls that may change something at a vendor this thread has begun.  Who catches a fault of ours inside a
business verb learns by it whether the vendor may have done anything."""

commit_s: ContextVar[float] = ContextVar("commit_s", default=0.0)
"""How long the transaction took that the request shared, with what it waited for itself; 0 where it shared none."""

meanwhile: ContextVar[Callable[[], None]] = ContextVar("meanwhile", default=lambda: None)
"""Called by a request before it waits for a commit that it shares with others: its thread may begin some of them."""

ANSWER_AFTER_S: Final = "channel.answer_after_s"
"""Where an application says in the WSGI environment for how many seconds its answer is kept before it is sent."""


def begin_request(until: Deadline, sender: str = "") -> None:
    """The thread serves another request, whose answer must stand then; `sender` is whose it says to be."""
    channel.set(sender)
    deadline.set(until)


def end_request() -> None:
    """It is answered."""
    channel.set("")
    deadline.set(None)
