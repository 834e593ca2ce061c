"""A vendor that moves money, made for the tests of the refund ledger: its gateway, and its own HTTP server.

The server keeps accounts as a shop's payment processor would and checks every field of what it is sent, but
it pays each time it is asked: neither a repeated key nor an overdrawn payment is caught here unless `caps` is
set, so that a fault of the ledger shows as money.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import marshmallow.fields as mf
import msgspec

from app.domain import orders
from app.domain.commands import Acknowledgement, Cancellation, CommandBody, Completion, Package, Refund, Settlement
from app.domain.orders import Address, Candidate, OrderLine, OrderSketch, Payment, SketchLine
from app.errors import GatewayError, Refused
from app.gateways.calls import Accepted, Call, Health, NotOurs, Verb
from app.gateways.capabilities import CommandTarget, Gateway, MoneyMover, OrderSource
from app.gateways.vendor import Tools, Vendor
from app.options import option
from app.sandbox.server import RunningServer, serve
from app.transport.client import VendorClient
from app.transport.replies import raise_for

KEY = "till-key-0001"
CREATED_MS = 1_700_000_000_000


@dataclass
class Order:
    """An order as the shop keeps it."""

    refnum: str
    number: int
    currency: str
    lines: dict[str, tuple[str, int, Decimal]]
    payments: dict[str, tuple[str, Decimal, str]]
    state: str = "open"
    paid_out: list[dict[str, Any]] = field(default_factory=list)
    collected: list[dict[str, Any]] = field(default_factory=list)
    packages: dict[str, Any] = field(default_factory=dict)

    @property
    def money_in(self) -> Decimal:
        """What the customer has paid."""
        charged = [amount for kind, amount, _ in self.payments.values() if kind != "auth"]
        return sum([*charged, *(item["amount"] for item in self.collected)], Decimal(0))

    @property
    def money_out(self) -> Decimal:
        """What the customer has back, as money or as store credit."""
        return sum((item["amount"] for item in self.paid_out), Decimal(0))

    def out_of(self, payment: str) -> Decimal:
        return sum((item["amount"] for item in self.paid_out if item["payment"] == payment), Decimal(0))


class Till:
    """The shop behind the gateway."""

    def __init__(self, *, caps: bool = False, appears_after_s: float = 0.0) -> None:
        self.orders: dict[str, Order] = {}
        self.caps = caps
        self.appears_after_s = appears_after_s
        self._lock = threading.Lock()
        self._numbers = 0
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._held = 0

    @property
    def held(self) -> int:
        """POSTs that wait at the moment."""
        return self._held

    def hold(self) -> None:
        """Every POST waits until `let_go`, 20 s at most."""
        self._may_answer.clear()

    def let_go(self) -> None:
        """Answer what waits, and from then on at once."""
        self._may_answer.set()

    def sell(
        self,
        refnum: str,
        *,
        payments: Sequence[tuple[str, str]] = (("p1", "50.00"),),
        kind: str = "charge",
        currency: str = "USD",
        units: int = 2,
    ) -> Order:
        """An order of two lines, paid with these payments, oldest first."""
        total = sum((Decimal(amount) for _, amount in payments), Decimal(0))
        price = (total / (2 * units)).quantize(Decimal(1) if currency == "JPY" else Decimal("0.01"))
        lines = {"1": ("MUG", units, price), "2": ("TEA", units, (total - price * units) / units)}
        paid = {f"{refnum}-{name}": (kind, Decimal(amount), "Visa") for name, amount in payments}
        with self._lock:
            order = Order(refnum, len(self.orders), currency, lines, paid)
            self.orders[refnum] = order
        return order

    def app(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        """The shop's API."""
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size)
        if environ["REQUEST_METHOD"] == "POST":
            self._wait()
        with self._lock:
            status, said = self._answer(environ, body)
        start(status, [("Content-Type", "application/json")])
        return [msgspec.json.encode(said)]

    def _wait(self) -> None:
        with self._lock:
            self._held += 1
        self._may_answer.wait(20)
        with self._lock:
            self._held -= 1

    def _answer(self, environ: dict[str, Any], body: bytes) -> tuple[str, Any]:
        if environ.get("HTTP_X_TILL_KEY") != KEY:
            return "401 Unauthorized", {"error": "key"}
        method = environ["REQUEST_METHOD"]
        names = environ["PATH_INFO"].strip("/").split("/")[1:]
        if names == ["orders"] and method == "GET":
            return "200 OK", {"orders": [_shown(order) for order in self.orders.values() if order.state == "open"]}
        order = self.orders.get(names[1]) if len(names) > 1 else None
        if order is None:
            return "404 Not Found", {"error": "order"}
        if len(names) == 2 and method == "GET":
            return "200 OK", {"order": _shown(order)}
        if len(names) == 3 and method == "GET":
            kept = order.paid_out if names[2] == "refunds" else order.collected
            seen_by = time.monotonic() - self.appears_after_s
            return "200 OK", {"items": [_plain(item) for item in kept if item["at"] <= seen_by]}
        try:
            sent = msgspec.json.decode(body)
            handle = {
                "refunds": self._refund,
                "captures": self._capture,
                "packages": self._package,
                "state": self._state,
            }
            return handle[names[2]](order, sent)
        except (KeyError, IndexError, TypeError, ValueError, msgspec.DecodeError) as error:
            return "422 Unprocessable", {"error": str(error)}

    def _refund(self, order: Order, sent: dict[str, Any]) -> tuple[str, Any]:
        _only(sent, "key", "payment", "amount", "currency", "store_credit", "lines")
        amount = _money(sent["amount"], order, sent["currency"])
        _, charged, _ = order.payments[sent["payment"]]
        if not isinstance(sent["store_credit"], bool):
            raise ValueError("store_credit")
        parts = [_money(line["amount"], order, order.currency) for line in sent["lines"]]
        if sum(parts, Decimal(0)) > amount:
            raise ValueError("lines exceed the amount")
        if self.caps and order.out_of(sent["payment"]) + amount > charged:
            return "422 Unprocessable", {"error": "more than was charged"}
        self._numbers += 1
        made = {"id": f"rf-{self._numbers}", "key": sent["key"], "payment": sent["payment"], "amount": amount,
                "store_credit": sent["store_credit"], "lines": sent["lines"], "at": time.monotonic()}  # fmt: skip
        order.paid_out.append(made)
        return "201 Created", _plain(made)

    def _capture(self, order: Order, sent: dict[str, Any]) -> tuple[str, Any]:
        _only(sent, "key", "payment", "amount", "currency")
        amount = _money(sent["amount"], order, sent["currency"])
        kind, _, _ = order.payments[sent["payment"]]
        if kind != "auth":
            raise ValueError("this payment was charged at once")
        self._numbers += 1
        made = {"id": f"cp-{self._numbers}", "key": sent["key"], "payment": sent["payment"], "amount": amount,
                "at": time.monotonic()}  # fmt: skip
        order.collected.append(made)
        return "201 Created", _plain(made)

    def _package(self, order: Order, sent: dict[str, Any]) -> tuple[str, Any]:
        _only(sent, "key", "lines")
        if sent["key"] in order.packages:
            return "409 Conflict", {"error": "package"}
        order.packages[sent["key"]] = sent["lines"]
        return "201 Created", {}

    def _state(self, order: Order, sent: dict[str, Any]) -> tuple[str, Any]:
        _only(sent, "state")
        if sent["state"] not in ("acknowledged", "cancelled", "completed"):
            raise ValueError("state")
        order.state = sent["state"]
        return "200 OK", {}


