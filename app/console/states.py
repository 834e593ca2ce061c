"""How a state looks: one shape and one colour for each kind of state, the same on every page, beside its word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from app.console.meanings import meanings

Kind = Literal["done", "pending", "unsure", "person", "failed", "off", "plain"]
"""done: over and well.  pending: goes on by itself.  unsure: is being found out.  person: waits for somebody.
failed: over and not well.  off: given up.  plain: a fact that is neither good nor bad."""

KINDS: Final[dict[str, Kind]] = {
    # Calls to vendors, and refunds
    "delivered": "done", "owed": "pending", "checking": "unsure", "parked": "person", "refused": "failed",
    "dropped": "off", "accepted": "done", "released": "off", "recorded": "plain", "matched": "plain",
    # Facts
    "sent": "done", "uncertain": "unsure", "restated": "plain",
    # Orders
    "held back": "person", "handed out": "pending", "acknowledged": "done", "shipped": "done", "cancelled": "off",
    "completed": "done", "waiting": "pending", "unpaid": "pending", "review": "pending", "left open": "person",
    "refunded": "off",
    # Gateways and channels
    "connected": "done", "ok": "done", "answering": "done", "never called": "plain",
    "attention": "person", "failing": "failed",
    "unreachable": "failed", "not configured": "off", "paused": "person", "set aside": "person", "quiet": "plain",
    "silent": "plain", "unknown": "plain", "open": "failed", "closed": "done",
    # Callbacks, hooks and what happened to an order
    "answered": "done", "success": "done", "with events": "unsure",
    "error": "failed", "warning": "unsure", "info": "plain", "failed": "failed",
    "unauthorized": "failed", "dry run": "plain", "set": "done", "not set": "off", "running": "pending",
    "done": "done", "late": "person",
}  # fmt: skip


@dataclass(frozen=True)
class Chip:
    """A state as it is shown."""

    word: str
    kind: Kind
    meaning: str


def chip_of(state: str) -> Chip:
    """How this state looks; one that nobody has described is shown plainly."""
    word = state.replace("_", " ").strip()
    return Chip(word, KINDS.get(word.lower(), "plain"), meanings().get(word.lower(), ""))
