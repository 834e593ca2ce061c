"""What a command about one order settles first: is there a source, does it do this, which order is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.channel import orders
from app.channel.result import CallbackResult
from app.channel.services import CallbackRequest, Services
from app.contract.reading import number, opaque
from app.domain.events import Association, Event, about
from app.errors import GatewayError
from app.gateways.calls import NotOurs, Verb
from app.gateways.capabilities import Gateway
from app.records import handed_out
from app.records.handed_out import KnownOrder

Carry = Callable[[Services, CallbackRequest, Gateway, KnownOrder], CallbackResult]


@dataclass(frozen=True)
class OrderName:
    """How a callback names its order: by the channel's number, by RetailOps', or by both; "" where not stated."""

    refnum: str
    retailops_order_id: str = ""

    @classmethod
    def read(cls, stated: Mapping[str, Any]) -> OrderName:
        """From the object of the payload that names the order."""
        return cls(opaque(stated.get("channel_order_refnum")), number(stated.get("retailops_order_id")))

    @property
    def association(self) -> tuple[Association, ...]:
        """What events about the order name, as far as the callback does."""
        return about("order_refnum", self.refnum) or about("order_id", self.retailops_order_id)


def for_known_order(
    services: Services, request: CallbackRequest, verb: str, name: OrderName, carry: Carry
) -> CallbackResult:
    """Run `carry` for an order its source knows; otherwise say why nothing was done."""
    result = CallbackResult()
    source = services.order_source(request.channel)
    if declined(services, request, verb, result, name) or source is None:
        return result
    return with_order(services, request, source, name, carry)


def with_order(
    services: Services, request: CallbackRequest, source: Gateway, name: OrderName, carry: Carry
) -> CallbackResult:
    """Run `carry` for the order the callback names; otherwise say why nothing was done.

    Where RetailOps' number stands alone, the order is the one acknowledged under it.
    """
    refnum = name.refnum
    if not refnum:
        with services.database.read() as connection:
            found = handed_out.numbered(connection, request.channel.key, name.retailops_order_id)
        if len(found) > 1:
            message = "several orders were acknowledged under this RetailOps number; send channel_order_refnum"
            return CallbackResult([Event("error", "ORDER_AMBIGUOUS", message, name.association)])
        refnum = found[0] if found else ""
    try:
        order = orders.find(services, request, refnum) if refnum else None
    except GatewayError as error:
        return CallbackResult([unavailable_event(source, error, name.association)])
    if order is None:
        return CallbackResult([Event("error", "ORDER_UNKNOWN", "no such order on this channel", name.association)])
    done = carry(services, request, source, order)
    done.order_refnum = done.order_refnum or order.refnum
    return done


def declined(
    services: Services, request: CallbackRequest, verb: str, result: CallbackResult, name: OrderName | None = None
) -> bool:
    """True when the channel's order source does not carry the verb out; the event that says so is added."""
    source = services.order_source(request.channel)
    declared = source.commands.verbs.get(verb) if source else None
    if isinstance(declared, Verb):
        return False
    named = name.association if name else ()
    if isinstance(declared, NotOurs):
        result.events.append(Event(declared.event_type, declared.code, declared.message, named))
    else:
        message = "this channel has no source of orders"
        result.events.append(Event("error", "NO_ORDER_SOURCE", message, named))
    return True


def unavailable_event(source: Gateway, error: GatewayError, named: tuple[Association, ...]) -> Event:
    """The order is not known here and its source cannot be asked: nothing was done."""
    message = f"{source.token} cannot be asked about this order now; nothing was done, send again"
    return Event("error", error.code, message, named)
