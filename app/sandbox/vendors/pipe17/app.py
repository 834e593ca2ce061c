"""The Pipe17 sandbox over HTTP: `/api/v3` behaves as the vendor, `/sandbox` serves whoever plays its people.

`/sandbox` needs no key and is no part of Pipe17.  Choices where the contract leaves them open: page of 100
unless requested otherwise, at most 500 rows or array items, 404 for a missing object, 409 for a taken natural key
and for writing to a product another integration owns, 405 for verbs an entity has not, 400 for anything else wrong.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

import requests
from flask import Response, request

from app.sandbox.bodies import Failure, Json, api_body, encode, existing, json_answer
from app.sandbox.calls import call
from app.sandbox.host import Account, Vendor
from app.sandbox.page import Play
from app.sandbox.routes import ANY, Routes
from app.sandbox.server import RunningServer
from app.sandbox.vendors.pipe17 import fulfilments, people, writes
from app.sandbox.vendors.pipe17.entities import ENTITIES, Entity
from app.sandbox.vendors.pipe17.listing import find_one, list_page, requested_keys, shown
from app.sandbox.vendors.pipe17.samples import SAMPLES
from app.sandbox.vendors.pipe17.seed import fill
from app.sandbox.vendors.pipe17.state import ApiKey, Settings, State

BASE_PATH = "/api/v3"
MAX_ARRAY = 500
_WEBHOOK_PATIENCE_S = 2.0

log = logging.getLogger(__name__)


def _admit_key(state: State, parts: Json) -> None:
    """Gives a route its `caller`."""
    sent = request.headers.get("X-Pipe17-Key", "")
    caller = state.keys.get(sent)
    if caller is None:
        raise Failure(401, "X-Pipe17-Key is missing" if not sent else "X-Pipe17-Key is unknown")
    wait_s = state.wait_s(sent, state.settings.rate_per_s)
    if wait_s:
        raise Failure(429, "too many requests", [f"retry after {wait_s}"], retry_after_s=wait_s)
    parts["caller"] = caller


API = Routes(BASE_PATH, _admit_key)


class Pipe17(Vendor):
    """The sandbox of one organisation."""

    title = "Pipe17"
    base_path = BASE_PATH
    port_offset = 0
    accounts = tuple(Account(row["key"], row["integration"], row["meaning"]) for row in SAMPLES["keys"])
    remembers = State
    routes = (API, people.ROUTES)

    def error_body(self, status: int, message: str) -> Json:
        return {"success": False, "code": status, "message": message, "errors": [message]}

    def refusal(self, state: State, failure: Failure) -> Response:
        body = self.error_body(failure.status, failure.message)
        is_masked = state.settings.failures_as_200 and failure.status in (400, 404, 409)
        return json_answer(body | {"errors": failure.errors or body["errors"]}, 200 if is_masked else failure.status)

    def describe_call(self, response: Response) -> Json:
        collection, _, rest = request.path.removeprefix(BASE_PATH).strip("/").partition("/")
        counted_as = f"{request.method} /{collection}" + ("/{id}" if rest else "")
        path = request.full_path.rstrip("?")
        return {**super().describe_call(response), "path": path, "counted_as": counted_as}

    def after_call(self, state: State) -> None:
        _post_webhooks(state)

    def begin(self, state: State, first: Json) -> Json:
        for problem in self.shapes.problems("people.reset", first):
            raise Failure(400, str(problem))
        fill(state, shipments=first.get("shipments", 12), rng_seed=first.get("seed", 17))
        return {"shipments": len(state.tables["shipments"])}

    def change_settings(self, state: State, settings: Settings) -> None:
        had_engine, state.settings = state.settings.inventory_engine, settings
        if settings.inventory_engine and not had_engine:
            fulfilments.switch_engine_on(state)

    def plays(self, state: State) -> list[Play]:
        return people.plays(state)


VENDOR = Pipe17()


def serve_pipe17(port: int = 0, *, shipments: int = 12, seed: int = 17, **remembered: Any) -> RunningServer:
    """The organisation that a file keeps, else a freshly seeded one (see `seed.fill`); `remembered` as `Vendor.serve`
    takes it."""
    return VENDOR.serve(port, first={"shipments": shipments, "seed": seed}, **remembered)


@API.route(ANY, "/<collection>")
@API.route(ANY, "/<collection>/<path:identifier>")
def api(state: State, caller: ApiKey, collection: str, identifier: str | None = None) -> Response:
    """Any entity of the vendor's; `identifier` names one of a collection."""
    entity = existing(ENTITIES, collection, "unknown path")
    allowed = entity.methods["one" if identifier is not None else "collection"]
    if request.method not in allowed.split(", "):
        answer = json_answer(VENDOR.error_body(405, f"{request.method} is not allowed here"), 405)
        answer.headers["Allow"] = allowed
        return answer
    letter = {"POST": "c", "PUT": "u", "DELETE": "d"}.get(request.method, "l" if identifier is None else "r")
    if not caller.may(collection, letter):
        raise Failure(403, f"this key has no grant '{letter}' for {collection}")
    query = request.args.to_dict(flat=False)
    if request.method != "GET" and query:
        raise Failure(400, "a write takes no parameters")
    if request.method == "POST":
        return _create(state, entity, caller)
    if identifier is None:
        return _success(list_page(state, entity, caller, query))
    keys = requested_keys(query) if request.method == "GET" else "*"
    found = find_one(state, entity, caller, identifier)
    if request.method == "DELETE":
        state.delete(collection, found[entity.id_field])
        return _success({})
    if request.method == "PUT":
        found = writes.update(state, caller, entity, found, _body())
    return _success({entity.singular: shown(found, entity, keys)})


