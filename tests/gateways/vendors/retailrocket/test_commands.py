"""`channel retailrocket` at 80 columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from app.gateways.vendors.retailrocket import commands as retailrocket
from app.records.feeds import LeftOut


def test_goods_left_out_of_a_feed_are_told_with_the_whole_reason(shown_at_80: Callable[[], list[str]]) -> None:
    units = (LeftOut("A-VERY-LONG-SKU-OF-A-MERCHANT-WHO-LIKES-LONG-SKUS-XL", "4711001", "without url, picture"),)
    built = datetime(2026, 2, 3, tzinfo=UTC)
    retailrocket._show([retailrocket.Feed("shop", "https://shop.example/f.xml", built, False, 3, 0, 7, units)])
    lines = shown_at_80()
    assert any(re.fullmatch(r"A-VERY-\S+…\S+-XL +4711001 +without url, picture", line) for line in lines), lines
    assert "6 more." in lines and any("[channel.catalog]" in line for line in lines)