def _only(sent: dict[str, Any], *names: str) -> None:
    if set(sent) != set(names) or (sent.get("key") is not None and not sent["key"]):
        raise ValueError("fields")


def _money(written: Any, order: Order, currency: str) -> Decimal:
    form = r"[0-9]+" if order.currency == "JPY" else r"[0-9]+\.[0-9]{2}"
    if currency != order.currency or not isinstance(written, str) or not re.fullmatch(form, written):
        raise ValueError("amount")
    amount = Decimal(written)
    if amount <= 0:
        raise ValueError("amount")
    return amount


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    return {"id": item["id"], "key": item["key"], "payment": item["payment"], "amount": str(item["amount"])}


def _shown(order: Order) -> dict[str, Any]:
    return {
        "id": order.refnum,
        "number": order.number,
        "currency": order.currency,
        "lines": [[name, sku, units, str(price)] for name, (sku, units, price) in order.lines.items()],
        "payments": [[name, kind, str(amount), card] for name, (kind, amount, card) in order.payments.items()],
    }


def serve_till(till: Till) -> RunningServer:
    """The shop on loopback."""
    return serve(till.app)  # type: ignore[arg-type]


@dataclass(frozen=True)
class TillOptions:
    """The table `[channel.till]`."""

    base_url: str = option(mf.String(), "Address of the shop.")
    repeat: str = option(mf.String(), "How its money verbs may be repeated: safe, lookup or never.", default="lookup")
    store_credit: bool = option(mf.Boolean(), "Whether it gives store credit.", default=True)
    patience_s: float = option(mf.Float(), "Longest wait for an answer, in seconds.", default=2.0)
    settle_s: float = option(mf.Float(), "How long a refund may stay invisible, in seconds.", default=0.2)


