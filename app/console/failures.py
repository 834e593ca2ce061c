"""What people read where a page of the console cannot be shown or a form cannot be used."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, TooManyRequests

from app.console.guard import is_login
from app.console.rendering import shown
from app.errors import ChannelError
from app.operations.paging import UnknownPlace
from app.records.database import DatabaseBusy, DatabaseRefused, DatabaseUnavailable

_TITLES: Final = {
    400: "The form cannot be used", 401: "Sign in first", 403: "This was not done", 404: "There is no such page",
    409: "It has changed meanwhile", 413: "The form is too large", 429: "One at a time",
}  # fmt: skip

_NOWHERE: Final = "Nothing is kept under this address, or your token does not show it."


def add_to(console: Blueprint) -> None:
    """Answer every error inside the blueprint, and every address below it that is no page, with a page."""

    @console.route("/<path:_rest>", methods=["GET", "POST"], provide_automatic_options=False)
    def nowhere(_rest: str) -> Response:
        return _message(404, _TITLES[404], _NOWHERE)

    @console.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        status = error.code or 500
        said = _NOWHERE if status == 404 else error.description or error.name
        reply = _message(status, _TITLES.get(status, error.name), said)
        if isinstance(error, TooManyRequests) and error.retry_after is not None:
            reply.headers["Retry-After"] = str(error.retry_after)
        return reply

    @console.errorhandler(ChannelError)
    def failed(error: ChannelError) -> Response:
        if isinstance(error, DatabaseBusy) and "too long" in str(error):
            said = "It was broken off, for callbacks come first. Choose less: one channel, or a shorter time."
            return _message(503, "This took too long", said)
        if isinstance(error, UnknownPlace):
            said = "The value of after in the address is no place in this list: open the list again from its beginning."
            return _message(400, "There is no such place in the list", said)
        if isinstance(error, DatabaseRefused):
            return _message(400, "This cannot be looked for", "It holds characters that nothing kept here can have.")
        if isinstance(error, DatabaseUnavailable):
            said = f"Nothing was changed; try again in a moment. The reason: {error}."
            return _message(503, "The database cannot be used now", said)
        raise error


def _message(status: int, title: str, sentence: str) -> Response:
    return shown("message.html", status, title=title, sentence=sentence, form_at=_page_of_the_form())


def _page_of_the_form() -> str:
    """The page that the present request was sent from, as the browser says it, or "" where that is the login.

    The login looks whether it is ours.
    """
    _, slash, path = (request.referrer or "").partition("://")[2].partition("/")
    page = f"{slash}{path}"
    return "" if is_login(page) else page
