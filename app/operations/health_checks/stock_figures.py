"""Health of a channel's stock figures: whether what RetailOps states adds up (R13)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.channel_settings import Channel
from app.domain.findings import Finding
from app.gateways.capabilities import Gateways
from app.records import stock_disagreements
from app.records.database import Database
from app.records.stock_disagreements import StockDisagreement

_COUNTS: Mapping[str, str] = {
    "": "the lower of the two counts until stock_from of [[channel]] says which is right (top or details)",
    "top": 'quantity_available counts, for stock_from is "top"',
    "details": 'the sum counts, for stock_from is "details"',
}


_BY_LOCATION = "every vendor of this channel is sent stock by location, so the details count"


def of_channels(database: Database, channels: Iterable[Channel], gateways: Gateways) -> dict[str, list[Finding]]:
    """Channels whose pushes contradicted themselves, with an example.  Raises `DatabaseUnavailable`."""
    found: dict[str, list[Finding]] = {}
    with database.read() as connection:
        for channel in channels:
            noted = stock_disagreements.of_channel(connection, channel.key)
            if noted is not None:
                found[channel.name] = [_finding(channel, noted, is_by_location=_is_by_location(channel, gateways))]
    return found


def _is_by_location(channel: Channel, gateways: Gateways) -> bool:
    """Whether no vendor of the channel is sent one figure a SKU; a vendor that cannot be built may be one."""
    found = [gateways.get((channel.key, token)) for token in channel.gateways]
    return all(gateway is not None and (gateway.stock is None or gateway.stock.by_location) for gateway in found)


def _finding(channel: Channel, noted: StockDisagreement, *, is_by_location: bool) -> Finding:
    pushes = f"{noted.pushes} stock pushes" if noted.pushes > 1 else "1 stock push"
    counts = _BY_LOCATION if is_by_location else f"where one figure is sent, {_COUNTS[channel.stock_from]}"
    skus = f"{noted.skus} SKUs" if noted.skus > 1 else "1 SKU"
    sentence = (
        f"in {pushes}, last at {noted.last_at:%Y-%m-%d %H:%M} UTC for {skus}, quantity_available is not the sum of "
        f"quantity_detail: {noted.stated} and {noted.added_up} for SKU {noted.sku}; {counts}"
    )
    is_decided = is_by_location or channel.stock_from != ""
    return Finding("stock figures", "ok" if is_decided else "attention", sentence)
