"""What is settled before any command about an order: is there a source, does it do this, which order is meant."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from app.channel import orders
from app.channel.command import OrderAtSource, OrderUnknown
from app.channel.services import CallbackRequest, CallbackResult, carries_out
from app.contract.reading import OrderName
from app.domain.events import Association, Event
from app.errors import GatewayError
from app.gateways.calls import NotOurs
from app.gateways.capabilities import Gateway
from app.records import handed_out
from app.records.handed_out import KnownOrder

Act = Callable[[OrderAtSource], CallbackResult]


def for_known_order(
    request: CallbackRequest, verb: str, name: OrderName, act: Act, *, commands_read_it: bool = False
) -> CallbackResult:
    """The result of `act` for an order its source knows; otherwise the event that says why nothing was done.

    `commands_read_it`: all that `act` does is to carry out commands, of which each reads the order in its own T1.  Then
    it is read, or requested from its source, before them only where one of them does not find it.
    """
    source = request.order_source
    if source is None or not carries_out(source, verb):
        return CallbackResult([declined(source, verb, name)])
    return with_order(request, source, name, act, commands_read_it=commands_read_it)


def with_order(
    request: CallbackRequest, source: Gateway, name: OrderName, act: Act, *, commands_read_it: bool = False
) -> CallbackResult:
    """The result of `act` for the order the callback names; otherwise the event that says why nothing was done.

    Where RetailOps' number stands alone, the order is the one acknowledged under it.
    """
    refnum = name.refnum
    if not refnum:
        with request.services.database.read() as connection:
            found = handed_out.numbered(connection, request.channel.key, name.retailops_order_id)
        if len(found) > 1:
            message = "several orders were acknowledged under this RetailOps number; send channel_order_refnum"
            return CallbackResult([Event("error", "ORDER_AMBIGUOUS", message, name.association)])
        refnum = found[0] if found else ""
    if refnum and commands_read_it:
        with suppress(OrderUnknown):
            return _done(act, OrderAtSource(request, source, refnum))
    try:
        order = find_order(request, source, refnum) if refnum else None
    except GatewayError as error:
        return CallbackResult([unavailable_event(source, error, name.association)])
    if order is None:
        return CallbackResult([Event("error", "ORDER_UNKNOWN", "no such order on this channel", name.association)])
    return _done(act, OrderAtSource(request, source, order.refnum, order))


def _done(act: Act, order: OrderAtSource) -> CallbackResult:
    done = act(order)
    done.order_refnum = done.order_refnum or order.refnum
    return done


def find_order(request: CallbackRequest, source: Gateway, refnum: str) -> KnownOrder | None:
    """The order as remembered, or as its source shows; None when neither knows it.

    Raises `GatewayError` when it is not remembered and the source cannot be read.
    """
    channel = request.channel.key
    with request.services.database.read() as connection:
        order = handed_out.known_as_stated(connection, channel, [refnum]).get(refnum)
    if order is not None or source.orders is None:
        return order
    sketch = source.orders.find_order(refnum, request.call("question"))
    if sketch is None:
        return None
    with request.services.database.write(
        wait_s=max(request.deadline.left_s(), 1.0), serial=[f"{channel}/{refnum}"]
    ) as connection:
        orders.remember(connection, channel, sketch)
        return handed_out.known(connection, channel, [refnum])[refnum]


def declined(source: Gateway | None, verb: str, name: OrderName | None = None) -> Event:
    """The event that says why the channel's order source does not carry this verb out."""
    named = name.association if name else ()
    declared = source.commands.verbs.get(verb) if source else None
    if isinstance(declared, NotOurs):
        return Event(declared.event_type, declared.code, declared.message, named)
    return Event("error", "NO_ORDER_SOURCE", "this channel has no source of orders", named)


def unavailable_event(source: Gateway, error: GatewayError, named: tuple[Association, ...]) -> Event:
    """The order is not known here and its source cannot be read: nothing was done."""
    message = f"{source.token} cannot be asked about this order now; nothing was done, send again"
    return Event("error", error.code, message, named)