def _create(state: State, entity: Entity, caller: ApiKey) -> Response:
    def create(item: object) -> Json:
        return shown(writes.create(state, caller, entity, item), entity, "*")

    body = _body()
    accepts = state.settings.post_accepts if entity.takes_array else "single"
    if isinstance(body, dict):
        if accepts == "array":
            raise Failure(400, "the body must be an array")
        return _success({entity.singular: create(body)}, state.settings.create_status)
    if accepts == "single":
        raise Failure(400, "the body must be an object")
    if not 1 <= len(body) <= MAX_ARRAY:
        raise Failure(400, f"the array must hold 1 to {MAX_ARRAY} items")
    results = []
    for item in body:
        try:
            results.append({"status": "created", "message": "", entity.singular: create(item)})
        except Failure as failure:
            results.append({"status": "failed", "message": failure.message, entity.singular: item})
    return _success({entity.path: results}, state.settings.create_status)


def _body() -> Any:
    body = api_body()
    if not isinstance(body, dict | list):
        raise Failure(400, "the body must be an object or an array")
    return body


def _success(fields: Json, status: int = 200) -> Response:
    return json_answer({"success": True, "code": status, **fields}, status)


def _post_webhooks(state: State) -> None:
    """Sends the notices noted since the last request, in a thread of their own: Pipe17 waits for nobody."""
    notices, state.notices = state.notices, []
    posts = [
        (hook["url"], hook["apikey"], encode(notice))
        for notice in notices
        for hook in state.tables["webhooks"].values()
        if notice["entity"] in hook["topics"]
        for _ in range(2 if state.settings.webhooks_twice else 1)
    ]
    if posts:
        threading.Thread(target=_send, args=(posts,), name="pipe17-webhooks", daemon=True).start()


def _send(posts: Sequence[tuple[str, str, bytes]]) -> None:
    for url, apikey, body in posts:
        headers = {"Content-Type": "application/json", "X-Pipe17-Key": apikey}
        try:
            call("POST", url, patience_s=_WEBHOOK_PATIENCE_S, data=body, headers=headers)
        except requests.RequestException:
            log.info("a webhook's receiver did not answer")
