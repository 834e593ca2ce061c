"""Money that goes back: held in the ledger first, then owed to the order's source (R10, R22, R23).

Cancellation, completion, return and credit meet here, so that all four draw on the same remainder of
each payment.  Everything runs inside T1 of the command, where one order is changed by one at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import combinations, count

import msgspec
from sqlalchemy import Connection

from app.channel.money import NEARLY, line_tolerance
from app.channel.services import carries_out
from app.domain.commands import PackageLine, Refund, RefundLine
from app.domain.events import Association
from app.gateways.capabilities import Gateway
from app.records import refunds
from app.records.outbox import Owed
from app.records.payment_ledger import Charge
from app.records.refunds import Entry

PROCESSING_TYPES = ("channel_payment", "channel_giftcert")
"""What an answer may say of who processes a payment (SDK contract, block P)."""

MOST_PIECES = 8
"""Pieces of completions up to which every choice of them is added up."""

_MOVERS = {"order_cancel": "refund_payment", "order_complete": "refund_payment", "order_returned": "return_order"}


def is_same_amount(one: Decimal, other: Decimal) -> bool:
    """True when the two differ by no more than RetailOps' floats may."""
    return abs(one - other) <= max(abs(one), abs(other)) * NEARLY


@dataclass(frozen=True)
class Purpose:
    """What a refund is for: which callback and natural key requested it, and what its calls and events name."""

    callback: str
    natural_key: str
    key: str
    """Names the refund at the vendor, with the number of its part behind it (see `part`)."""
    about: tuple[Association, ...] = ()
    to_store_credit: bool = False
    lines: tuple[RefundLine, ...] = ()
    units: tuple[PackageLine, ...] = ()
    """The returned or closed units, kept with the entry so that none is returned or paid twice."""
    matched: tuple[str, str] = ("", "")

    @property
    def source(self) -> tuple[str, str]:
        """What requests it: (callback, natural key)."""
        return self.callback, self.natural_key

    @property
    def verb(self) -> str:
        """The verb its calls are owed under."""
        return _MOVERS.get(self.callback, "credit_payment")

    def part(self, number: int) -> Purpose:
        """The refund's first, second... part; the returned units stand on the first, to be counted once.

        A whole return keeps its plain key.  Every other key is numbered, so that no two orders' keys meet.
        """
        if self.callback == "order_returned" and number == 1:
            return self
        return replace(self, key=f"{self.key}-{number}", units=self.units if number == 1 else ())

    def entry(
        self,
        order_refnum: str,
        charge: Charge | None,
        amount: Decimal,
        state: refunds.RefundState,
        rows: tuple[RefundLine, ...] = (),
    ) -> Entry:
        """A row of the ledger; its currency is the payment's, `rows` say what the amount is for."""
        return Entry(
            key=self.key,
            order_refnum=order_refnum,
            payment_refnum=charge.refnum if charge else "",
            callback=self.callback,
            natural_key=self.natural_key,
            amount=amount,
            currency_code=charge.currency_code if charge else "",
            state=state,
            is_store_credit=self.to_store_credit,
            lines=self.units,
            rows=rows,
            matched=self.matched,
        )


def hold(
    connection: Connection,
    channel: str,
    source: Gateway,
    charges: Sequence[Charge],
    money: Decimal,
    purpose: Purpose,
    now: datetime,
    entries: Iterable[Entry] = (),
) -> list[Owed]:
    """Hold `money` on these payments of one order, the first ones first, and give the calls to be owed.

    Holds less where less is left.  The parts are numbered around those that are in effect among the order's `entries`,
    for what a repeat pays is another refund.  Inside a write transaction that is serial for the order.
    """
    owed: list[Owed] = []
    in_effect = {entry.key for entry in entries if entry.is_in_effect}
    parts = (part for part in map(purpose.part, count(1)) if part.key not in in_effect)
    lines = list(purpose.lines)
    rest = money
    for charge in charges:
        amount = charge.left if is_same_amount(rest, charge.left) else min(rest, charge.left)
        if amount <= 0:
            continue
        part, taken = next(parts), _take(lines, amount)
        refunds.put(connection, channel, part.entry(charge.order_refnum, charge, amount, "owed", taken), now)
        body = Refund(
            order_refnum=charge.order_refnum,
            key=part.key,
            payment_refnum=charge.refnum,
            amount=amount,
            currency_code=charge.currency_code,
            to_store_credit=purpose.to_store_credit,
            lines=taken,
            # A cancellation says by itself how the order stands then.
            is_followed=purpose.callback != "order_cancel" and carries_out(source, "update_order"),
        )
        owed.append(Owed(source.token, purpose.verb, body, purpose.about))
        rest -= amount
        if rest <= 0:
            break
    return owed


