"""The form that pauses a gateway of a channel, or resumes it."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from app.channel_settings import Channel
from app.console.acting import gone, who_acts
from app.console.guard import visitor
from app.console.page_context import PageContext
from app.console.rendering import shown
from app.console.sessions import PATH
from app.operations import acts, pauses


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the pages."""

    def channel_of(name: str, vendor: str) -> Channel:
        found = next((channel for channel in context.channels if channel.name == name), None)
        if found is None or vendor not in found.gateways:
            abort(404)
        return found

    def form(channel: Channel, vendor: str, act: str, fault: str = "", status: int = 200) -> Response:
        paused = pauses.paused(context.database, context.scope)
        found = next((item for item in paused if (item.channel, item.gateway) == (channel.key, vendor)), None)
        return shown(
            "gateway_act.html", status, channel=channel, vendor=vendor, act=act, paused=found, fault=fault,
            form=request.form,
        )  # fmt: skip

    @console.get("/gateways/<name>/<vendor>/<any(pause, resume):act>", provide_automatic_options=False)
    def ask_gateway(name: str, vendor: str, act: str) -> Response:
        if not visitor().role.may_act:
            abort(403, "Your token shows and does not act.")
        return form(channel_of(name, vendor), vendor, act)

    @console.post("/gateways/<name>/<vendor>/<any(pause, resume):act>", provide_automatic_options=False)
    def change_gateway(name: str, vendor: str, act: str) -> Response:
        channel = channel_of(name, vendor)
        operator, fault = who_acts(needs_reason=act == "pause")
        if operator is None:
            return form(channel, vendor, act, fault, 400)
        carry_out = acts.pause if act == "pause" else acts.resume
        is_done = carry_out(context.database, operator, channel.key, vendor, context.now())
        return gone(f"{PATH}/", f"{act}d" if is_done else "nothing")
