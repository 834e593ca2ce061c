"""Reports purchases to Retail Rocket, each order line at most once (contract 2.5, 4, 5)."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from app.domain.commands import COMMANDS
from app.domain.orders import Order
from app.domain.purchases import Purchase, bought_lines, by_product
from app.errors import GatewayError, Refused
from app.gateways.calls import Accepted, Call, NotOurs, Verb
from app.gateways.capabilities import CommandTarget, Observer
from app.gateways.vendors.retailrocket.api import TOKEN, Api
from app.gateways.vendors.retailrocket.feed.yml import amount
from app.gateways.vendors.retailrocket.offers import clean, plain
from app.gateways.vendors.retailrocket.store import Store
from app.gateways.wire_objects import encode
from app.records import catalogue
from app.records.report_ledger import ReportLedger

MOST_EVENTS: Final = 100
"""Of one batch, the contact included; the vendor names no number (contract 2.5)."""

MOST_BYTES: Final = 256 * 1024

MOST_FILE_BYTES: Final = 4 * 1024 * 1024
"""Of one upload of sales history (contract 2.8)."""

MOST_SENDS: Final = 2
"""With `purchase_repeat = "once"`: attempts of unknown outcome after which an operator has to look."""

_NOT_OURS: Final = NotOurs("info", "OBSERVER_ONLY", "Retail Rocket has no part in orders")

_SESSION: Final = re.compile(r"[0-9A-Za-z]{1,50}")
_EMAIL: Final = re.compile(r"[^\s@,\"]{1,64}@[^\s@,\"]{1,190}")
_OLD: Final = timedelta(hours=24)

log = logging.getLogger(__name__)

Lines = dict[int, tuple[int, Decimal]]
"""Product number -> units and unit price."""


class Purchases(CommandTarget, Observer):
    """Used by one delivery of a shopper at a time (contract 2.5: one call in flight for each visitor)."""

    def __init__(self, store: Store, api: Api) -> None:
        self._store = store
        self._options = store.options
        self._channel = store.channel
        self._api = api
        self._ledger = ReportLedger(store.database, store.channel, TOKEN)
        if self._options.reports_purchases:
            self.reports_at = self._options.when
        # "once" is kept by the ledger of lines, which knows how often; the outbox only knows ever or never.
        self._may_repeat = self._options.purchase_repeat == "once"
        report = Verb("safe" if self._may_repeat else "never")
        self.verbs = dict.fromkeys(COMMANDS, _NOT_OURS) | {"report_purchase": report}

    def purchase_of(self, order: Order) -> Purchase | None:
        """What is to be reported of the order; None where the store's currency is another."""
        if not self.reports_at:
            return None
        if order.currency_code.upper() != self._options.currency:
            self._note("an order is not reported to retailrocket: its currency is not the store's", order.refnum)
            return None
        email = order.email.strip().casefold()
        session = next((item.value for item in order.attributes if item.handle == self._options.session_attribute), "")
        return Purchase(
            order_refnum=order.refnum,
            shopper=self._shopper(order, email),
            ordered_at=order.created_at,
            currency_code=self._options.currency,
            lines=bought_lines(order),
            session=session if self._options.session_attribute and _SESSION.fullmatch(session) else "",
            email=email if self._options.consent and _EMAIL.fullmatch(email) else "",
        )

    def report_purchase(self, purchase: Purchase, call: Call) -> Accepted:
        """Send what has not been reported of the order.

        Raises a `GatewayError`; `Refused` OUTCOME_UNKNOWN when it may have been counted and may not be sent again.
        """
        lines = self._numbered(purchase)
        open_lines = self._ledger.open(purchase.order_refnum, lines)
        self._stop_in_doubt(purchase, open_lines)
        if not open_lines:
            return Accepted()
        if self._options.purchase_route == "csv":
            if purchase.email:
                self._send(purchase, open_lines, partial(self._upload, purchase, lines, list(open_lines), call))
            else:
                message = "an order without an e-mail address is not reported to retailrocket"
                self._note(message, purchase.order_refnum)
            return Accepted()
        if self._store.clock() - purchase.ordered_at > _OLD:
            self._note("a purchase older than a day is reported to retailrocket", purchase.order_refnum)
        for products, events in self._batches(purchase, {product: lines[product] for product in open_lines}):
            self._send(purchase, products, partial(self._api.send_events, events, call))
        return Accepted()

    def _send(self, purchase: Purchase, products: Collection[int], send: Callable[[], None]) -> None:
        try:
            with self._ledger.reporting(purchase.order_refnum, products, self._store.clock):
                send()
        except GatewayError as error:
            if error.outcome_unknown and self._may_repeat:
                self._stop_in_doubt(purchase, self._ledger.open(purchase.order_refnum, products))
            raise

    def _stop_in_doubt(self, purchase: Purchase, open_lines: Mapping[int, int]) -> None:
        """`open_lines` are attempts of unknown outcome by product."""
        doubtful = [product for product, attempts in open_lines.items() if attempts >= MOST_SENDS]
        if doubtful and self._may_repeat:
            self._ledger.settle(purchase.order_refnum, doubtful)
            message = "it was sent twice without a usable answer; it may have been counted, so an operator has to look"
            raise Refused("OUTCOME_UNKNOWN", message)

    def _numbered(self, purchase: Purchase) -> Lines:
        """Lines of one product together, at the mean of their prices (contract 2.4)."""
        skus = {line.sku for line in purchase.lines}
        with self._store.database.read() as connection:
            known = catalogue.of_skus(connection, self._channel, skus)
        unknown = [line.sku for line in purchase.lines if line.sku not in known]
        if unknown:
            what = f"{len(unknown)} lines are not reported to retailrocket: the catalogue does not have their SKUs"
            self._note(what, purchase.order_refnum, unknown[0])
        found = by_product(purchase.lines, {sku: unit.number for sku, (_, unit) in known.items()})
        return {product: (count, plain(price.normalize())) for product, (count, price) in found.items()}

    def _batches(self, purchase: Purchase, lines: Lines) -> list[tuple[list[int], list[Mapping[str, Any]]]]:
        contact = self._contact(purchase)
        batches: list[tuple[list[int], list[Mapping[str, Any]]]] = []
        size = MOST_BYTES
        for product, (units, price) in lines.items():
            event = {"order": self._event(purchase, product, units, price)}
            own_size = len(encode(event)) + 1
            if not batches or len(batches[-1][1]) == MOST_EVENTS or size + own_size > MOST_BYTES:
                batches.append(([], [contact]))
                size = len(encode(contact)) + 2
            batches[-1][0].append(product)
            batches[-1][1].append(event)
            size += own_size
        return batches

    def _contact(self, purchase: Purchase) -> Mapping[str, Any]:
        contact = {
            "sessionExternalId": purchase.session or purchase.shopper,
            "contactExternalId": purchase.shopper,
            "timestamp": _stamp(purchase.ordered_at),
        }
        if purchase.email:
            contact["email"] = purchase.email
        return {"setContact": contact}

    def _event(self, purchase: Purchase, product: int, units: int, price: Decimal) -> Mapping[str, Any]:
        event: dict[str, Any] = {
            "sessionExternalId": purchase.session or purchase.shopper,
            "productId": product,
            "quantity": units,
            "price": price,
            "transaction": clean(purchase.order_refnum),
            "timestamp": _stamp(purchase.ordered_at),
        }
        if self._options.purchase_stock_id:
            event["stockId"] = self._options.purchase_stock_id
        return event

    def _upload(self, purchase: Purchase, lines: Lines, products: list[int], call: Call) -> None:
        """The upload of sales history, for shops without sessions: its only key to a shopper is the e-mail."""
        rows = _csv_rows(purchase, {item: lines[item] for item in products})
        if len(rows) > MOST_FILE_BYTES:
            raise Refused("TOO_LARGE", "the order makes a file above the vendor's limit")
        self._api.upload_orders(rows, call)

    def _shopper(self, order: Order, email: str) -> str:
        """A keyed hash, 32 hex characters: letters and digits only, no personal data (contract 5)."""
        phone = re.sub(r"\D", "", order.phone_number)
        who = email or phone or f"order {order.refnum}"
        key = self._options.identity_key or self._options.api_key
        said = f"{self._options.partner_id}\n{who}"
        return hmac.new(key.encode(), said.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]

    def _note(self, message: str, refnum: str, sku: str = "") -> None:
        log.warning(message, extra={"channel": self._channel, "order": refnum, "sku": sku})


def _stamp(moment: datetime) -> str:
    """ISO 8601 with offset (contract 1.5)."""
    return moment.isoformat(timespec="seconds")


def _csv_rows(purchase: Purchase, lines: Lines) -> bytes:
    """A file without header: of each product a row, the time with its zone (contract 2.8)."""
    at = f"{purchase.ordered_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} +00"
    refnum, email = _quoted(purchase.order_refnum), _quoted(purchase.email)
    written = [
        f"{at},{refnum},{_quoted(str(product))},{_quoted(amount(price))},{email},{units}\n"
        for product, (units, price) in lines.items()
    ]
    return "".join(written).encode()


def _quoted(text: str) -> str:
    """One field on one line: the vendor shows quotes, and never how a line break would read."""
    plain = " ".join(clean(text).split())
    return '"' + plain.replace('"', '""') + '"'
