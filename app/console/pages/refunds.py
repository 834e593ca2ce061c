"""The ledger of refunds, and the release of one that holds money up."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, abort, request

from app.console import choosing
from app.console.acting import changed, gone, who_acts
from app.console.guard import visitor
from app.console.page_context import PageContext
from app.console.rendering import shown
from app.console.sessions import PATH
from app.operations import refunds
from app.operations.refunds import RefundChoice, RefundInFull

STATES: Final = ("owed", "accepted", "parked", "refused", "released", "recorded", "matched")
CALLBACKS: Final = ("order_cancel", "order_complete", "order_returned", "payment_credit")

WHY_NOT: Final = {
    "still_open": "its call to the vendor is still open; retry or drop that first",
    "nothing_held": "it holds nothing up, so there is nothing to release",
}

_DONE: Final = {"pays_next": "released-next", "given_free": "released-free"}


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the pages."""

    @console.get("/refunds", provide_automatic_options=False)
    def list_of_refunds() -> Response:
        channel = choosing.text("channel")
        chosen = RefundChoice(
            channel=context.key_of(channel) if channel else "",
            order=choosing.text("order"),
            state=choosing.word("state", STATES) or "",
            callback=choosing.word("callback", CALLBACKS) or "",
            is_unpaid_request=choosing.text("unpaid") == "yes",
            is_in_doubt=choosing.text("doubt") == "yes",
        )
        found = refunds.find(context.database, context.scope, chosen, after=choosing.after())
        return shown(
            "refunds.html", found=found, chosen=chosen, channel=channel, channels=context.channel_choices(),
            states=[("", "all"), *((state, state) for state in STATES)],
            callbacks=[("", "all"), *((name, name) for name in CALLBACKS)], is_chosen=chosen != RefundChoice(),
        )  # fmt: skip

    @console.get("/refunds/<int:refund_id>", provide_automatic_options=False)
    def refund(refund_id: int) -> Response:
        return shown("refund.html", found=_one(context, refund_id), why_not=WHY_NOT)

    @console.get("/refunds/<int:refund_id>/release", provide_automatic_options=False)
    def ask_release(refund_id: int) -> Response:
        if not visitor().role.may_act:
            abort(403, "Your token shows and does not act.")
        return _asked(_one(context, refund_id))

    @console.post("/refunds/<int:refund_id>/release", provide_automatic_options=False)
    def release(refund_id: int) -> Response:
        """The first form brings the reason, and the page asks again; the second one is the act."""
        found = _one(context, refund_id)
        operator, fault = who_acts(needs_reason=True)
        if operator is None:
            return _asked(found, fault, 400)
        expected = request.form.get("expected", "")
        if request.form.get("sure") != "yes" and expected == found.row.shown:
            return _asked(found, is_sure=True)
        outcome = refunds.release(context.database, context.scope, operator, refund_id, expected, context.now())
        if outcome not in _DONE:
            changed(f"Nothing was released: {WHY_NOT.get(outcome, 'the refund has changed meanwhile')}.")
        return gone(f"{PATH}/refunds/{refund_id}", _DONE[outcome])


def _one(context: PageContext, refund_id: int) -> RefundInFull:
    found = refunds.one(context.database, context.scope, refund_id)
    if found is None:
        abort(404)
    return found


def _asked(found: RefundInFull, fault: str = "", status: int = 200, *, is_sure: bool = False) -> Response:
    return shown(
        "refund_release.html", status, found=found, fault=fault, is_sure=is_sure, expected=found.row.shown,
        why_not=WHY_NOT, form=request.form,
    )  # fmt: skip
