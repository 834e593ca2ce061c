"""One module per callback: `read` turns the validated body into our types, `carry_out` does what it requests."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any, Protocol, cast

from app.channel.command import Command
from app.channel.services import CallbackRequest, CallbackResult
from app.contract.schemas import Reading

Shape = Callable[[list[dict[str, Any]], CallbackResult], dict[str, Any]]
"""Makes the body of an answer of its events as JSON and of the callback's result."""


class Action(Protocol):
    """What a module of this folder offers."""

    def read(self, body: Mapping[str, Any], reading: Reading) -> Any:
        """The callback's own part of the body in our types.  Touches no record and no vendor."""

    def carry_out(self, payload: Any, request: CallbackRequest) -> CallbackResult:
        """Do it; the events and the content of the answer."""


class EntryAction(Action, Protocol):
    """One whose entries each stand alone: `read` takes all of the body that is needed."""

    def names(self, payload: Any) -> list[str]:
        """What each entry is named by."""

    def only(self, payload: Any, names: Collection[str]) -> Any:
        """`payload` with these entries alone."""


@cache
def action(callback: str) -> Action:
    """The module named like the callback."""
    return cast(Action, importlib.import_module(f"{__name__}.{callback}"))


@cache
def answer_shape(callback: str) -> Shape | None:
    """The module's `answer_json`, which it has where its answer holds more than events and a status."""
    return getattr(action(callback), "answer_json", None)


def entry_action(callback: str) -> EntryAction:
    """The same module, where the callback is a list of entries."""
    return cast(EntryAction, action(callback))


_OWED_BY: Mapping[str, str] = {
    "acknowledge_order": "order_acknowledge",
    "submit_shipment": "order_shipment_submit",
    "cancel_order": "order_cancel",
    "complete_order": "order_complete",
    "settle_payment": "order_settle_payment",
    "update_order": "order_update",
}
"""By verb the callback whose `COMMAND` says what the vendor's answer leaves in the records of orders."""


@cache
def command_of(verb: str) -> type[Command] | None:
    """The command that owes calls of this verb; None where their answers leave nothing in the records of orders."""
    callback = _OWED_BY.get(verb)
    found: type[Command] | None = importlib.import_module(f"{__name__}.{callback}").COMMAND if callback else None
    return found