class TillAccount(OrderSource, CommandTarget, MoneyMover):
    """The shop's account: every verb that moves money is carried out."""

    token = "till"

    def __init__(self, options: TillOptions, client: VendorClient) -> None:
        repeat: Any = options.repeat
        self.verbs: Mapping[str, Verb | NotOurs] = {
            "acknowledge_order": Verb("safe"),
            "submit_shipment": Verb("safe"),
            "cancel_order": Verb("safe"),
            "complete_order": Verb("safe"),
            "settle_payment": Verb(repeat),
            "return_order": Verb(repeat),
            "refund_payment": Verb(repeat),
            "credit_payment": Verb(repeat, decided_by="vendor"),
        }
        self.gives_store_credit = options.store_credit
        self._client = client

    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[Candidate]]:
        rows = self._read("/orders", "", call)["orders"]
        found = [Candidate(row["id"], CREATED_MS + row["number"], _order(row)) for row in rows]
        for candidate in found:
            if since_ms is None or candidate.created_ms >= since_ms:
                yield [candidate]

    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[Candidate]:
        found = []
        for refnum in refnums:
            row = self._row(refnum, call)
            if row is not None:
                found.append(Candidate(refnum, CREATED_MS + row["number"], _order(row)))
        return found

    def find_order(self, refnum: str, call: Call) -> OrderSketch | None:
        row = self._row(refnum, call)
        if row is None:
            return None
        order = _order(row)
        lines = tuple(SketchLine(line.refnum, line.sku, line.quantity) for line in order.lines)
        return OrderSketch(refnum, lines, order.currency_code, order.payments)

    def check(self, call: Call) -> Health:
        try:
            self._read("/orders", "", call)
        except GatewayError as error:
            return Health("unreachable", error.message)
        return Health("connected")

    def acknowledge_order(self, wanted: Acknowledgement, call: Call) -> Accepted:
        return self._set_state(wanted.order_refnum, "acknowledged", call)

    def cancel_order(self, wanted: Cancellation, call: Call) -> Accepted:
        return self._set_state(wanted.order_refnum, "cancelled", call)

    def complete_order(self, wanted: Completion, call: Call) -> Accepted:
        return self._set_state(wanted.order_refnum, "completed", call)

    def submit_shipment(self, package: Package, call: Call) -> Accepted:
        body = {"key": package.key, "lines": [[line.line_refnum, line.quantity] for line in package.lines]}
        try:
            self._write("POST", "/orders/{id}/packages", package.order_refnum, body, call)
        except Refused as error:
            if error.code != "HTTP_409":
                raise
        return Accepted()

    def refund_payment(self, refund: Refund, call: Call) -> Accepted:
        body = {
            "key": refund.key,
            "payment": refund.payment_refnum,
            "amount": _written(refund.amount, refund.currency_code),
            "currency": refund.currency_code,
            "store_credit": refund.to_store_credit,
            "lines": [
                {"kind": line.kind, "line": line.line_refnum, "units": line.quantity,
                 "amount": _written(line.amount, refund.currency_code)} for line in refund.lines
            ],
        }  # fmt: skip
        made = self._write("POST", "/orders/{id}/refunds", refund.order_refnum, body, call)
        return Accepted(refnum=made["id"])

    def settle_payment(self, wanted: Settlement, call: Call) -> Accepted:
        body = {"key": wanted.key, "payment": wanted.payment_refnum, "currency": wanted.currency_code,
                "amount": _written(wanted.amount, wanted.currency_code)}  # fmt: skip
        made = self._write("POST", "/orders/{id}/captures", wanted.order_refnum, body, call)
        return Accepted(refnum=made["id"])

    def look_up(self, verb: str, body: CommandBody, call: Call) -> Accepted | None:
        assert isinstance(body, Refund | Settlement)
        kind = "captures" if isinstance(body, Settlement) else "refunds"
        items = self._read("/orders/{id}/" + kind, body.order_refnum, call)["items"]
        return next((Accepted(refnum=item["id"]) for item in items if item["key"] == body.key), None)

    def _set_state(self, refnum: str, state: str, call: Call) -> Accepted:
        self._write("PUT", "/orders/{id}/state", refnum, {"state": state}, call)
        return Accepted()

    def _row(self, refnum: str, call: Call) -> dict[str, Any] | None:
        try:
            row: dict[str, Any] = self._read("/orders/{id}", refnum, call)["order"]
        except Refused:
            return None
        return row

    def _read(self, path: str, refnum: str, call: Call) -> dict[str, Any]:
        try:
            return self._send("GET", path, refnum, None, call)
        except GatewayError as error:
            error.outcome_unknown = False
            raise

    def _write(self, method: str, path: str, refnum: str, body: Any, call: Call) -> dict[str, Any]:
        return self._send(method, path, refnum, msgspec.json.encode(body), call)

    def _send(self, method: str, path: str, refnum: str, body: bytes | None, call: Call) -> dict[str, Any]:
        reply = self._client.call(
            method, path, ids={"id": refnum} if refnum else None, json_body=body,
            deadline=call.deadline, kind=call.kind, request_id=call.request_id,
        )  # fmt: skip
        raise_for(reply)
        return reply.json_object()


