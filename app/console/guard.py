"""What each request to the console has to pass: who sends it, from which page, and whether it may change anything.

A GET changes nothing.  Whatever changes something is a POST of a signed-in operator from a page of ours, or brings the
operator's token itself; any other request ends here, before it reaches a page.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit

from flask import Blueprint, Request, Response, abort, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app import caller
from app.console.access import WAIT_S, Access
from app.console.sessions import PATH, Sessions, Visitor
from app.settings import Settings

READ_LIMIT_S: Final = 2.0
"""How long the database may work on a page: pages take nothing from callbacks."""

MOST_FORM_BYTES: Final = 64 * 1024

LOGIN: Final = f"{PATH}/login"

OPEN: Final = frozenset({"console.login", "console.enter", "console.static"})
"""Endpoints for whoever is not signed in."""

HARMLESS: Final = frozenset({"console.logout", "console.request_check"})
"""Endpoints of POSTs that a reader may send, too."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # With no-referrer browsers would send `Origin: null`.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_BEARER: Final = "bearer "


def visitor() -> Visitor:
    """Who sends the present request; there is somebody on every page but the login's."""
    found: Visitor = g.visitor
    return found


def install(
    console: Blueprint, access: Access, sessions: Sessions, configured: Settings, clock: Callable[[], datetime]
) -> None:
    """Put the guard before everything of the blueprint."""

    @console.before_request
    def admit() -> AnyResponse | None:
        request.max_content_length = request.max_form_memory_size = MOST_FORM_BYTES
        caller.read_limit_s.set(READ_LIMIT_S)
        g.visitor, g.now = None, clock()
        if request.endpoint == "console.static":
            return None
        is_change = request.method not in ("GET", "HEAD", "OPTIONS")
        if token := bearer(request.headers.get("Authorization", "")):
            g.visitor = _by_token(access, token)
        elif request.endpoint not in OPEN:
            g.visitor = sessions.visitor(request.headers.get("Cookie", ""))
            if g.visitor is None:
                if is_change:
                    abort(401, "Sign in first; nothing was done.")
                return redirect(f"{LOGIN}?next={quote(_address(request))}", 303)
        if is_change:
            _allow_change(configured)
        return None

    @console.after_request
    def protect(reply: Response) -> Response:
        reply.headers.update(HEADERS)
        if request.endpoint != "console.static" or reply.status_code >= 400:
            reply.headers["Cache-Control"] = "no-store"
        return reply

    @console.teardown_request
    def give_back_time(_error: BaseException | None) -> None:
        caller.read_limit_s.set(None)


def _by_token(access: Access, token: str) -> Visitor:
    role = access.role_of(token)
    if role is None:
        keep_waiting(access)
        abort(401, "The token is wrong.")
    return Visitor(request.headers.get("X-Operator", "").strip() or "Bearer", role)


def keep_waiting(access: Access) -> None:
    """The present request brought a wrong token: count it, and keep the answer where there are too many of them."""
    if access.count_wrong(request.remote_addr or ""):
        request.environ[caller.ANSWER_AFTER_S] = WAIT_S


def _allow_change(configured: Settings) -> None:
    """End the request where it may not change anything: 403, or 400 for a form that is none of ours."""
    found: Visitor | None = g.visitor
    if found is not None and not found.role.may_act and request.endpoint not in HARMLESS:
        abort(403, "Your token shows and does not act; nothing was done.")
    if found is not None and not found.nonce:
        return  # no cookie is involved, so no other page can have sent it
    if not is_own_origin(request, configured.public_url):
        abort(
            403,
            "This form was not sent from a page at this server's PUBLIC_URL; nothing was done. Open the page there.",
        )
    if found is not None and not found.has_sent(request.form.get("form_token", "")):
        abort(400, "The form is too old or not from this session; go back, reload the page and send it again.")


def is_own_origin(request: Request, public_url: str) -> bool:
    """Whether a form was sent from a page of ours, as the browser says it.

    That is a page of PUBLIC_URL; without one, of the host the request is for, whose scheme the proxy alone knows.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") == "same-origin"
    if public_url:
        return origin == _origin(public_url)
    scheme, _, host = origin.partition("://")
    return scheme in ("http", "https") and host == request.host


def _origin(url: str) -> str:
    """As browsers write it: in lower case, and without the port that the scheme has anyway."""
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, usual) else "")


def way_back(target: str) -> str:
    """Where to go after the login: `target` if it is another page of the console, else the overview."""
    is_page = target.startswith(f"{PATH}/") and "//" not in target and "\\" not in target and target.isprintable()
    return target if is_page and not is_login(target) else f"{PATH}/"


def is_login(address: str) -> bool:
    """Whether it leads to the login's own page."""
    return address.partition("?")[0].rstrip("/") == LOGIN


def _address(request: Request) -> str:
    """The present page with its query, as it can stand in `next`."""
    query = request.query_string.decode("latin-1")
    path = quote(request.path)
    return path + (f"?{query}" if query else "")


def bearer(authorization: str) -> str:
    """The token that an Authorization header brings, "" for none."""
    return authorization[len(_BEARER) :].strip() if authorization[: len(_BEARER)].lower() == _BEARER else ""