def _take(lines: list[RefundLine], amount: Decimal) -> tuple[RefundLine, ...]:
    """As much of the lines as fits the amount, taken off them.

    Part of a line names the units it pays whole, or one while there are any.
    """
    taken = []
    while lines and amount > 0:
        line = lines.pop(0)
        if line.amount <= amount:
            taken.append(line)
            amount -= line.amount
            continue
        units = min(max(int(line.quantity * amount / line.amount), 1), line.quantity)
        taken.append(msgspec.structs.replace(line, amount=amount, quantity=units))
        rest = msgspec.structs.replace(line, amount=line.amount - amount, quantity=line.quantity - units)
        lines.insert(0, rest)
        break
    return tuple(taken)


def left_of(charges: Iterable[Charge]) -> Decimal:
    """What may still go back of these payments together."""
    return sum((charge.left for charge in charges), Decimal(0))


def covers(charges: Sequence[Charge], money: Decimal, line_count: int) -> bool:
    """True when these payments still bear the amount: all of it, or all but a minor unit for each line (R23)."""
    left = left_of(charges)
    if left <= 0:
        return False
    rounding = line_tolerance(line_count, charges[0].currency_code)
    return money <= left + rounding or is_same_amount(money, left)


def best_first(charges: Sequence[Charge], money: Decimal) -> list[Charge]:
    """The payments in the order to draw on: the newest that can bear it alone, else newest first."""
    alone = [charge for charge in charges if charge.left >= money or is_same_amount(charge.left, money)]
    return [alone[0]] if alone else list(charges)


def drawn(charges: Sequence[Charge], owed: Iterable[Owed]) -> list[Charge]:
    """The payments with what is left of them once these refunds are paid."""
    taken: defaultdict[str, Decimal] = defaultdict(Decimal)
    for item in owed:
        if isinstance(item.body, Refund):
            taken[item.body.payment_refnum] += item.body.amount
    return [replace(charge, left=charge.left - taken[charge.refnum]) for charge in charges]


def same_money(
    entries: Collection[Entry],
    callback: str,
    amount: Decimal,
    except_for: tuple[str, str],
    payments: Collection[str] | None = None,
) -> list[Entry] | None:
    """What `callback` has paid, or holds to pay, in one piece of this very amount, unless it was matched before (R23).

    `except_for` is the requesting source: its own earlier match does not count.  With `payments` only what goes
    back on these counts.  A match of one payment's part leaves the parts of the others to be matched.  Of a completion,
    which pays in several pieces, some of them together count, too.
    """
    spent = {(entry.matched, entry.payment_refnum) for entry in entries if entry.source != except_for}
    pieces: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        is_meant = payments is None or entry.payment_refnum in payments
        is_spent = (entry.source, "") in spent or (entry.source, entry.payment_refnum) in spent
        if entry.callback == callback and entry.is_in_effect and is_meant and not is_spent:
            pieces.setdefault(entry.source, []).append(entry)
    most = len(pieces) if callback == "order_complete" and len(pieces) <= MOST_PIECES else 1
    for size in range(1, most + 1):
        for chosen in combinations(pieces.values(), size):
            together = [entry for piece in chosen for entry in piece]
            if is_same_amount(sum((entry.amount for entry in together), Decimal(0)), amount):
                return together
    return None


def returned_units(entries: Iterable[Entry], except_for: tuple[str, str] = ("", "")) -> dict[str, int]:
    """Units returned by order line, leaving out one source and what came to nothing."""
    units: dict[str, int] = {}
    for entry in entries:
        counts = entry.is_in_effect or entry.state in ("recorded", "matched")
        if counts and entry.callback == "order_returned" and entry.source != except_for:
            for line in entry.lines:
                units[line.line_refnum] = units.get(line.line_refnum, 0) + line.quantity
    return units
