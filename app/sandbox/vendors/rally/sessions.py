"""Checkout sessions: what the button opens (contract 5) and Rally's hosted page, on which the shopper pays.

The page asks the connector's hooks step by step: the cart, the address, shipping and coupon, then the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, after_this_request, request

from app.sandbox.bodies import Failure, Json, existing, readable
from app.sandbox.page import html, see_other
from app.sandbox.routes import Routes, own_pages_only
from app.sandbox.vendors.rally.checkout import Planned, lines_of_session, take_steps
from app.sandbox.vendors.rally.findings import look_at
from app.sandbox.vendors.rally.state import SAMPLES, Copies, State


def _open_to_browsers(state: State, parts: Json) -> None:
    """What pages of any merchant may call."""

    @after_this_request
    def open_door(answer: Response) -> Response:
        answer.headers["Access-Control-Allow-Origin"] = "*"
        answer.headers["Access-Control-Allow-Headers"] = "Content-Type"
        return answer


BUTTON = Routes("/api/v1/checkout/auth", _open_to_browsers)
CHECKOUT = Routes("/checkout", own_pages_only)


@BUTTON.route("OPTIONS", "")
def allow_session(state: State) -> Response:
    return Response(status=204)


@BUTTON.route("POST", "")
def open_session(state: State) -> Json:
    return begin_session(state, readable(request.get_data()), request.host_url)


@CHECKOUT.route("GET", "/<session_id>")
def show_checkout(state: State, session_id: str) -> Response:
    copies, session = _session(state, session_id)
    kept = copies.carts.get(session.get("paid_cart", ""))
    address = {**SAMPLES.address, **session.get("address", {})}
    shopper = {**SAMPLES.shopper, **session.get("customer", {})}
    shown: Json = {"cart": kept and kept["answer"], "address": address, "shopper": shopper}
    return html("shop_checkout.html", merchant=copies.merchant, session=session, countries=SAMPLES.countries, **shown)


@CHECKOUT.route("POST", "/<session_id>", is_locked=False)
def carry_on(state: State, session_id: str) -> Response:
    """A form of the page.  What it says is kept in the session, and goes to the connector's hooks."""
    with state.lock:
        copies, session = _session(state, session_id)
        plan = _plan(session, request.form)
        if session.get("order_id"):
            return see_other(request.path)  # paid: a second click changes nothing
        if request.form["act"] == "address":
            _keep_address(session, request.form)
    cart_id = session.get("paid_cart") or session["cart_id"]
    about = {name: session.get(name, {}) for name in ("customer", "address")}
    done = take_steps(state, copies, plan, cart_id, **about)
    last = done.steps[-1]
    with state.lock:
        if done.steps[0].is_good:
            session["paid_cart"] = done.cart_id
        session["message"] = "" if last.is_good else f"{last.topic}: {last.error}"
        if last.is_good and last.topic == "order/update":
            session["order_id"] = done.order_id
    return see_other(request.path)


def _session(state: State, session_id: str) -> tuple[Copies, Json]:
    by_session = {known: copies for copies in state.merchants.values() for known in copies.sessions}
    copies = existing(by_session, session_id, "no such checkout")
    return copies, copies.sessions[session_id]


def _plan(session: Json, form: Mapping[str, str]) -> list[Planned]:
    """The steps that one of the page's forms is for.  Raises `Failure` 404 for another."""
    match form.get("act"):
        case "address":
            lines = lines_of_session(session)
            has_cart = session.get("paid_cart") or session["cart_id"]
            return [("cart/fetch", {}) if has_cart else ("cart/create", {"line_items": lines}), ("cart/update", {})]
        case "choose":
            return [("cart/update", {"shipping": form.get("shipping", ""), "coupon": form.get("coupon", "").strip()})]
        case "pay":
            return [("order/create", {}), ("order/update", {"status": "paid"})]
    raise Failure(404, "there is no such form")


def _keep_address(session: Json, form: Mapping[str, str]) -> None:
    stated = {name: text.strip() for name, text in form.items()}
    names = ("first_name", "last_name")
    code = stated.get("country_code", "US")
    session["customer"] = {**SAMPLES.shopper, **{name: stated.get(name, "") for name in (*names, "email")}}
    places = (*names, "address1", "city", "province", "zip")
    country = {"country_code": code, "country": SAMPLES.countries.get(code, code)}
    session["address"] = {**SAMPLES.address, **{name: stated.get(name, "") for name in places}, **country}


def begin_session(state: State, body: Any, host_url: str) -> Json:
    """The storefront's call (contract 5).  Raises `Failure` 401 or 422; hold the state's lock."""
    found = look_at("Session", body)
    found.raise_problems()
    by_client = {copies.merchant.client_id: copies for copies in state.merchants.values()}
    copies = existing(by_client, body["client_id"], "Unauthenticated.", status=401)
    if not body.get("cart_id") and not body.get("line_items"):
        found.refuse("cart_id", "is required without line_items")
        found.raise_problems()
    session_id = body.get("checkout_session_id", "")
    if session_id not in copies.sessions:
        session_id = f"session-{state.next_number('session')}"
    copies.sessions[session_id] = {
        "checkout_session_id": session_id,
        "cart_id": body.get("cart_id", ""),
        "cart_currency": body.get("cart_currency", ""),
        "cart": body.get("cart"),
        "line_items": body.get("line_items", []),
        "at": state.stamp(),
    }
    return {"url": f"{host_url}checkout/{session_id}", "checkout_session_id": session_id}
