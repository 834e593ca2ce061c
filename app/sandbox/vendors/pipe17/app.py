"""The Pipe17 sandbox over HTTP: `/api/v3` behaves as the vendor, `/sandbox` serves whoever plays its people.

`/sandbox` needs no key and is no part of Pipe17.  Choices where the contract leaves them open: page of 100
unless told, at most 500 rows or array items, 404 for a missing object, 409 for a taken natural key and for
writing to a product another integration owns, 405 for verbs an entity has not, 400 for anything else wrong.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import requests
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.sandbox.faults import Faults, RunningServer, serve
from app.sandbox.vendors.pipe17 import fulfilling, masterdata, routing, stock
from app.sandbox.vendors.pipe17.admin import add_admin
from app.sandbox.vendors.pipe17.entities import ENTITIES, Entity
from app.sandbox.vendors.pipe17.fields import Failure, Json, refuse_problems
from app.sandbox.vendors.pipe17.listing import find_one, list_page, requested_keys, shown
from app.sandbox.vendors.pipe17.seed import seed
from app.sandbox.vendors.pipe17.state import DEFAULT_KEYS, ApiKey, State, decode, encode

BASE_PATH = "/api/v3"
MAX_ARRAY = 500
_ANY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_WEBHOOK_PATIENCE_S = 2.0

_CREATE: dict[str, Callable[[State, ApiKey, Json], Json]] = {
    "orders": routing.create_order,
    "shipments": fulfilling.create_shipment,
    "fulfillments": fulfilling.create_fulfillment,
    "inventory": stock.report,
    "products": masterdata.create_product,
    "locations": masterdata.create_location,
    "webhooks": masterdata.create_webhook,
    "returns": masterdata.create_return,
    "receipts": masterdata.create_receipt,
    "trackings": masterdata.create_tracking,
}
_UPDATE: dict[str, Callable[[State, ApiKey, Json, Json], Json]] = {
    "orders": routing.update_order,
    "shipments": fulfilling.update_shipment,
    "products": masterdata.update_product,
    "locations": masterdata.update_location,
    "integrations": masterdata.update_integration,
    "webhooks": masterdata.update_webhook,
    "returns": masterdata.update_return,
    "trackings": masterdata.update_tracking,
}

log = logging.getLogger(__name__)


def create_sandbox(
    keys: Sequence[ApiKey] = DEFAULT_KEYS,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    *,
    shipments: int = 12,
    rng_seed: int = 17,
    state_file: Path | None = None,
    faults: Faults | None = None,
) -> Flask:
    """A Pipe17 organisation: the one kept in `state_file` when there is one, else a freshly seeded one.

    `shipments` is the number of shipping requests that wait in the queue (see `seed`).
    """
    state = State(keys=tuple(keys), clock=clock, state_file=state_file)
    if not state.load():
        seed(state, shipments=shipments, rng_seed=rng_seed)
        state.save()
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # An id may hold any character, also two slashes.

    any_method: dict[str, Any] = {"methods": _ANY_METHOD, "provide_automatic_options": False}

    @app.route(f"{BASE_PATH}/<collection>", **any_method)
    @app.route(f"{BASE_PATH}/<collection>/<path:identifier>", **any_method)
    def api(collection: str, identifier: str | None = None) -> Response:
        with state.lock:
            try:
                return _answer(state, collection, identifier)
            except Failure as failure:
                return _failure(state, failure)
            finally:
                if request.method != "GET":
                    state.save()

    @app.errorhandler(HTTPException)
    def not_ours(error: HTTPException) -> Response:
        code = error.code or 500
        return _json({"success": False, "code": code, "message": error.name, "errors": [error.name]}, code)

    @app.after_request
    def record(response: Response) -> Response:
        if not request.path.startswith(BASE_PATH):
            with state.lock:
                _post_webhooks(state)
            return response
        collection, _, rest = request.path.removeprefix(BASE_PATH).strip("/").partition("/")
        template = f"{request.method} /{collection}" + ("/{id}" if rest else "")
        call = {
            "at": state.stamp(),
            "method": request.method,
            "path": request.full_path.rstrip("?"),
            "status": response.status_code,
            "request_id": request.headers.get("X-Request-Id", ""),
        }
        with state.lock:
            state.count_call(template, call)
            _post_webhooks(state)
        return response

    add_admin(app, state, faults if faults is not None else Faults(), fault_prefix=BASE_PATH)
    return app


def serve_pipe17(
    port: int = 0,
    *,
    shipments: int = 12,
    seed: int = 17,
    keys: Sequence[ApiKey] = DEFAULT_KEYS,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    state_file: Path | None = None,
) -> RunningServer:
    """The sandbox on loopback; its API is at `.url + "/api/v3"`.  Faults: `.faults` or `/sandbox/faults`."""
    faults = Faults()
    app = create_sandbox(keys, clock, shipments=shipments, rng_seed=seed, state_file=state_file, faults=faults)
    return serve(app, port=port, faults=faults)


def _answer(state: State, collection: str, identifier: str | None) -> Response:
    caller = _caller(state)
    entity = ENTITIES.get(collection)
    if entity is None:
        raise Failure(404, "unknown path")
    allowed = entity.methods["one" if identifier is not None else "collection"]
    if request.method not in allowed.split(", "):
        answer = _failure(state, Failure(405, f"{request.method} is not allowed here"))
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
    if request.method == "GET":
        keys = requested_keys(query)
        return _success({entity.singular: shown(find_one(state, entity, caller, identifier), entity, keys)})
    found = find_one(state, entity, caller, identifier)
    if request.method == "DELETE":
        state.delete(collection, found[entity.id_field])
        return _success({})
    body = _body()
    if not isinstance(body, dict):
        raise Failure(400, "the body must be an object")
    if collection == "shipments" and not body.keys().isdisjoint(("lineItems", "shippingAddress")):
        raise Failure(400, "a shipment cannot be edited: lineItems and shippingAddress are fixed")
    refuse_problems(body, entity.update)
    changed = _UPDATE[collection](state, caller, found, body)
    return _success({entity.singular: shown(changed, entity, "*")})


def _create(state: State, entity: Entity, caller: ApiKey) -> Response:
    body = _body()
    accepts = state.settings.post_accepts if entity.takes_array else "single"
    if isinstance(body, dict):
        if accepts == "array":
            raise Failure(400, "the body must be an array")
        created = _create_one(state, entity, caller, body)
        return _success({entity.singular: created}, state.settings.create_status)
    if accepts == "single":
        raise Failure(400, "the body must be an object")
    if not 1 <= len(body) <= MAX_ARRAY:
        raise Failure(400, f"the array must hold 1 to {MAX_ARRAY} items")
    results = []
    for item in body:
        try:
            made = _create_one(state, entity, caller, item)
            results.append({"status": "created", "message": "", entity.singular: made})
        except Failure as failure:
            results.append({"status": "failed", "message": failure.message, entity.singular: item})
    return _success({entity.path: results}, state.settings.create_status)


def _create_one(state: State, entity: Entity, caller: ApiKey, body: object) -> Json:
    if not isinstance(body, dict):
        raise Failure(400, "must be an object")
    refuse_problems(body, entity.create, entity.required)
    return shown(_CREATE[entity.path](state, caller, body), entity, "*")


def _caller(state: State) -> ApiKey:
    sent = request.headers.get("X-Pipe17-Key", "")
    caller = state.keys.get(sent)
    if caller is None:
        raise Failure(401, "X-Pipe17-Key is missing" if not sent else "X-Pipe17-Key is unknown")
    wait_s = state.wait_s(sent)
    if wait_s:
        raise Failure(429, "too many requests", [f"retry after {wait_s}"])
    return caller


def _body() -> Any:
    if request.mimetype != "application/json":
        raise Failure(400, "Content-Type must be application/json")
    try:
        body = decode(request.get_data())
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Failure(400, "the body is not JSON") from None
    if not isinstance(body, dict | list):
        raise Failure(400, "the body must be an object or an array")
    return body


def _success(fields: Json, status: int = 200) -> Response:
    return _json({"success": True, "code": status, **fields}, status)


def _failure(state: State, failure: Failure) -> Response:
    body = {"success": False, "code": failure.status, "message": failure.message, "errors": failure.errors}
    is_masked = state.settings.failures_as_200 and failure.status in (400, 404, 409)
    answer = _json(body, 200 if is_masked else failure.status)
    if failure.status == 429:
        answer.headers["Retry-After"] = failure.errors[0].rpartition(" ")[2]
    return answer


def _json(body: Json, status: int) -> Response:
    return Response(encode(body), status=status, mimetype="application/json")


def _post_webhooks(state: State) -> None:
    """Sends the notices noted since the last request, in a thread of their own: Pipe17 waits for nobody."""
    notices, state.notices = state.notices, []
    times = 2 if state.settings.webhooks_twice else 1
    posts = [
        (hook["url"], hook["apikey"], encode(notice))
        for notice in notices
        for hook in state.tables["webhooks"].values()
        if notice["entity"] in hook["topics"]
        for _ in range(times)
    ]
    if posts:
        threading.Thread(target=_send, args=(posts,), name="pipe17-webhooks", daemon=True).start()


def _send(posts: Sequence[tuple[str, str, bytes]]) -> None:
    with requests.Session() as session:
        session.trust_env = False
        for url, apikey, body in posts:
            headers = {"Content-Type": "application/json", "X-Pipe17-Key": apikey}
            try:
                session.post(url, body, headers=headers, timeout=_WEBHOOK_PATIENCE_S, allow_redirects=False)
            except requests.RequestException:
                log.info("a webhook's receiver did not answer")
