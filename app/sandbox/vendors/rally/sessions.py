"""Checkout sessions: what the button opens (contract 5) and Rally's hosted page, on which the shopper pays.

The page asks the connector's hooks step by step: the cart, the address, shipping and coupon, then the order.
"""

from __future__ import annotations

from typing import Any

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.rally.calling import Step
from app.sandbox.vendors.rally.checkout import lines_of_page, take_step
from app.sandbox.vendors.rally.findings import look_at
from app.sandbox.vendors.rally.state import SAMPLES, State
from app.sandbox.vendors.rally.step_requests import StepRequest


def begin_session(state: State, body: Any, host_url: str) -> Json:
    """The storefront's call (contract 5).  Raises `Failure` 401 or 422; hold the state's lock."""
    found = look_at("Session", body)
    found.raise_problems()
    merchant = next((one for one in state.merchants.values() if one.client_id == body["client_id"]), None)
    if merchant is None:
        raise Failure(401, "Unauthenticated.")
    if not body.get("cart_id") and not body.get("line_items"):
        found.refuse("cart_id", "is required without line_items")
        found.raise_problems()
    sessions = state.copies[merchant.organization_id].sessions
    session_id = body.get("checkout_session_id", "")
    if session_id not in sessions:
        session_id = f"session-{state.next_number('session')}"
    sessions[session_id] = {
        "checkout_session_id": session_id,
        "cart_id": body.get("cart_id", ""),
        "cart_currency": body.get("cart_currency", ""),
        "cart": body.get("cart"),
        "line_items": body.get("line_items", []),
        "at": state.stamp(),
    }
    return {"url": f"{host_url}checkout/{session_id}", "checkout_session_id": session_id}


class HostedCheckout:
    """One session's checkout, as Rally's page carries it on; each act is kept in the session."""

    def __init__(self, state: State, session_id: str) -> None:
        """Raises `Failure` 404."""
        self._state = state
        with state.lock:
            held = next((item for item in state.copies.items() if session_id in item[1].sessions), None)
            if held is None:
                raise Failure(404, "no such checkout")
            self.organization_id, copies = held
            self.merchant = state.merchant(self.organization_id)
            self.session = copies.sessions[session_id]

    @property
    def cart(self) -> Json | None:
        """The cart as the connector answered it last."""
        with self._state.lock:
            kept = self._state.copies[self.organization_id].carts.get(self.session.get("paid_cart", ""))
            answer: Json | None = kept["answer"] if kept else None
            return answer

    def act(self, what: str, form: Any) -> None:
        """Carry the checkout on: `address`, `choose` (shipping and coupon) or `pay`.  Raises `Failure` 400 or 404."""
        acts = {"address": self._address, "choose": self._choose, "pay": self._pay}
        if what not in acts:
            raise Failure(404, "there is no such form")
        if self.session.get("order_id"):
            return  # paid: a second click changes nothing
        self.session["message"] = ""
        step = acts[what](form)
        if not step.is_good:
            self.session["message"] = f"{step.topic}: {step.error}"

    def _address(self, form: Any) -> Step:
        country = form.get("country_code", "US")
        named = {name: form.get(name, "").strip() for name in ("first_name", "last_name")}
        self.session["customer"] = {**SAMPLES.shopper, **named, "email": form.get("email", "").strip()}
        self.session["address"] = {
            **SAMPLES.address, **named, "country_code": country, "country": SAMPLES.countries.get(country, country),
            **{name: form.get(name, "").strip() for name in ("address1", "city", "province", "zip")},
        }  # fmt: skip
        cart_id = self.session.get("paid_cart") or self.session["cart_id"]
        if cart_id:
            step = self._step("cart/fetch", cart=cart_id)
        else:
            lines = [line for item in self.session["line_items"] for line in lines_of_page(item)]
            step = self._step("cart/create", line_items=lines)
        if not step.is_good:
            return step
        self.session["paid_cart"] = step.answer["external_id"]
        return self._step("cart/update")

    def _choose(self, form: Any) -> Step:
        return self._step("cart/update", shipping=form.get("shipping", ""), coupon=form.get("coupon", "").strip())

    def _pay(self, form: Any) -> Step:
        step = self._step("order/create")
        if not step.is_good:
            return step
        order_id = step.answer["external_id"]
        step = self._step("order/update", order=order_id, status="paid")
        if step.is_good:
            self.session["order_id"] = order_id
        return step

    def _step(self, topic: str, **stated: Any) -> Step:
        known = {"cart": self.session.get("paid_cart", ""), "customer": self.session.get("customer", {}),
                 "address": self.session.get("address", {})}  # fmt: skip
        return take_step(self._state, self.organization_id, topic, StepRequest(**{**known, **stated}))
