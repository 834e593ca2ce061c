"""What `channel check` shows of a store: whether its key is taken, its feed, its purchases, what is refused."""

from __future__ import annotations

from app.domain.findings import Finding
from app.errors import GatewayError, Misconfigured, Refused
from app.gateways.calls import Call, Health
from app.gateways.vendor import Tools
from app.gateways.vendors.retailrocket.api import TOKEN, Api
from app.gateways.vendors.retailrocket.offers import LONGEST_NAME
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.records import catalogue, catalogue_sync
from app.records.database import Database
from app.records.feeds import FeedStore


class StoreHealth:
    """One store's; `feed` is None in Product API mode."""

    def __init__(
        self,
        options: RetailRocketOptions,
        api: Api,
        feed: FeedStore | None,
        database: Database,
        tools: Tools,
        reports_at: str,
    ) -> None:
        self._api = api
        self._feed = feed
        self._database = database
        self._channel = tools.channel
        self._reports_at = reports_at
        self._feed_delay_s = options.feed_delay_s
        self._feed_token = options.feed_token
        self._feed_path = options.feed_path(tools.shown_channel)
        self._true_feed_path = options.feed_path(tools.shown_channel, is_masked=False)
        self._public_url = tools.public_url

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
        purchases = Finding("purchases", "ok" if self._reports_at else "off", _said_of_purchases(self._reports_at))
        if self._feed is None:
            return purchases, *self._refused()
        report, built_at, is_waiting = self._feed.report()
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
