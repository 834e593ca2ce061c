"""What `channel` provides to the commands of a vendor, which stand in `commands.py` of its folder.

The module's group `commands` becomes `channel <token>`; click hands this context to a command that has
`@click.pass_obj`.  A vendor that needs no command has no such module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from app.channel_settings import Channel
from app.gateways.vendor import Tools
from app.records.database import Database
from app.settings import Settings


class CommandContext(Protocol):
    """The configuration, the records and the acts of operators, as every command of `channel` has them."""

    def settings(self) -> Settings:
        """The configuration as it is now.  Raises `SettingsFault`."""

    def channels_with(self, token: str, name: str = "") -> tuple[Settings, list[Channel]]:
        """The configuration, and its channels that have this vendor; with a name that one alone.

        Raises `click.UsageError` for a name that none of them has, and `SettingsFault`.
        """

    def tools(self, configured: Settings, channel: str) -> Tools:
        """For the gateway of the channel with this name, until the command ends."""

    def records(self, configured: Settings) -> AbstractContextManager[tuple[Database, Mapping[str, str]]]:
        """The database, for reading, and the key of the records by name of a channel.

        Raises `UnfitDatabase` where this version cannot use it.
        """

    def records_if_any(self, configured: Settings) -> Database | None:
        """The database where the server has made one that can be used; the caller closes it."""

    def keep_account(
        self,
        token: str,
        channel: str,
        is_replaced: Callable[[Any, str], bool],
        *,
        refusal: str,
        question: str,
        by: str,
        reason: str,
        yes: bool,
    ) -> bool:
        """Keep that the channel's account at this vendor is the one before under a new key; False if that is no news.

        `is_replaced` is given the channel's options and the account before, "" for none; where it is false, `refusal`
        is the error.  `question` is put to the person on the terminal unless `yes`.  Raises `click.ClickException`.
        """

    def why_unreachable(self, public_url: str) -> str:
        """Why this server's public address does not answer from here, a sentence; "" where it does."""
