"""What `channel check` says of a channel's stock figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.gateways.interface import Finding
from app.records import stock_disagreements
from app.records.database import Database
from app.records.stock_disagreements import StockDisagreement
from app.settings import Channel

_COUNTS: Mapping[str, str] = {
    "": "the lower of the two counts until stock_from of [[channel]] says which is right (top or details)",
    "top": 'quantity_available counts, for stock_from is "top"',
    "details": 'the sum counts, for stock_from is "details"',
}


def of_channels(database: Database, channels: Iterable[Channel]) -> dict[str, list[Finding]]:
    """Channels whose pushes contradicted themselves, with an example.  Raises `DatabaseUnavailable`."""
    found: dict[str, list[Finding]] = {}
    with database.read() as connection:
        for channel in channels:
            noted = stock_disagreements.of_channel(connection, channel.name)
            if noted is not None:
                found[channel.name] = [_finding(channel, noted)]
    return found


def _finding(channel: Channel, noted: StockDisagreement) -> Finding:
    pushes = f"{noted.pushes} stock pushes" if noted.pushes > 1 else "1 stock push"
    sentence = (
        f"in {pushes}, last at {noted.last_at:%Y-%m-%d %H:%M} UTC for {noted.skus} SKUs, quantity_available is not the "
        f"sum of quantity_detail: {noted.stated} and {noted.added_up} for SKU {noted.sku}; where one figure is sent, "
        f"{_COUNTS[channel.stock_from]}"
    )
    return Finding("stock figures", "ok" if channel.stock_from else "attention", sentence)
