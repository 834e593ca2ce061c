"""What vendors asked of this server, and why it was refused where it was."""

from __future__ import annotations

from flask import Blueprint, Response

from app.console import choosing
from app.console.desk import Desk
from app.console.rendering import shown
from app.operations import hooks
from app.operations.hooks import HookChoice


def add_to(console: Blueprint, desk: Desk) -> None:
    """Add the page."""

    @console.get("/hooks", provide_automatic_options=False)
    def list_of_hooks() -> Response:
        channel = choosing.text("channel")
        chosen = HookChoice(
            channel=desk.key_of(channel) if channel else "",
            vendor=choosing.text("vendor"),
            topic=choosing.text("topic"),
            order=choosing.text("order"),
            request_id=choosing.text("request"),
            is_refused=True if choosing.text("refused") == "yes" else None,
            since=choosing.moment("since"),
            until=choosing.moment("until"),
        )
        found = hooks.listing(desk.database, desk.scope, chosen, after=choosing.text("after"))
        return shown(
            "hooks.html", found=found, chosen=chosen, channel=channel, channels=desk.channel_choices(),
            vendors=desk.vendor_choices(), is_chosen=chosen != HookChoice(),
            unverified=hooks.unverified(desk.database, desk.scope),
        )  # fmt: skip
