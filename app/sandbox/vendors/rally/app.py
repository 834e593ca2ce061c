"""The Rally sandbox over HTTP: `/connector-api/v1` behaves as the vendor, `/sandbox` serves whoever plays its people.

`/sandbox` needs no key and is no part of Rally.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, g, request

from app.sandbox.bodies import Failure, Json, api_body, converted, existing, json_answer, object_body, readable
from app.sandbox.host import Account, Vendor
from app.sandbox.page import Play
from app.sandbox.routes import ANY, Routes
from app.sandbox.vendors.rally import people
from app.sandbox.vendors.rally.answers import TOPICS
from app.sandbox.vendors.rally.checkout import run_checkout
from app.sandbox.vendors.rally.findings import in_lines
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
    by_key = {known: copies for copies in state.merchants.values() for known in copies.merchant.api_keys}
    copies = existing(by_key, key, "Unauthenticated.", status=401)
    g.merchant = copies.merchant.organization_id
    message = signed_message(request.get_data(), request.query_string.decode("latin-1"))
    if not is_signed(copies.merchant.secret(key), message, request.headers.get(HEADER, "")):
        raise Failure(401, "Invalid HMAC signature")
    if wait_s := state.wait_s(g.merchant, state.settings.rate_per_s):
        raise Failure(429, "Too Many Attempts.", retry_after_s=wait_s)
    parts["copies"] = copies


API = Routes(BASE_PATH, _admit_connector)


# One route for all: without key and signature the answer does not say which paths and methods there are.
@API.route(ANY, "/<path:path>")
def api(state: State, copies: Copies, path: str) -> Response:
    match request.method, *path.strip("/").split("/", 1):
        case "GET", "hooks":
            return json_answer({"data": copies.hooks})
        case "POST", "hooks":
            hook, g.found = register_hook(state, copies, api_body(wrong_type=415, wrong_json=422))
            return json_answer({"data": hook})
        case "DELETE", "hooks", hook_id:
            hook = remove_hook(copies, hook_id)
            return Response(status=204) if state.settings.delete_status == 204 else json_answer({"data": hook})
        case "POST", "webhooks", topic if topic in TOPICS.webhooks:
            g.found = receive(state, copies, topic, api_body(wrong_type=415, wrong_json=422))
            return json_answer({"data": {"received": True}}, 202)
        case _, "hooks", *_:
            raise Failure(405, "Method not allowed")
        case _, "webhooks", topic if topic in TOPICS.webhooks:
            raise Failure(405, "Method not allowed")
    raise Failure(404, "Not found")


@people.OF_ONE.route("POST", "/checkouts", is_locked=False)
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
    routes = (people.ADMIN, people.OF_ONE, FRONT, SHOP, BUTTON, CHECKOUT, API)

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
        return people.merchants(state)

    def plays(self, state: State) -> list[Play]:
        return people.plays(state)


VENDOR = Rally()
