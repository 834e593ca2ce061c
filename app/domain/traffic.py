"""What is remembered of the HTTP calls between this server and a vendor: nothing that is secret or a shopper's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VendorCall:
    """What is remembered of one HTTP call to a vendor: no body, no query, no header."""

    vendor: str
    method: str
    path: str
    status: int | None
    outcome: str
    duration_s: float
    request_id: str
    ahead_s: float | None = None
    """How far the vendor's clock is before ours by its own word (whole seconds); None where it gave none."""


@dataclass(frozen=True)
class InboundRequest:
    """What is remembered of a request a vendor sent here: no body, no query, nothing of a shopper."""

    topic: str
    status: int
    reason: str = ""
    """Why it was refused, as a code and a sentence without values; "" where it was not."""
    event: str = ""
    """What of it was not taken although it was answered, as a code: it is named besides the answer."""
    subject: str = ""
    """Our id of the order or cart it is about."""
    is_verified: bool = False
    """Whether it came with a valid key or signature, so that it may be kept by itself."""
    duration_ms: int = 0
    path: str = ""
    """Of one that nobody vouches for, where it went; shortened when it is kept, and without any key tried."""
    unknown_account: str = ""
    """The account the request was for, where no channel has it: then it is no channel's."""
