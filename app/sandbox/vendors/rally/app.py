"""The Rally sandbox over HTTP: `/connector-api/v1` behaves as the vendor, `/sandbox` serves whoever plays its people.

`/sandbox` needs no key and is no part of Rally.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, g, request

from app.sandbox.bodies import Failure, Json, api_body, converted, json_answer, object_body, readable
from app.sandbox.host import Account, Vendor
from app.sandbox.page import Play
from app.sandbox.routes import ANY, Routes
from app.sandbox.vendors.rally import people
from app.sandbox.vendors.rally.answers import TOPICS
from app.sandbox.vendors.rally.checkout import run_checkout
from app.sandbox.vendors.rally.findings import in_lines
from app.sandbox.vendors.rally.people import ADMIN, OF_ONE, merchants
from app.sandbox.vendors.rally.sessions import BUTTON, CHECKOUT
from app.sandbox.vendors.rally.shop import FRONT, SHOP
from app.sandbox.vendors.rally.signing import HEADER, is_signed, signed_message
from app.sandbox.vendors.rally.state import SAMPLES, Copies, State
from app.sandbox.vendors.rally.step_requests import Checkout
from app.sandbox.vendors.rally.webhooks import receive, register_hook, remove_hook

BASE_PATH = "/connector-api/v1"


def _admit_connector(state: State, parts: Json) -> None:
    """Gives a route the `copies` of whose connector calls: first the key, then the signature, then its rate."""
    key = request.headers.get("X-API-KEY", "")
    copies = next((one for one in state.merchants.values() if key in one.merchant.api_keys), None)
    if copies is None:
        raise Failure(401, "Unauthenticated.")
    g.merchant = copies.merchant.organization_id
    message = signed_message(request.get_data(), request.query_string.decode("latin-1"))
    if not is_signed(copies.merchant.secret(key), message, request.headers.get(HEADER, "")):
        raise Failure(401, "Invalid HMAC signature")
    wait_s = state.wait_s(g.merchant, state.settings.rate_per_s)
    if wait_s:
        raise Failure(429, "Too Many Attempts.", retry_after_s=wait_s)
    parts["copies"] = copies


API = Routes(BASE_PATH, _admit_connector)


# One route for all: without key and signature the answer does not say which paths and methods there are.
@API.route(ANY, "/<path:path>")
def api(state: State, copies: Copies, path: str) -> Response:
    head, _, rest = path.strip("/").partition("/")
    if head == "hooks":
        return _answer_hooks(state, copies, rest)
    if head != "webhooks" or rest not in TOPICS.webhooks:
        raise Failure(404, "Not found")
    if request.method != "POST":
        raise Failure(405, "Method not allowed")
    g.found = receive(state, copies, rest, api_body(wrong_type=415, wrong_json=422))
    return json_answer({"data": {"received": True}}, 202)


@OF_ONE.route("POST", "/checkouts", is_locked=False)
def checkout(state: State, copies: Copies) -> Json:
    stated = converted(object_body(), Checkout)
    for rule in converted(object_body(has_decimals=False).get("faults", []), list[Json]):
        VENDOR.add_fault(state, {**rule, "merchant": copies.merchant.organization_id})
    return run_checkout(state, copies, stated)


class Rally(Vendor):
    """The sandbox of two merchants, with nothing of theirs yet: catalogue and orders come from the connector."""

    title = "Rally"
    base_path = BASE_PATH
    port_offset = 1
    places: Mapping[str, str] = {"The merchant's shop, to buy something": "/shop/"}
    accounts = tuple(
        Account(one.api_keys[0], one.organization_id, f"{one.name}, client id {one.client_id}")
        for one in SAMPLES.merchants
    )
    remembers = State
    routes = (ADMIN, OF_ONE, FRONT, SHOP, BUTTON, CHECKOUT, API)

    def refusal(self, state: State, failure: Failure) -> Response:
        errors = failure.errors if isinstance(failure.errors, Mapping) else {}
        g.problems = [failure.message, *in_lines(errors)]
        shown = {"errors": failure.errors} if failure.status == 422 else {}
        return json_answer({"message": failure.message, **shown}, failure.status)

    def describe_call(self, response: Response) -> Json:
        return {
            **super().describe_call(response),
            "direction": "received",
            "merchant": g.get("merchant"),
            "path": request.path.removeprefix(f"{BASE_PATH}/"),
            "body": readable(request.get_data()),
            "answer": readable(response.get_data()),
            "problems": g.get("problems", []),
            "warnings": g.found.warnings if "found" in g else [],
        }

    def add_fault(self, state: State, rule: Json, *, headers: Mapping[str, list[str]] | None = None) -> None:
        """`merchant`: the rule is for the connector of this one."""
        stated = dict(rule)
        if (organization_id := stated.pop("merchant", None)) is not None:
            with state.lock:
                headers = {"X-API-KEY": list(state.of_merchant(converted(organization_id, str)).merchant.api_keys)}
        super().add_fault(state, stated, headers=headers)

    def begin(self, state: State, first: Json) -> Json:
        state.clear()
        return merchants(state)

    def plays(self, state: State) -> list[Play]:
        return people.plays(state)


VENDOR = Rally()


def _answer_hooks(state: State, copies: Copies, hook_id: str) -> Response:
    match request.method, bool(hook_id):
        case "GET", False:
            return json_answer({"data": copies.hooks})
        case "POST", False:
            hook, g.found = register_hook(state, copies, api_body(wrong_type=415, wrong_json=422))
            return json_answer({"data": hook})
        case "DELETE", True:
            hook = remove_hook(copies, hook_id)
            if state.settings.delete_status == 204:
                return Response(status=204)
            return json_answer({"data": hook})
    raise Failure(405, "Method not allowed")
