"""What a person can play on Rally's page: a shopper buys what Rally was sent, through the merchant's own hooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.sandbox.bodies import Failure, Json
from app.sandbox.page import Field, Play, Result
from app.sandbox.vendors.rally.calling import Step
from app.sandbox.vendors.rally.checkout import run_checkout
from app.sandbox.vendors.rally.shop import units
from app.sandbox.vendors.rally.state import Copies, State
from app.sandbox.vendors.rally.step_requests import Checkout

MOST_PRODUCTS = 30
_QUANTITY = "quantity of "


def plays(state: State) -> list[Play]:
    """A checkout at each merchant that anything is known of, and at the first in any case."""
    known = [
        copies for place, copies in enumerate(state.merchants.values()) if not place or copies.hooks or copies.products
    ]
    return [_checkout(state, copies) for copies in known]


def _checkout(state: State, copies: Copies) -> Play:
    name, organization_id = copies.merchant.name, copies.merchant.organization_id

    def buy(form: Mapping[str, str]) -> Result:
        requested = Checkout(skus=_wanted(form), coupon=form.get("coupon") or None, is_paid="is_paid" in form)
        done = run_checkout(state, copies, requested)
        steps = [_row(step) for step in done["steps"]]
        if done["outcome"] == "good":
            paid = f"charged {done['charged']}" if requested.is_paid else "not paid"
            return Result(True, f"Order {done['order_id']} is placed, {paid}", steps)
        return Result(False, f"{steps[-1]['step']} was not good: {steps[-1]['why']}", steps)

    missing = _missing(copies)
    fields = [
        *(Field(f"{_QUANTITY}{sku}", label, "0", "number") for sku, label in _goods(copies)),
        Field("coupon", "Coupon code"),
        Field("is_paid", "The shopper pays", "on", "check"),
    ]
    about = f"A shopper of {name} ({organization_id}) makes a cart, gives an address, chooses shipping and pays."
    return Play(
        f"checkout-{organization_id}", "Play a checkout", missing or about, "" if missing else "Buy", fields, buy
    )


def _row(step: Step) -> Json:
    why = step.error or ""
    return {"step": step.topic, "status": step.status, "outcome": step.outcome, "why": why, "ms": step.duration_ms}


def _missing(copies: Copies) -> str:
    """What the connector has to do before anybody can buy, "" when all is there."""
    if not copies.hooks:
        return "No hook is registered yet: `channel rally hooks register` does it."
    if not copies.products:
        return "Rally knows no product yet: `channel send catalog_push`, then `channel send inventory_push`."
    return ""


def _goods(copies: Copies) -> Iterator[tuple[str, str]]:
    """SKU and what it is called, of the variants of the first products."""
    left, shown = copies.stock_by_sku(), list(copies.products)[:MOST_PRODUCTS]
    for variant in copies.variants():
        if variant.product_id in shown:
            stock = f", {left[variant.sku]} in stock" if variant.sku in left else ""
            yield variant.sku, f"{variant.title}: {variant.sku}, {variant.price}{stock}"


def _wanted(form: Mapping[str, str]) -> dict[str, int]:
    """Raises `Failure` 400."""
    filled = {name: value for name, value in form.items() if name.startswith(_QUANTITY) and value not in ("", "0")}
    if not filled:
        raise Failure(400, "say how many of which product")
    return {name.removeprefix(_QUANTITY): units(f"{name}:", value) for name, value in filled.items()}