def _written(amount: Decimal, currency: str) -> str:
    return f"{amount:.0f}" if currency == "JPY" else f"{amount:.2f}"


def _order(row: dict[str, Any]) -> orders.Order:
    return orders.Order(
        refnum=row["id"],
        created_at=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
        currency_code=row["currency"],
        ship_service_code="GROUND",
        shipping_address=Address(first_name="A", last_name="B", address1="1 Street", city="Austin",
                                       state_match="TX", postal_code="78701", country_match="US"),
        lines=tuple(
            OrderLine(name, sku, units, unit_price=Decimal(price)) for name, sku, units, price in row["lines"]
        ),
        payments=tuple(
            Payment(name, card, Decimal(amount), kind) for name, kind, amount, card in row["payments"]
        ),
    )  # fmt: skip


class TillVendor(Vendor):
    """See `vendor.Vendor`."""

    token = "till"
    options: type[Any] = TillOptions

    def faults(self, options: TillOptions) -> list[str]:
        return []

    def brings_orders(self, options: TillOptions) -> bool:
        return True

    def account_marks(self, options: TillOptions) -> list[Any]:
        return [options.base_url]

    def account(self, options: TillOptions) -> str:
        return "the till"

    def create(self, options: TillOptions, tools: Tools) -> Gateway:
        client = VendorClient(self.token, options.base_url, headers={"X-Till-Key": KEY}, patience_s=options.patience_s,
                    observe=tools.observe)  # fmt: skip
        account = TillAccount(options, client)
        return Gateway(
            self.token,
            account.check,
            commands=account,
            orders=account,
            money=account,
            settle_s=options.settle_s,
        )


VENDOR = TillVendor()
