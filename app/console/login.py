"""The pages to sign in, with a name and a token, and to sign out."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.console.access import Access
from app.console.guard import LOGIN, keep_waiting, way_back
from app.console.rendering import page
from app.console.sessions import NAME_LENGTH, Sessions


def add_to(console: Blueprint, access: Access, sessions: Sessions) -> None:
    """Add the pages."""

    def shown(fault: str = "", status: int = 200, *, name: str = "", target: str = "") -> Response:
        reply = Response(status=status, content_type="text/html; charset=utf-8")
        token = sessions.begin_login(request, reply)
        reply.set_data(
            page("login.html", fault=fault, name=name, target=target, login_token=token, longest=NAME_LENGTH)
        )
        return reply

    @console.get("/login", provide_automatic_options=False)
    def login() -> Response:
        return shown(target=request.args.get("next", ""))

    @console.post("/login", provide_automatic_options=False)
    def enter() -> Response:
        form = request.form
        name, target = " ".join(form.get("name", "").split()), form.get("next", "")
        if not sessions.is_login_form(request, form.get("form_token", "")):
            return shown("This page was too old, or your browser keeps no cookies. Try again.", 400, target=target)
        if not name or len(name) > NAME_LENGTH or not name.isprintable():
            return shown(f"Say your name, in at most {NAME_LENGTH} characters.", 400, target=target)
        role = access.role_of(form.get("token", ""))
        if role is None:
            keep_waiting(access)
            return shown("The token is wrong.", 401, name=name, target=target)
        reply = Response(status=303, headers={"Location": way_back(target)})
        sessions.open(reply, name, role)
        return reply

    @console.post("/logout", provide_automatic_options=False)
    def logout() -> Response:
        reply = Response(status=303, headers={"Location": LOGIN})
        sessions.end(reply)
        return reply
