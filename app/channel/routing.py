"""Decides who calls and what they may do: keys and pairs against the configured channels (R1 to R3)."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from app.channel_settings import TEST_KEY, Channel
from app.errors import HttpError

Standing = Literal["live", "dry_run", "unconfigured"]


class Caller(msgspec.Struct, frozen=True):
    """A caller whose key is known, before it is said for which channel it speaks."""

    is_test: bool
    channels: tuple[Any, ...]


class Routing:
    """Compares keys in constant time and finds the channel of a (client_id, channel_info.id) pair."""

    def __init__(self, channels: Sequence[Channel], *, accepts_test_key: bool) -> None:
        self._keys = [(key.encode(), channel) for channel in channels for key in channel.auth_keys]
        self._by_pair = {channel.pair: channel for channel in channels}
        self._accepts_test_key = accepts_test_key

    def caller(self, key: object) -> Caller:
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
            caller = self.caller(key)
        except HttpError:
            return ""
        return caller.channels[0].key if caller.channels else TEST_KEY

    def route(self, caller: Caller, pair: tuple[int, int | None]) -> tuple[Standing, Channel | None]:
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
