"""What every page of the console needs: the records, the gateways, and the channels by the name people know."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.channel_settings import Channel
from app.console.guard import visitor
from app.operations.scope import Scope
from app.operations.vendor_limits import Limit
from app.records.database import Database
from app.settings import Settings


@dataclass(frozen=True)
class PageContext:
    """One for the process."""

    configured: Settings
    database: Database
    gateways: Mapping[tuple[str, str], Any]
    """By key of the channel's records and vendor; for what acts do, and never called by a page."""

    callbacks: Sequence[str]
    """Names of all callbacks."""
    limits: Collection[Limit]
    """How each gateway's vendor key is limited."""

    @property
    def scope(self) -> Scope:
        """What the present visitor may see."""
        return visitor().role.scope

    @property
    def channels(self) -> list[Channel]:
        """The configured channels the present visitor may see."""
        return [channel for channel in self.configured.channels if self.scope.sees(channel.key)]

    def knows(self, key: str) -> bool:
        """Whether there is a channel with this key that the visitor may see."""
        return any(channel.key == key for channel in self.channels)

    @property
    def vendors(self) -> list[str]:
        """The vendors those channels have, each once."""
        return sorted({token for channel in self.channels for token in channel.gateways})

    def key_of(self, name: str) -> str:
        """The key of the records of the channel with this name; of one that is not configured its key is the name."""
        return next((channel.key for channel in self.configured.channels if channel.name == name), name)

    def channel_choices(self) -> list[tuple[str, str]]:
        """For a field that chooses a channel: names of those the visitor may see."""
        return [("", "all"), *((channel.name, channel.name) for channel in self.channels)]

    def vendor_choices(self) -> list[tuple[str, str]]:
        """For a field that chooses a vendor."""
        return [("", "all"), *((token, token) for token in self.vendors)]

    def callback_choices(self) -> list[tuple[str, str]]:
        """For a field that chooses a callback."""
        return [("", "all"), *((name, name) for name in self.callbacks)]

    def now(self) -> datetime:
        """Now, by the clock that all processes share."""
        return self.database.clock()
