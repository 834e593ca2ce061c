"""Retail Rocket as an observer: goods, stock flags and purchases, none of which can fail an order (R17, R29)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, cast

from app.domain.catalogue import ProductChange, ProductSent
from app.domain.commands import COMMANDS
from app.domain.orders import Order
from app.domain.purchases import Purchase
from app.domain.stock import StockChange, StockSent
from app.errors import GatewayError, Misconfigured, Refused
from app.gateways.interface import Accepted, Call, Finding, Gateway, Health, NotOurs, Tools, Verb
from app.gateways.vendors.retailrocket.api import TOKEN, Api, encode
from app.gateways.vendors.retailrocket.feed.builder import FeedBuilder
from app.gateways.vendors.retailrocket.full_resync import FullResync
from app.gateways.vendors.retailrocket.offers import LONGEST_NAME, Availability
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.gateways.vendors.retailrocket.product_api import Flags, ProductApi, read_flags
from app.gateways.vendors.retailrocket.purchases import Purchases
from app.records import catalogue, catalogue_sync
from app.records.feeds import FeedStore
from app.storefront import reservations

FACTS_AT_A_TIME: Final = 2000
"""In feed mode a change is only noted, so that many may be at once."""

_NOT_OURS: Final = NotOurs("info", "OBSERVER_ONLY", "Retail Rocket has no part in orders")


class RetailRocketGateway(Gateway):
    """One store of one channel."""

    token: ClassVar[str] = TOKEN
    is_observer: ClassVar[bool] = True
    takes_stock: ClassVar[bool] = True
    stock_can_move_at_vendor: ClassVar[bool] = False
    takes_catalog = True
    stock_shows_with_catalog = True

    def __init__(self, options: RetailRocketOptions, tools: Tools) -> None:
        """Raises `Misconfigured` without records, or when no key may be sent to one of the addresses."""
        if tools.database is None:
            raise Misconfigured("NO_RECORDS", "retailrocket: a feed and a ledger need the records")
        own = (tools.database, tools.channel, TOKEN)
        self._api = Api(options, tools)
        self._availability = Availability(options)
        self._clock = tools.clock
        self._feed_token = options.feed_token
        self._feed_path = options.feed_path(tools.shown_channel)
        self._true_feed_path = options.feed_path(tools.shown_channel, is_masked=False)
        self._feed_delay_s = options.feed_delay_s
        self._feed = FeedBuilder(options, *own, tools.clock) if options.mode == "feed" else None
        self._products = ProductApi(options, self._api, *own)
        self._full_resync = FullResync(options, *own, tools.clock)
        self._purchases = Purchases(options, self._api, *own, tools.clock)
        self._public_url = tools.public_url
        self._database = tools.database
        self._channel = tools.channel
        if options.reports_purchases:
            self.observes = "completion" if options.when == "completion" else "acknowledgement"
        # "once" is kept by the ledger of lines, which knows how often; the outbox only knows ever or never.
        report = Verb("safe" if options.purchase_repeat == "once" else "never")
        self._verbs: Mapping[str, Verb | NotOurs] = {
            **dict.fromkeys(COMMANDS, _NOT_OURS), "push_catalog": _NOT_OURS, "report_purchase": report,
        }  # fmt: skip
        if self._feed is not None:
            self.catalog_batch = self.stock_batch = FACTS_AT_A_TIME

    @property
    def verbs(self) -> Mapping[str, Verb | NotOurs]:  # type: ignore[override]
        return self._verbs

    @property
    def feed(self) -> FeedStore | None:
        """What is served; None in Product API mode."""
        return self._feed.store if self._feed else None

    @property
    def feed_token(self) -> str:
        """The secret part of the feed's address; "" where it has none."""
        return self._feed_token

    def push_catalog(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        """In feed mode no call is made: the feed is built anew."""
        if self._feed is None:
            return self._products.push_catalog(changes, call)
        self._feed.store.mark(self._clock())
        return [ProductSent(change.key, b"{}") for change in changes]

    def push_inventory(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """In feed mode the feed is built anew where a product came or went; quantities are no news."""
        flags = self._flags(changes)
        if self._feed is None:
            return self._products.push_inventory(changes, flags, call)
        if any(flags[change.sku] != read_flags(change.sent) for change in changes):
            self._feed.store.mark(self._clock())
        return [StockSent(change.sku, encode(flags[change.sku])) for change in changes]

    def _flags(self, changes: Sequence[StockChange]) -> dict[str, Flags]:
        with self._database.read() as connection:
            held = reservations.reserved_units(connection, self._channel, [change.sku for change in changes])
        return {change.sku: self._availability.of(change.level, held.get(change.sku, 0)) for change in changes}

    def tend(self, is_stopping: Callable[[], bool]) -> None:
        """Builds the feed when it is due; in Product API mode schedules a full resync after a change of form."""
        if self._feed is not None:
            self._feed.build_if_due(is_stopping)
        else:
            self._full_resync.schedule_if_due(is_stopping)

    def purchase_of(self, order: Order) -> Purchase | None:
        return self._purchases.of(order) if self.observes else None

    def report_purchase(self, wanted: Purchase, call: Call) -> Accepted:
        """See `Purchases.report`."""
        return self._purchases.report(wanted, call)

    def check(self, call: Call) -> Health:
        findings = self._findings()
        try:
            self._api.read_nothing(call)
        except (Misconfigured, Refused) as error:
            return Health("refused", error.message, findings)
        except GatewayError as error:
            return Health("unreachable", error.message, findings)
        return Health("connected", "", findings)

    def _findings(self) -> tuple[Finding, ...]:
        purchases = Finding("purchases", "ok" if self.observes else "off", _said_of_purchases(self.observes))
        if self._feed is None:
            return purchases, *self._refused()
        report, built_at, is_waiting = self._feed.store.report()
        address = f"{self._public_url or '<PUBLIC_URL>'}{self._feed_path}"
        if built_at is None:
            why = "the catalogue is empty: RetailOps' first catalog_push starts the first build"
            if self._has_products():
                why = "a running server builds it at once, without waiting for feed_delay_s"
            return purchases, Finding("feed", "off", f"{address} answers 503, for it is not built yet; {why}")
        said = f"{address}: {report.offers} offers, built {built_at:%Y-%m-%d %H:%M} UTC"
        if is_waiting:
            said += f", later changes are built {self._feed_delay_s:g} s after the first of them"
        true_address = f"{self._public_url}{self._true_feed_path}" if self._public_url else ""
        found = [purchases, Finding("feed", "ok", said, true_address, self._feed_token)]
        if report.shortened_count:
            said = f"{report.shortened_count} names are longer than {LONGEST_NAME} characters and end in an ellipsis"
            found.append(Finding("shortened names", "ok", said))
        if report.left_out_count:
            why = ", ".join(dict.fromkeys(item.reason for item in report.left_out[:50]))
            message = f"{report.left_out_count} units are left out ({why}); `channel retailrocket feed` names them"
            found.append(Finding("left out", "attention", message))
        return tuple(found)

    def _has_products(self) -> bool:
        with self._database.read() as connection:
            return bool(catalogue.roots_after(connection, self._channel, "", 1))

    def _refused(self) -> tuple[Finding, ...]:
        with self._database.read() as connection:
            count = catalogue_sync.refused_count(connection, self._channel, TOKEN)
        if not count:
            return ()
        message = f"{count} products lack something or are refused; see `channel retailrocket products --refused`"
        return (Finding("refused", "attention", message),)


def _said_of_purchases(observes: str) -> str:
    return f"reported at {observes}" if observes else "order_source is site: this server reports none"


def feed_of(gateway: Gateway) -> tuple[FeedStore, str] | None:
    """The feed of a gateway of this vendor, and the secret part of its address."""
    own = cast(RetailRocketGateway, gateway)
    return (own.feed, own.feed_token) if own.feed is not None else None
