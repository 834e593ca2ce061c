"""The other side of the Rally sandbox: what shoppers, merchants and tests do, without any key.

The package's docstring lists every route, body and answer.
"""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import NAMESPACE_URL, uuid5

import msgspec
from flask import Flask, Response, request

from app.sandbox.faults import Faults
from app.sandbox.vendors.rally import objects
from app.sandbox.vendors.rally.answers import topic_named
from app.sandbox.vendors.rally.checkout import Checkout, run_checkout, take_step
from app.sandbox.vendors.rally.fields import Failure, Json, look_at
from app.sandbox.vendors.rally.state import Copies, Merchant, Settings, State, decode, encode
from app.sandbox.vendors.rally.webhooks import upsert_product
from app.sandbox.vendors.rally.wishes import Wish

_Kind = TypeVar("_Kind")
_MERCHANT = "/sandbox/merchants/<organization_id>"


def add_admin(app: Flask, state: State, faults: Faults, *, fault_prefix: str) -> None:
    """Adds `/sandbox/...` to the application; every change is saved before it is answered."""

    @app.errorhandler(Failure)
    def refused(failure: Failure) -> Response:
        return _json({"message": failure.message, "errors": failure.errors}, failure.status)

    @app.after_request
    def keep(response: Response) -> Response:
        if request.method != "GET":
            with state.lock:
                state.save()
        return response

    @app.get("/sandbox/state")
    def show_state() -> Response:
        with state.lock:
            merchants = {organization_id: state.view(organization_id) for organization_id in state.merchants}
            return _json({"settings": state.settings, "faults": faults.as_json(), "merchants": merchants})

    @app.route("/sandbox/settings", methods=["GET", "PUT"])
    def settings() -> Response:
        with state.lock:
            if request.method == "PUT":
                state.settings = _convert(msgspec.to_builtins(state.settings) | _plain_body(), Settings)
            return _json(state.settings)

    @app.route("/sandbox/faults", methods=["GET", "POST", "DELETE"])
    def rules() -> Response:
        if request.method == "POST":
            _add_fault(state, faults, _plain_body(), fault_prefix)
        elif request.method == "DELETE":
            faults.clear()
        return _json({"faults": faults.as_json()})

    @app.post("/sandbox/reset")
    def reset() -> Response:
        with state.lock:
            faults.clear()
            state.clear()
            return _json({"merchants": list(state.merchants.values())})

    @app.route("/sandbox/journal", methods=["GET", "DELETE"])
    def journal() -> Response:
        with state.lock:
            if request.method == "DELETE":
                state.clear_journal()
            wanted = request.args
            calls = [call for call in state.calls if all(str(call.get(name)) == wanted[name] for name in wanted)]
            warnings = [f"{call['path']}: {warning}" for call in calls for warning in call["warnings"]]
            return _json({"calls": calls, "counts": state.counts, "warnings": warnings})

    @app.route("/sandbox/merchants", methods=["GET", "POST"])
    def merchants() -> Response:
        with state.lock:
            if request.method == "POST":
                return _json({"merchant": _add_merchant(state, _body())})
            return _json({"merchants": list(state.merchants.values())})

    @app.route(_MERCHANT, methods=["GET", "PUT"])
    def merchant(organization_id: str) -> Response:
        with state.lock:
            stored = state.merchant(organization_id)
            if request.method == "GET":
                return _json(state.view(organization_id))
            changes = {**_body(), "organization_id": organization_id}
            changed = _convert(msgspec.to_builtins(stored) | changes, Merchant)
            _refuse_taken(state, changed)
            state.merchants[organization_id] = changed
            return _json({"merchant": changed})

    @app.get(f"{_MERCHANT}/<part>")
    def part(organization_id: str, part: str) -> Response:
        with state.lock:
            view = state.view(organization_id)
            if part not in view:
                raise Failure(404, "parts are " + ", ".join(view))
            return _json({part: view[part]})

    @app.get(f"{_MERCHANT}/orders/<path:order_id>")
    def order(organization_id: str, order_id: str) -> Response:
        with state.lock:
            return _json({"order": _find(state.view(organization_id)["orders"], order_id)})

    @app.get(f"{_MERCHANT}/carts/<path:cart_id>")
    def cart(organization_id: str, cart_id: str) -> Response:
        with state.lock:
            return _json({"cart": _find(state.view(organization_id)["carts"], cart_id)})

    @app.put(f"{_MERCHANT}/products/<path:product_id>")
    def product(organization_id: str, product_id: str) -> Response:
        given = _body().get("product")
        found = look_at(given, objects.product)
        if found.problems or not isinstance(given, dict) or given["external_id"] != product_id:
            raise Failure(400, "product must be a Product with the external_id of the path", found.problems)
        with state.lock:
            state.merchant(organization_id)
            upsert_product(state, state.copies[organization_id], given)
        return _json({"product": given})

    @app.post(f"{_MERCHANT}/steps/<path:topic>")
    def step(organization_id: str, topic: str) -> Response:
        if topic_named(topic) is None:
            raise Failure(404, "no such topic")
        wish = _convert(_body(), Wish)
        _require_merchant(state, organization_id)
        return _json(take_step(state, organization_id, topic, wish))

    @app.post(f"{_MERCHANT}/checkouts")
    def checkout(organization_id: str) -> Response:
        wanted = _convert(_body(), Checkout)
        _require_merchant(state, organization_id)
        for rule in _convert(_plain_body().get("faults", []), list[dict[str, Any]]):
            _add_fault(state, faults, {**rule, "merchant": organization_id}, fault_prefix)
        return _json(run_checkout(state, organization_id, wanted))


