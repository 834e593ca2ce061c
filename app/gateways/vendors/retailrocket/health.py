"""What `channel check` shows of a store: whether its key is taken, its feed, its purchases, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.domain.findings import Finding
from app.errors import GatewayError
from app.gateways.calls import Call, Health
from app.gateways.vendor import Tools
from app.gateways.vendors.retailrocket.api import TOKEN, Api
from app.gateways.vendors.retailrocket.offers import LONGEST_NAME
from app.gateways.vendors.retailrocket.store import Store
from app.records import catalogue, catalogue_sync
from app.records.feeds import FeedStore


@dataclass(frozen=True, eq=False, repr=False)
class StoreHealth:
    """One store's; `_feed` is None in Product API mode, `_reports_at` is "" where no purchases are reported."""

    _store: Store
    _api: Api
    _feed: FeedStore | None
    _tools: Tools
    _reports_at: str

    def check(self, call: Call) -> Health:
        findings = tuple(self._findings())
        try:
            self._api.read_nothing(call)
        except GatewayError as error:
            return Health.after(error, findings)
        return Health("connected", "", findings)

    def _findings(self) -> Iterator[Finding]:
        if self._reports_at:
            yield Finding("purchases", "ok", f"reported at {self._reports_at}")
        else:
            yield Finding("purchases", "off", "order_source is site: this server reports none")
        yield from self._of_feed(self._feed) if self._feed is not None else self._of_products()

    def _of_feed(self, feed: FeedStore) -> Iterator[Finding]:
        report, built_at, is_waiting = feed.report()
        options, channel, public_url = self._store.options, self._tools.shown_channel, self._tools.public_url
        address = f"{public_url or '<PUBLIC_URL>'}{options.feed_path(channel)}"
        if built_at is None:
            why = "the catalogue is empty: RetailOps' first catalog_push starts the first build"
            if self._has_products():
                why = "a running server builds it at once, without waiting for feed_delay_s"
            yield Finding("feed", "off", f"{address} answers 503, for it is not built yet; {why}")
            return
        said = f"{address}: {report.offers} offers, built {built_at:%Y-%m-%d %H:%M} UTC"
        if is_waiting:
            said += f", later changes are built {options.feed_delay_s:g} s after the first of them"
        true_address = f"{public_url}{options.feed_path(channel, is_masked=False)}" if public_url else ""
        yield Finding("feed", "ok", said, true_address, options.feed_token)
        if report.shortened_count:
            said = f"{report.shortened_count} names are longer than {LONGEST_NAME} characters and end in an ellipsis"
            yield Finding("shortened names", "ok", said)
        if report.left_out_count:
            why = ", ".join(dict.fromkeys(item.reason for item in report.left_out[:50]))
            message = f"{report.left_out_count} units are left out ({why}); `channel retailrocket feed` names them"
            yield Finding("left out", "attention", message)

    def _has_products(self) -> bool:
        with self._store.database.read() as connection:
            return bool(catalogue.roots_after(connection, self._store.channel, "", 1))

    def _of_products(self) -> Iterator[Finding]:
        with self._store.database.read() as connection:
            count = catalogue_sync.refused_count(connection, self._store.channel, TOKEN)
        if count:
            message = f"{count} products lack something or are refused; see `channel retailrocket products --refused`"
            yield Finding("refused", "attention", message)
