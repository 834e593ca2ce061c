"""Works out the refunds of an order that is completed (R22) or cancelled.

Three sums, each worked out apart (`closed_money`): for units that `order_update` took off, for units that will not
ship, and, where nothing has shipped, for shipping.  Credits and returns that came for the same units count against
them, so that no statement is paid twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from app.channel import refunds
from app.channel.already_paid import COMPLETION, CREDIT, OFF, SHIPPING, Earlier, already_paid, shipping_credited
from app.channel.bought import cut, is_known, left_of
from app.channel.closed_money import Completed, Piece, worked_out
from app.channel.services import carries_out
from app.domain.commands import RefundLine
from app.domain.events import Event, about
from app.domain.order_arithmetic import ZERO
from app.gateways.capabilities import Gateway
from app.records import payment_ledger
from app.records import refunds as ledger
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed
from app.records.refunds import Entry


def give_back(
    connection: Connection, channel: str, source: Gateway, completed: Completed, now: datetime
) -> tuple[list[Owed] | None, list[Event]]:
    """The refunds of a completion, at most what is left of the payments, and what RetailOps should know.

    No list, and an error among the events, while it is not known whether a credit of the same money was paid.
    """
    order = completed.order
    money = source.money
    if money is None or not money.refunds_unshipped or not carries_out(source, "refund_payment"):
        return [], []
    payments = payment_ledger.charges(connection, channel, order.refnum)
    currency = payments[0].currency_code if payments else ""
    entries = ledger.of_order(connection, channel, order.refnum)
    sums = worked_out(completed, entries, currency)
    shipped = completed.shipped(Counter(refunds.returned_units(entries)))
    earlier = already_paid(order, entries, shipped, currency)
    held = _Held(order, entries, currency, sums.events)
    off = held.less_since_taken_off(sums.off, earlier)
    unshipped = held.less_returned(sums.unshipped, earlier)
    shipping = Piece()
    if money.refunds_unused_shipping and completed.is_all_closed and not completed.has_shipped:
        shipping = _shipping(order, entries, [sums.off, sums.unshipped])
    unshipped, shipping = held.less_credited(unshipped, shipping)
    if held.is_pending:
        message = "it is being found out whether a credit of the same amount was paid; send this completion again"
        return None, [Event("error", "CREDIT_PENDING", message, about("order_refnum", order.refnum))]
    held.keep(connection, channel, now)
    owed_back, left = off.amount + unshipped.amount + shipping.amount, refunds.left_of(payments)
    if owed_back > left and not refunds.is_same_amount(owed_back, left):
        message = "the units that will not ship cost more than is left of the payments; what is left goes back"
        held.events.append(Event("warning", "REFUND_CUT", message, about("order_refnum", order.refnum)))
    owed: list[Owed] = []
    unpaid = left_of(order, entries)
    for name, piece in ((OFF, off), ("", unshipped), (SHIPPING, shipping)):
        if piece.amount:
            rows = unpaid.fit(order, piece.rows, piece.amount) if is_known(order) else piece.rows
            unpaid = unpaid.less(rows)
            purpose = replace(_purpose(order, name), lines=rows, units=piece.units)
            owed += refunds.hold(connection, channel, source, refunds.drawn(payments, owed), piece.amount, purpose, now)
    return owed, held.events


def give_back_everything(
    connection: Connection, channel: str, source: Gateway, order: KnownOrder, purpose: refunds.Purpose, now: datetime
) -> list[Owed]:
    """Hold all that is left of an order, for its cancellation.

    What it is for is said where it is known what the order cost; else its source finds that out.
    """
    payments = payment_ledger.charges(connection, channel, order.refnum)
    money = refunds.left_of(payments)
    entries = ledger.of_order(connection, channel, order.refnum)
    if is_known(order) and order.shipping is not None:
        purpose = replace(purpose, lines=left_of(order, entries).rows(order, money))
    return refunds.hold(connection, channel, source, payments, money, purpose, now, entries)


def _purpose(order: KnownOrder, name: str) -> refunds.Purpose:
    """What a refund of the completion is for; a later completion's keys carry its ordinal (R9)."""
    refnum, ordinal = order.refnum, order.rejected.times + 1
    parts = [refnum, *([str(ordinal)] if ordinal > 1 else []), *([name] if name else [])]
    prefix = "ro-complete" if ordinal == 1 else f"ro-complete{ordinal}"
    key = "-".join([prefix, *([name] if name else []), refnum])
    return refunds.Purpose(COMPLETION, "/".join(parts), key, about("order_refnum", refnum))


