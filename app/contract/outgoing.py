"""The last look at an answer: one bad order must not cost RetailOps the whole page (SDK contract 1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from app.contract.problems import Problem
from app.contract.reading import opaque, text
from app.contract.schemas import Callback
from app.domain.texts import shortened
from app.errors import ChannelError

MESSAGE_LENGTH = 2000
"""Longest message of an event, in characters.  No contract names a limit; an alert is read by a person."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Held:
    """An order that was taken out of a page.  `problems` point into the order itself."""

    refnum: str
    problems: tuple[Problem, ...]


class Judged(dict[str, Any]):
    """A page of orders that is right, as `mend_page` gives it: only `encoded`, for its parts are of no more use."""

    def __init__(self, encoded: bytes) -> None:
        super().__init__()
        self.encoded = encoded


class BadAnswer(ChannelError):
    """An answer that RetailOps would throw away and that cannot be mended: a fault of ours."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def mend(callback: Callback, answer: dict[str, Any]) -> tuple[dict[str, Any], list[Held]]:
    """The answer as it may be sent, and the orders that had to be left out of it.

    An answer that is right is returned as it is.  Of a page of orders, those with problems are taken
    out.  Of events only the form is mended: text that is no text, a list that is absent, a message
    that is too long.  Raises `BadAnswer` for everything else.
    """
    answer = _with_mended_events(answer)
    problems = callback.check_answer(answer)
    if not problems:
        return answer, []
    orders = answer.get("orders")
    if not isinstance(orders, list):
        raise BadAnswer(problems)
    good: list[Any] = []
    held: list[Held] = []
    for order in orders:
        found = callback.check_answer({"next_page_token": "", "orders": [order]})
        if found:
            refnum = opaque(order.get("channel_order_refnum")) if isinstance(order, dict) else ""
            held.append(Held(refnum, tuple(problem.below("/orders/0") for problem in found)))
        else:
            good.append(order)
    answer = {**answer, "orders": good}
    problems = callback.check_answer(answer)
    if problems:
        raise BadAnswer(problems)
    return answer, held


def mend_page(callback: Callback, page: dict[str, Any]) -> tuple[Judged, list[Held]]:
    """As `mend`, for a page of orders that nobody has to judge again.

    It is encoded here, where the processor still has at hand what was looked through: later that takes twice as long.
    """
    mended, held = mend(callback, page)
    return Judged(_encode(mended)), held


def _with_mended_events(answer: dict[str, Any]) -> dict[str, Any]:
    events = answer.get("events")
    if not isinstance(events, list):
        return answer
    mended = [_mended_event(event) for event in events]
    return answer if mended == events else {**answer, "events": mended}


def _mended_event(event: Any) -> Any:
    if not isinstance(event, dict):
        return event
    mended = {key: value for key, value in event.items() if value is not None}
    for key in ("code", "message", "diagnostic_data"):
        if _is_number(mended.get(key)):
            mended[key] = text(mended[key])
    message = mended.get("message")
    if isinstance(message, str) and len(message) > MESSAGE_LENGTH:
        mended["message"] = shortened(message, MESSAGE_LENGTH)
    associations = mended.setdefault("associations", [])
    if isinstance(associations, list):
        mended["associations"] = [_mended_association(association) for association in associations]
    return mended


def _mended_association(association: Any) -> Any:
    if isinstance(association, dict) and _is_number(association.get("identifier")):
        return {**association, "identifier": text(association["identifier"])}
    return association


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
