"""What came back is told to an order source that gives no money back itself, where it wants to hear it (R24)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from app.channel import orders
from app.channel.commands import for_known_order
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.channel.running import Command, Plan, run
from app.channel.shipments import find_line
from app.deliveries.outbox import Owed
from app.errors import GatewayError
from app.gateways.interface import Gateway, Verb
from app.gateways.words import Event, RefundLine, ReturnedGoods, ReturnedLine, about

VERB = "record_return"


def record(
    desk: Desk, asked: Asked, source: Gateway, refnum: str, key: str, meaning: object, lines: Sequence[RefundLine]
) -> list[Event]:
    """Owe the source the returned units; its events, none where it does not want them.

    `key` names the return and `meaning` says what makes two requests the same; units are told as RetailOps
    counts them.  Raises `Rejected` 503 while the same return is being carried out elsewhere.
    """
    units = [line for line in lines if line.kind == "line_item" and line.quantity > 0]
    if not units or not isinstance(source.verbs.get(VERB), Verb) or not _is_wanted(source, asked):
        return []

    def carry(desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder) -> Outcome:
        named = about("order_refnum", order.refnum)
        goods = ReturnedGoods(order.refnum, key, tuple(_line(order, unit) for unit in units))
        owed = [Owed(source.token, VERB, goods, named)]

        def plan(connection: Connection) -> Plan:
            return Plan(owed=owed)

        def correct(connection: Connection) -> Plan:
            message = "a return of this number was told before with other contents; the change is passed on"
            return Plan([Event("info", "RETURN_CORRECTED", message, named)], owed)

        command = Command(asked.callback.name, key, order.refnum, meaning, plan, correct)
        [events] = run(desk, asked, [command])
        return Outcome(events)

    return for_known_order(desk, asked, VERB, refnum, carry).events


def _is_wanted(source: Gateway, asked: Asked) -> bool:
    try:
        return source.records_returns(asked.call("question"))
    except GatewayError:
        return True


def _line(order: orders.KnownOrder, unit: RefundLine) -> ReturnedLine:
    known = find_line(order.lines, unit.line_refnum, unit.sku)
    if known is None:
        return ReturnedLine("", unit.sku, unit.quantity, reason=unit.reason)
    return ReturnedLine(known.refnum, known.sku, unit.quantity, known.source_sku, unit.reason)
