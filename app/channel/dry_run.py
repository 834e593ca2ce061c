"""Answers a caller that may only look: the test key (R2) or a pair of numbers that no channel has (R3).

Reads no record and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.channel.actions import action
from app.channel.order_json import order_json
from app.channel.services import CallbackResult
from app.contract.reading import amount, mapping
from app.contract.schemas import Callback, Reading
from app.domain.events import Event
from app.domain.orders import Address, Order, OrderLine


def answer_unreal(
    callback: Callback, body: Mapping[str, Any], reading: Reading, result: CallbackResult, *, is_configured: bool
) -> None:
    """Complete the result for the test key, or for a pair that no channel has (not `is_configured`)."""
    judge = getattr(action(callback.name), "entry_faults", None)
    if judge is not None and not reading.problems:
        result.events.extend(judge(action(callback.name).read(body, reading)))
    if not is_configured:
        message = "no channel of this server has this client_id and channel_info.id; nothing was done"
        result.events.insert(0, Event("error", "CHANNEL_NOT_CONFIGURED", message))
        return
    if reading.problems:
        return
    result.events.insert(0, Event("info", "DRY_RUN", "test key: the request was checked and nothing was done"))
    if callback.name == "order_pull":
        result.content["orders"] = [order_json(SYNTHETIC_ORDER)]
    if callback.name == "payment_credit":
        result.content["amount"] = max(amount(mapping(body.get("credit")).get("amount")), Decimal(0))
        result.content["refnum"] = "DRY-RUN"


SYNTHETIC_ORDER = Order(
    refnum="DRY-RUN-1",
    created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    currency_code="USD",
    ship_service_code="GROUND",
    shipping_address=Address(
        first_name="Test",
        last_name="Order",
        address1="1 Example Street",
        city="Austin",
        state_match="TX",
        postal_code="78701",
        country_match="US",
    ),
    lines=(OrderLine(refnum="1", sku="S12345", quantity=1, description="Example", unit_price=Decimal("10.00")),),
    full_name="Test Order",
    carries_money=False,
)
"""What `order_pull` gives for the public test key, so that a verifier has an order to look at (R2)."""
