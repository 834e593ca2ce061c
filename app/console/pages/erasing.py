"""The personal data of one order is erased, as a shopper may request."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from app.console import choosing
from app.console.acting import changed, gone, who_acts
from app.console.guard import visitor
from app.console.page_context import PageContext
from app.console.rendering import segment, shown
from app.console.sessions import PATH
from app.operations import acts, erasure
from app.operations.erasure import NotErasable


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the pages.  Their addresses do not begin as an order's, whose number may be any text."""

    def asked(fault: str = "", status: int = 200) -> Response:
        channel, refnum = choosing.last_segments(2)
        found = erasure.one(context.database, context.scope, context.key_of(channel), refnum)
        if found is None:
            abort(404)
        return shown(
            "order_erase.html", status, channel=channel, refnum=refnum, found=found, kept=erasure.WORDS, fault=fault,
            form=request.form,
        )  # fmt: skip

    @console.get("/erase/<channel>/<path:refnum>", provide_automatic_options=False)
    def ask_erasure(channel: str, refnum: str) -> Response:
        if not visitor().role.may_act:
            abort(403, "Your token shows and does not act.")
        return asked()

    @console.post("/erase/<channel>/<path:refnum>", provide_automatic_options=False)
    def erase(channel: str, refnum: str) -> Response:
        channel, refnum = choosing.last_segments(2)
        key = context.key_of(channel)
        operator, fault = who_acts(needs_reason=True)
        if operator is None:
            return asked(fault, 400)
        if request.form.get("number", "").strip() != refnum.strip():
            return asked("Not done: type the order's number, for this cannot be undone.", 400)
        if erasure.one(context.database, context.scope, key, refnum) is None:
            abort(404)
        try:
            rows = acts.erase(context.database, operator, key, refnum, context.now())
        except NotErasable as refused:
            changed(f"Nothing was erased: {refused}.")
        if not rows:
            done = "nothing" if rows is None else "erased-early"
        else:
            done = "erased" if context.database.empty_log() else "erased-log"
        return gone(f"{PATH}/orders/{segment(channel)}/{segment(refnum)}", done)
