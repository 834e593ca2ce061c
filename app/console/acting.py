"""What every act has in common: a page that says what it would change, a reason, and a word when it is done."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from flask import Response, abort, request

from app.console.guard import visitor
from app.operations.operators import Operator, operator

DONE: Final = {
    "retried": "It is tried now; this page shows what comes of it.",
    "dropped": "It is given up.",
    "confirmed": "It counts as done by the vendor.",
    "bulk": "Done: {count}.",
    "some": "Done: {count}. The others had changed meanwhile or cannot be changed; look at the list.",
    "dismissed": "RetailOps is not sent it any more.",
    "released-next": "Released: the next request like it is carried out, once.",
    "released-free": "Released: its amount may be given back again.",
    "paused": "Paused: what would be sent to it waits.",
    "resumed": "Resumed: what has waited is sent now.",
    "erased": "What was kept of the person is erased; ids and amounts stay.",
    "erased-early": "It is erased: nothing personal was kept, and nothing will be.",
    "erased-log": "It is erased; SQLite's log is in use and overwrites it later.",
    "sent": "It is sent again as RetailOps stated it last.",
    "nothing": "There was nothing to change: it had been done already.",
    "requested": "A check is requested; the process that delivers runs it.",
    "too-soon": "A check was requested a moment ago; its result comes here.",
}
"""What a page says after an act, by the word in its address: no text of an address is ever shown."""


def who_acts(*, needs_reason: bool) -> tuple[Operator | None, str]:
    """The operator of the present form, or None and what is wrong with it."""
    try:
        found = operator(visitor().who, request.form.get("reason", ""))
    except ValueError as error:
        return None, f"Not done: {error}."
    if needs_reason and not found.reason:
        return None, "Not done: say why. The reason is kept with the act."
    return found, ""


def gone(address: str, done: str, count: int | None = None) -> Response:
    """To the page at this address, which says what was done."""
    query = {"done": done, **({"count": str(count)} if count is not None else {})}
    joined = "&" if "?" in address else "?"
    return Response(status=303, headers={"Location": f"{address}{joined}{urlencode(query)}"})


def notice() -> str:
    """What the present page has to say of an act that led to it."""
    said = DONE.get(request.args.get("done", ""), "")
    count = request.args.get("count", "")
    return said.format(count=count if count.isascii() and count.isdecimal() and len(count) < 7 else "some")


def changed(sentence: str) -> None:
    """End the request: what it would change is not as it was shown any more."""
    abort(409, sentence)
