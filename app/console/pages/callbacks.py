"""What RetailOps called: the log with filters, and one call with the events it was answered and what it caused."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, abort, redirect
from werkzeug.wrappers import Response as AnyResponse

from app.console import choosing
from app.console.page_context import PageContext
from app.console.rendering import segment, shown
from app.console.sessions import PATH
from app.operations import callback_log, hooks
from app.operations.callback_log import CallbackChoice
from app.operations.hooks import HookChoice

STATUSES: Final = (("", "any"), ("2", "200: answered"), ("4", "4xx: refused"), ("5", "5xx: failed"))
SLOW: Final = (("", "any"), ("500", "0.5 s or more"), ("2000", "2 s or more"), ("5000", "5 s or more"))


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the pages."""

    @console.get("/callbacks", provide_automatic_options=False)
    def callbacks() -> Response:
        channel = choosing.text("channel")
        chosen = CallbackChoice(
            channel=context.key_of(channel) if channel else "",
            callback=choosing.text("callback"),
            order=choosing.text("order"),
            request_id=choosing.text("request"),
            status_class=choosing.word("status", ("2", "4", "5")) or "",
            outcome=choosing.text("outcome"),
            slower_than_ms=choosing.whole("slow"),
            since=choosing.moment("since"),
            until=choosing.moment("until"),
        )
        found = callback_log.find(context.database, context.scope, chosen, after=choosing.after())
        return shown(
            "callbacks.html", found=found, chosen=chosen, channel=channel, channels=context.channel_choices(),
            statuses=STATUSES, slow=SLOW, callbacks=context.callback_choices(), is_chosen=chosen != CallbackChoice(),
        )  # fmt: skip

    @console.get("/callbacks/<int:journal_id>", provide_automatic_options=False)
    def callback(journal_id: int) -> Response:
        found = callback_log.one(context.database, context.scope, journal_id)
        if found is None:
            abort(404)
        return shown("callback.html", found=found)

    @console.get("/requests/<path:request_id>", provide_automatic_options=False)
    def request_of(request_id: str) -> AnyResponse:
        """A request id is the caller's and may be used twice: one call, or the list of them, or hooks."""
        [request_id] = choosing.last_segments(1)
        found = callback_log.find(context.database, context.scope, CallbackChoice(request_id=request_id))
        if len(found.rows) == 1:
            return redirect(f"{PATH}/callbacks/{found.rows[0].id}", 303)
        is_hook = (
            not found.rows and hooks.listing(context.database, context.scope, HookChoice(request_id=request_id)).rows
        )
        return redirect(f"{PATH}/{'hooks' if is_hook else 'callbacks'}?request={segment(request_id)}", 303)