def _require_merchant(state: State, organization_id: str) -> None:
    with state.lock:
        state.merchant(organization_id)


def _add_fault(state: State, faults: Faults, rule: Json, fault_prefix: str) -> None:
    """Without a path of its own a rule would also hit the checkout page."""
    wanted = dict(rule)
    organization_id = wanted.pop("merchant", None)
    headers = {}
    if organization_id is not None:
        with state.lock:
            headers["X-API-KEY"] = list(state.merchant(_convert(organization_id, str)).api_keys)
    try:
        faults.add(wanted, within=fault_prefix, headers=headers)
    except ValueError as fault:
        raise Failure(400, str(fault)) from None


def _add_merchant(state: State, given: Json) -> Merchant:
    number = state.next_number("merchant") + len(state.merchants)
    made_up = {
        "organization_id": f"org-demo-{number}",
        "name": f"Demo merchant {number}",
        "client_id": str(uuid5(NAMESPACE_URL, f"https://rally.sandbox.example/added/{number}")),
        "api_keys": [f"rk_sandbox_demo_{number}"],
    }
    added = _convert({**made_up, **given}, Merchant)
    if added.organization_id in state.merchants:
        raise Failure(409, "organization_id is taken")
    _refuse_taken(state, added)
    state.merchants[added.organization_id] = added
    state.copies[added.organization_id] = Copies()
    return added


def _refuse_taken(state: State, wanted: Merchant) -> None:
    """A key or client id says which merchant it is, so no two may share one."""
    for other in state.merchants.values():
        is_other = other.organization_id != wanted.organization_id
        if is_other and (other.client_id == wanted.client_id or set(other.api_keys) & set(wanted.api_keys)):
            raise Failure(409, "api_keys or client_id belong to another merchant")


def _find(records: dict[str, Json], external_id: str) -> Json:
    if external_id not in records:
        raise Failure(404, "Rally knows no such one")
    return records[external_id]


def _convert(value: object, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        raise Failure(400, str(fault)) from None


def _body() -> Json:
    raw = request.get_data()
    try:
        body = decode(raw) if raw else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Failure(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Failure(400, "the body must be an object")
    return body


def _plain_body() -> Json:
    """Settings and rules hold seconds, not money: numbers are read as floats."""
    _body()
    raw = request.get_data()
    plain: Json = msgspec.json.decode(raw) if raw else {}
    return plain


def _json(body: Any, status: int = 200) -> Response:
    return Response(encode(body), status=status, mimetype="application/json")
