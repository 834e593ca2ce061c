"""Takes the body of a callback to what it requests and of which channel: key, shape, pair (R1 to R3, R6).

Reads no record and calls no vendor; whatever cannot be taken leaves as `HttpError`.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from app.channel.actions import action
from app.channel.request_faults import body_problems, more_problems_event, problem_event
from app.channel_settings import TEST_KEY, Channel
from app.contract.reading import Envelope, entries
from app.contract.schemas import Callback, Reading
from app.domain.body_problems import NO_PROBLEMS, BodyProblems
from app.domain.events import Event
from app.errors import HttpError

Standing = Literal["live", "dry_run", "unconfigured"]

CHANNEL_SET_ASIDE = "CHANNEL_SET_ASIDE"
"""Code of every 503 for a channel that a fault of its own stops (R35)."""

SET_ASIDE_RETRY_S = 300
"""Only a new configuration and a restart help."""

MOST_ENTRIES = 200_000
"""Independent entries of one request.  What can be read and kept of them has to be answered within the budget (P7)."""


class Caller(msgspec.Struct, frozen=True):
    """A caller whose key is known, before it is said for which channel it speaks."""

    is_test: bool
    channels: tuple[Any, ...]


@dataclass
class Note:
    """What the journal and the log keep of a callback; filled as far as the callback got."""

    channel: str = ""
    order_refnum: str = ""
    outcome: str = ""
    events: Sequence[Event] = ()
    """What it was answered with."""
    problems: BodyProblems = NO_PROBLEMS
    """What was wrong with its body, or with our answer."""


@dataclass(frozen=True)
class Received:
    """A callback that was understood, before anything is done for it."""

    callback: Callback
    body: dict[str, Any]
    """As it came, mended; its independent entries are let go before anything is written."""
    reading: Reading
    envelope: Envelope
    standing: Standing
    channel: Channel | None
    payload: Any
    """The callback's own part in our types; None where nothing can come of it."""

    @property
    def key(self) -> str:
        """The key of the channel's records, "" where it is for no channel's."""
        return self.channel.key if self.channel else ""


class Malformed(HttpError):
    """A body that cannot be taken as the callback (R6): 400, each fault as an event."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(400, "INVALID_ENVELOPE", "the body cannot be taken as this callback")
        self.events = [problem_event(problem) for problem in reading.envelope]
        if reading.hidden:
            self.events.append(more_problems_event(reading.hidden))


class Receiver:
    """Receives callbacks for all channels of the process, which it finds by key and (client_id, channel_info.id)."""

    def __init__(self, channels: Sequence[Channel], *, accepts_test_key: bool) -> None:
        self._keys = [(key.encode(), channel) for channel in channels for key in channel.auth_keys]
        self._by_pair = {channel.pair: channel for channel in channels}
        self._accepts_test_key = accepts_test_key

    def read(self, callback: Callback, body: dict[str, Any], note: Note) -> Received:
        """The callback in our types.  Reads no record and calls no vendor.  Raises `HttpError` (400, 401, 413)."""
        caller = self._caller(body.pop("integration_auth_token", None))
        if callback.entries and len(entries(body.get(callback.entries))) > MOST_ENTRIES:
            message = f"{callback.entries} has more than {MOST_ENTRIES} entries; send them in several requests"
            raise HttpError(413, "TOO_MANY_ENTRIES", message)
        reading = callback.read(body)
        if reading.envelope:
            note.problems = body_problems(reading)
            fault = Malformed(reading)
            note.events = fault.events
            raise fault
        if reading.mended is not None:
            body = dict(reading.mended)
            reading = replace(reading, mended=None)
        envelope = Envelope.read(body)
        standing, channel = self._route(caller, envelope.pair)
        note.channel = channel.key if channel else standing
        note.order_refnum = envelope.order_refnum
        if channel is not None and channel.set_aside:
            message = "this channel is set aside because of its configuration; `channel check` names the fault"
            raise HttpError(503, CHANNEL_SET_ASIDE, message, retry_after_s=SET_ASIDE_RETRY_S)
        is_of_use = standing != "unconfigured" and not reading.problems
        payload = action(callback.name).read(body, reading) if is_of_use else None
        return Received(callback, body, reading, envelope, standing, channel, payload)

    def _caller(self, key: object) -> Caller:
        """The channels that list this key.  Raises `HttpError` 401 for any other value of any kind."""
        given = key.encode("utf-8", "replace") if isinstance(key, str) else b""
        # Every key is compared, found or not, so that the time taken shows nothing.
        matches = [hmac.compare_digest(known, given) for known, _ in self._keys]
        is_test = hmac.compare_digest(TEST_KEY.encode(), given) and self._accepts_test_key
        channels = tuple(channel for (_, channel), is_match in zip(self._keys, matches, strict=True) if is_match)
        if not channels and not is_test:
            raise wrong_key()
        return Caller(is_test, channels)

    def holder(self, key: str) -> str:
        """Whose key this is: the key of the records of the first channel that lists it, "" for nobody's."""
        try:
            caller = self._caller(key)
        except HttpError:
            return ""
        return caller.channels[0].key if caller.channels else TEST_KEY

    def _route(self, caller: Caller, pair: tuple[int, int | None]) -> tuple[Standing, Channel | None]:
        """What the caller may do for this pair.  Raises `HttpError` 401 for another channel's pair."""
        if caller.is_test:
            return "dry_run", None
        channel = self._by_pair.get(pair)  # type: ignore[arg-type]
        if channel is None:
            return "unconfigured", None
        if channel not in caller.channels:
            raise wrong_key()
        return "live", channel


def wrong_key() -> HttpError:
    """One and the same refusal for every wrong key (P2)."""
    return HttpError(401, "WRONG_KEY", "integration_auth_token is missing or wrong")
