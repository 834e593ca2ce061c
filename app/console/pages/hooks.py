"""The requests that vendors sent to this server, and why some were refused."""

from __future__ import annotations

from flask import Blueprint, Response

from app.console import choosing
from app.console.page_context import PageContext
from app.console.rendering import shown
from app.operations import hooks
from app.operations.hooks import HookChoice


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the page."""

    @console.get("/hooks", provide_automatic_options=False)
    def list_of_hooks() -> Response:
        channel = choosing.text("channel")
        chosen = HookChoice(
            channel=context.key_of(channel) if channel else "",
            vendor=choosing.text("vendor"),
            topic=choosing.text("topic"),
            order=choosing.text("order"),
            request_id=choosing.text("request"),
            is_refused=True if choosing.text("refused") == "yes" else None,
            since=choosing.moment("since"),
            until=choosing.moment("until"),
        )
        found = hooks.listing(context.database, context.scope, chosen, after=choosing.after())
        return shown(
            "hooks.html", found=found, chosen=chosen, channel=channel, channels=context.channel_choices(),
            vendors=context.vendor_choices(), is_chosen=chosen != HookChoice(),
            unverified=hooks.unverified(context.database, context.scope),
        )  # fmt: skip
