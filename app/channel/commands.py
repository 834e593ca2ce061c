"""What a command about one order settles first: is there a source, does it do this, does it know the order."""

from __future__ import annotations

from collections.abc import Callable

from app.channel import orders
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.errors import GatewayError
from app.gateways.interface import Gateway, NotOurs, Verb
from app.gateways.words import Association, Event, about

Carry = Callable[[Desk, Asked, Gateway, orders.KnownOrder], Outcome]


def for_known_order(desk: Desk, asked: Asked, verb: str, refnum: str, carry: Carry) -> Outcome:
    """Run `carry` for an order its source knows; otherwise say why nothing was done."""
    outcome = Outcome()
    source = desk.order_source(asked.channel)
    if declined(desk, asked, verb, outcome, refnum) or source is None:
        return outcome
    named = about("order_refnum", refnum)
    try:
        order = orders.find(desk, asked, refnum)
    except GatewayError as error:
        outcome.events.append(unavailable_event(source, error, named))
        return outcome
    if order is None:
        outcome.add("error", "ORDER_UNKNOWN", "no such order on this channel", identifier=refnum)
        return outcome
    return carry(desk, asked, source, order)


def declined(desk: Desk, asked: Asked, verb: str, outcome: Outcome, refnum: str = "") -> bool:
    """True when the channel's order source does not carry the verb out; the event that says so is added."""
    source = desk.order_source(asked.channel)
    declared = source.verbs.get(verb) if source else None
    if isinstance(declared, Verb):
        return False
    if isinstance(declared, NotOurs):
        outcome.add(declared.event_type, declared.code, declared.message, identifier=refnum)
    else:
        outcome.add("error", "NO_ORDER_SOURCE", "this channel has no source of orders", identifier=refnum)
    return True


def unavailable_event(source: Gateway, error: GatewayError, named: tuple[Association, ...]) -> Event:
    """The order is not known here and its source cannot be asked: nothing was done."""
    message = f"{source.token} cannot be asked about this order now; nothing was done, send again"
    return Event("error", error.code, message, named)
