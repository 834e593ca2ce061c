"""What RetailOps' contract can carry of an order, for settings that would make orders it can never take (R33)."""

from __future__ import annotations

from typing import Final

RETAILOPS_CURRENCIES: Final = frozenset(
    {"AUD", "CAD", "CHF", "EUR", "GBP", "HKD", "JPY", "MXN", "NZD", "PLN", "SGD", "USD"}
)
"""The only codes an answer of `order_pull` may hold (SDK contract 2.5)."""

BLANK_SHIP_CODE: Final = "RetailOps takes no order whose ship_service_code is blank"
"""SDK contract 2.5: at least one character; only blanks name no shipping level either."""


def why_not_carried(currency_code: str) -> str:
    """The rule that an order's currency breaks, "" for one that RetailOps takes.  The code is not repeated."""
    if currency_code in RETAILOPS_CURRENCIES:
        return ""
    return f"RetailOps takes orders only in {', '.join(sorted(RETAILOPS_CURRENCIES))}"
