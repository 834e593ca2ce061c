"""What `channel check` shows of a store: whether its key is taken, its feed, its purchases, what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.domain.findings import Finding
from app.errors import GatewayError
from app.gateways.calls import Call, Health
from app.gateways.vendor import Tools
from app.gateways.vendors.retailrocket.api import TOKEN, Api
from app.gateways.vendors.retailrocket.offers import LONGEST_NAME
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.records import catalogue, catalogue_sync
from app.records.database import Database
from app.records.feeds import FeedStore

NO_PURCHASES: Final = Finding("purchases", "off", "order_source is site: this server reports none")


@dataclass(frozen=True, eq=False, repr=False)
class StoreHealth:
    """One store's; `_feed` is None in Product API mode, `_reports_at` is "" where no purchases are reported."""

    _options: RetailRocketOptions
    _api: Api
    _feed: FeedStore | None
    _database: Database
    _tools: Tools
    _reports_at: str

    def check(self, call: Call) -> Health:
        findings = self._findings()
        try:
            self._api.read_nothing(call)
        except GatewayError as error:
            return Health.after(error, findings)
        return Health("connected", "", findings)

    def _findings(self) -> tuple[Finding, ...]:
        said = f"reported at {self._reports_at}"
        purchases = Finding("purchases", "ok", said) if self._reports_at else NO_PURCHASES
        if self._feed is None:
            return purchases, *self._refused()
        report, built_at, is_waiting = self._feed.report()
        channel, public_url = self._tools.shown_channel, self._tools.public_url
        address = f"{public_url or '<PUBLIC_URL>'}{self._options.feed_path(channel)}"
        if built_at is None:
            why = "the catalogue is empty: RetailOps' first catalog_push starts the first build"
            if self._has_products():
                why = "a running server builds it at once, without waiting for feed_delay_s"
            return purchases, Finding("feed", "off", f"{address} answers 503, for it is not built yet; {why}")
        said = f"{address}: {report.offers} offers, built {built_at:%Y-%m-%d %H:%M} UTC"
        if is_waiting:
            said += f", later changes are built {self._options.feed_delay_s:g} s after the first of them"
        true_address = f"{public_url}{self._options.feed_path(channel, is_masked=False)}" if public_url else ""
        found = [purchases, Finding("feed", "ok", said, true_address, self._options.feed_token)]
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
            return bool(catalogue.roots_after(connection, self._tools.channel, "", 1))

    def _refused(self) -> tuple[Finding, ...]:
        with self._database.read() as connection:
            count = catalogue_sync.refused_count(connection, self._tools.channel, TOKEN)
        if not count:
            return ()
        message = f"{count} products lack something or are refused; see `channel retailrocket products --refused`"
        return (Finding("refused", "attention", message),)
