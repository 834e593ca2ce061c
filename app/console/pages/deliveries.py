"""The calls owed to vendors: lists by state, one call, and what an operator may do with one or with many."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, abort, request

from app.console import choosing
from app.console.acting import changed, gone, who_acts
from app.console.guard import visitor
from app.console.page_context import PageContext
from app.console.rendering import shown
from app.console.sessions import PATH
from app.operations import acts, bulk_acts, deliveries, late_events
from app.operations.deliveries import Act, DeliveryFilter, DeliveryInFull

TABS: Final = (
    ("open", "Open", ("owed", "checking", "parked")),
    ("parked", "Parked", ("parked",)),
    ("owed", "Owed", ("owed",)),
    ("checking", "Checking", ("checking",)),
    ("delivered", "Delivered", ("delivered",)),
    ("refused", "Refused", ("refused",)),
    ("dropped", "Dropped", ("dropped",)),
    ("all", "All", ()),
)
"""Word in the address, title, and the states it shows."""

ACTS: Final[tuple[Act, ...]] = ("retry", "drop", "confirm")
ACTS_ON_MANY: Final[tuple[Act, ...]] = ("retry", "drop")

_DONE: Final = {"retry": "retried", "drop": "dropped", "confirm": "confirmed"}


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the pages."""

    def chosen_calls() -> tuple[str, DeliveryFilter]:
        tab = choosing.word("state", [name for name, _, _ in TABS]) or "open"
        states = next(states for name, _, states in TABS if name == tab)
        channel = choosing.text("channel")
        return tab, DeliveryFilter(
            order=choosing.text("order"),
            channel=context.key_of(channel) if channel else "",
            gateway=choosing.text("vendor"),
            states=states,
            since=choosing.moment("since"),
            until=choosing.moment("until"),
        )

    @console.get("/deliveries", provide_automatic_options=False)
    def list_of_deliveries() -> Response:
        tab, chosen = chosen_calls()
        found = deliveries.find(context.database, context.scope, chosen, after=choosing.after())
        is_chosen = bool(chosen.order or chosen.channel or chosen.gateway or chosen.since or chosen.until)
        return shown(
            "deliveries.html", found=found, chosen=chosen, tab=tab, tabs=TABS, channel=choosing.text("channel"),
            channels=context.channel_choices(), vendors=context.vendor_choices(), is_chosen=is_chosen,
        )  # fmt: skip

    @console.get("/deliveries/<int:delivery_id>", provide_automatic_options=False)
    def delivery(delivery_id: int) -> Response:
        found = _one(context, delivery_id)
        return shown("delivery.html", found=found, expected=bulk_acts.expected(found.row))

    @console.get("/deliveries/<int:delivery_id>/<any(retry, drop, confirm):act>", provide_automatic_options=False)
    def ask_act(delivery_id: int, act: Act) -> Response:
        _operators_only()
        return _asked(_one(context, delivery_id), act)

    @console.post("/deliveries/<int:delivery_id>/<any(retry, drop, confirm):act>", provide_automatic_options=False)
    def act_on_one(delivery_id: int, act: Act) -> Response:
        found = _one(context, delivery_id)
        operator, fault = who_acts(needs_reason=act != "retry")
        if operator is None:
            return _asked(found, act, fault, 400)
        expected = request.form.get("expected", "")
        if "," in expected or expected.partition(".")[0] != str(delivery_id):
            abort(400, "The form does not name this call.")
        try:
            outcome = bulk_acts.act_on(
                context.database, context.scope, context.gateways, act, operator, expected,
                even_if_done=bool(request.form.get("even_if_done")), refnum=request.form.get("refnum", "").strip(),
            )  # fmt: skip
        except ValueError as error:
            abort(400, f"Not done: {error}.")
        if not outcome.done:
            changed(f"Nothing was done: {outcome.left[delivery_id]}.")
        return gone(f"{PATH}/deliveries/{delivery_id}", _DONE[act])

    @console.get("/deliveries/many/<any(retry, drop):act>", provide_automatic_options=False)
    def ask_act_on_many(act: Act) -> Response:
        _operators_only()
        return previewed(act)

    def previewed(act: Act, fault: str = "", status: int = 200) -> Response:
        tab, chosen = chosen_calls()
        found = bulk_acts.preview(context.database, context.scope, context.gateways, act, chosen)
        return shown("deliveries_many.html", status, act=act, preview=found, fault=fault, tab=tab, form=request.form)

    @console.post("/deliveries/many/<any(retry, drop):act>", provide_automatic_options=False)
    def act_on_many(act: Act) -> Response:
        operator, fault = who_acts(needs_reason=act != "retry")
        if operator is None:
            return previewed(act, fault, 400)
        expected = request.form.get("expected", "")
        number = len(expected.split(",")) if expected else 0
        if not number or request.form.get("number", "").strip() != str(number):
            return previewed(
                act, f"Not done: type {number}, the number of calls, to say that you mean all of them.", 400
            )
        try:
            outcome = bulk_acts.act_on(context.database, context.scope, context.gateways, act, operator, expected)
        except ValueError as error:
            abort(400, f"Not done: {error}.")
        back = choosing.address().replace(f"/many/{act}", "")
        return gone(back, "some" if outcome.left else "bulk", len(outcome.done))

    @console.get("/late", provide_automatic_options=False)
    def list_of_late_events() -> Response:
        channel = choosing.text("channel")
        key = context.key_of(channel) if channel else ""
        is_open = choosing.text("state") != "all"
        after = choosing.after()
        found = late_events.find(context.database, context.scope, channel=key, is_open=is_open, after=after)
        return shown(
            "late.html", found=found, tabs=TABS, channel=channel, channels=context.channel_choices(), is_open=is_open
        )

    @console.post("/late/<int:event_id>/dismiss", provide_automatic_options=False)
    def dismiss(event_id: int) -> Response:
        operator, fault = who_acts(needs_reason=False)
        if operator is None:
            abort(400, fault)
        done = acts.dismiss(context.database, operator, [event_id], context.now())
        of_call = request.form.get("delivery", "")
        back = f"deliveries/{of_call}" if of_call.isascii() and of_call.isdecimal() else "late"
        return gone(f"{PATH}/{back}", "dismissed" if done else "nothing")


def _one(context: PageContext, delivery_id: int) -> DeliveryInFull:
    found = deliveries.one(context.database, context.scope, context.gateways, delivery_id)
    if found is None:
        abort(404)
    return found


def _asked(found: DeliveryInFull, act: Act, fault: str = "", status: int = 200) -> Response:
    needs_even_if_done = act == "retry" and found.may.needs_even_if_done
    why_not = "" if needs_even_if_done else getattr(found.may, act)
    return shown(
        "delivery_act.html", status, found=found, act=act, why_not=why_not, needs_even_if_done=needs_even_if_done,
        expected=bulk_acts.expected(found.row), fault=fault, form=request.form,
    )  # fmt: skip


def _operators_only() -> None:
    if not visitor().role.may_act:
        abort(403, "Your token shows and does not act.")