def _shipping(order: KnownOrder, entries: Sequence[Entry], others: Iterable[Piece]) -> Piece:
    """What was paid for shipping and has not gone back, with what is left of its tax.

    What an earlier completion found paid by a credit has gone back.
    """
    left = left_of(order, entries)
    tax = left.tax - sum((piece.amount - piece.goods for piece in others), ZERO)
    rows = [RefundLine("shipping", left.shipping)]
    if left.shipping:
        rows.append(RefundLine("tax", max(min(order.shipping_tax, tax), ZERO)))
    credited, amounts = shipping_credited(order, entries), []
    for row in rows:
        part = min(row.amount, credited)
        credited -= part
        amounts.append(row.amount - part)
    return Piece(cut(rows, amounts))


class _Held:
    """What credits and returns have paid of a completion's sums; kept in the ledger once all is worked out."""

    def __init__(self, order: KnownOrder, entries: Sequence[Entry], currency: str, events: list[Event]) -> None:
        self._order = order
        self._entries = entries
        self._currency = currency
        self.events = events
        self.is_pending = False
        self._found: list[tuple[str, Piece, Sequence[Entry], Decimal, bool]] = []
        self._used: set[tuple[str, str]] = set()
        self._beyond = ZERO

    def less_since_taken_off(self, piece: Piece, earlier: Iterable[Earlier]) -> Piece:
        """Every credit since units were first taken off, and every return of such units, counts against them."""
        after = self._order.taken_off_after or 0
        if not piece.amount:
            return piece
        lines = {line.line_refnum for line in piece.units}
        counted = [
            item for item in earlier if item.first_id > after and (not item.names_units or item.units.keys() & lines)
        ]
        paid = sum((item.money for item in counted), ZERO)
        self._beyond = max(paid - piece.amount, ZERO)
        return self._less(OFF, piece, counted, "units that were taken off")

    def less_returned(self, piece: Piece, earlier: Iterable[Earlier]) -> Piece:
        """Returns of units that have not shipped count against units that will not ship."""
        lines = {line.line_refnum for line in piece.units}
        counted = [item for item in earlier if item.source not in self._used and item.units.keys() & lines]
        return self._less("", piece, counted, "units that will not ship") if piece.amount else piece

    def _less(self, name: str, piece: Piece, counted: Sequence[Earlier], what: str) -> Piece:
        paid = sum((item.money for item in counted), ZERO)
        if not paid:
            return piece
        rest = piece.less(paid, self._currency)
        message = f"{paid} was credited or returned for {what}, which cost {piece.amount}"
        message += "; nothing was paid again" if not rest.amount else f"; the rest of {rest.amount} goes back"
        self.events.append(Event("warning", "ALREADY_CREDITED", message, about("order_refnum", self._order.refnum)))
        for item in counted:
            self._note(name, piece, item.entries, item.money, is_whole=not rest.amount)
        return rest

    def less_credited(self, unshipped: Piece, shipping: Piece) -> tuple[Piece, Piece]:
        """A credit of the very amount, with the tax or without it, with shipping or for it alone, is the same money."""
        pieces = {"": unshipped, SHIPPING: shipping}
        for amount, names in (
            (unshipped.amount, [""]),
            (unshipped.goods, [""]),
            (unshipped.amount + shipping.amount, ["", SHIPPING]),
            (shipping.amount, [SHIPPING]),
        ):
            if not amount:
                continue
            open_ones = [entry for entry in self._entries if entry.source not in self._used]
            credit = refunds.same_money(open_ones, CREDIT, amount, ("", ""))
            if credit is None and not (self._beyond and refunds.is_same_amount(self._beyond, amount)):
                continue
            message = "a credit of the amount of the unshipped units was paid before; nothing was paid again"
            self.events.append(Event("warning", "ALREADY_CREDITED", message, about("order_refnum", self._order.refnum)))
            for name in names:
                part = pieces[name].amount if len(names) > 1 else amount
                if part:
                    self._note(name, pieces[name], credit or (), part, is_whole=True)
                pieces[name] = Piece()
            break
        return pieces[""], pieces[SHIPPING]

    def _note(self, name: str, piece: Piece, paying: Sequence[Entry], amount: Decimal, *, is_whole: bool) -> None:
        # A return is ours and will be paid; of a credit the vendor decides (R10).
        unsure = (entry for entry in paying if entry.callback == CREDIT and entry.state != "accepted")
        self.is_pending = self.is_pending or any(unsure)
        self._used |= {entry.source for entry in paying}
        self._found.append((name, piece, paying, amount, is_whole))

    def keep(self, connection: Connection, channel: str, now: datetime) -> None:
        """One row for each; where nothing is left to pay, the first one of a sum holds the units it is for."""
        seen: Counter[str] = Counter()
        for name, piece, paying, amount, is_whole in self._found:
            seen[name] += 1
            purpose = replace(_purpose(self._order, name), units=piece.units if is_whole and seen[name] == 1 else ())
            key = purpose.part(1).key if is_whole and seen[name] == 1 else f"{purpose.key}-m{seen[name]}"
            matched = paying[0].source if paying else ("", "")
            entry = replace(purpose.entry(self._order.refnum, None, amount, "matched"), key=key, matched=matched)
            ledger.put(connection, channel, entry, now)
