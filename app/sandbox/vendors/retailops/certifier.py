"""RetailOps' own API over HTTP, as far as certification needs it (contract 1.8)."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import msgspec
import requests
from flask import Response, request

from app.contract.files import FIXTURES
from app.contract.schemas import load_contract
from app.sandbox.bodies import Failure, Json, json_answer
from app.sandbox.host import Account, Options, Vendor, serve_sandbox
from app.sandbox.routes import Routes
from app.sandbox.server import RunningServer
from app.sandbox.state import State
from app.sandbox.vendors.retailops.caller import RetailOps

CERTIFY_PATH = "/integration/channel/certify.json"

API_KEY = "sandbox+key+of+the+retailops+api"
"""The public key of the stand-in's API."""


class Certifier(State):
    """What RetailOps was requested to certify, and what it registered, for as long as it runs.

    For each action it sends the first fixture with the real key, which must give 200 and a valid answer, and
    then with `!!!` in front of the key, where everything but that counts as refused.
    """

    registered: list[Json]
    """Each channel as people see it: its handle without the key, and one endpoint for each action."""

    def clear(self) -> None:
        super().clear()
        self.keys: list[str] = []
        """What RetailOps is going to send to each of them: whatever follows the handle's last underscore."""
        self.received: list[Json] = []
        """The bodies of all requests, for tests."""
        self.keys_in_query: list[bool] = []
        """Where the key of each of them stood."""

    def certify(self, body: bytes, *, is_key_in_query: bool) -> Json:
        """Tries every action of the request; the answer, which is a 200 whatever it says.  Do not hold the lock."""
        try:
            received = msgspec.json.decode(body, type=dict[str, Any])
            key, target, name = (received[part] for part in ("integration_auth_key", "target_url", "integration_name"))
            actions: list[str] = received["supported_actions"]
            caller = RetailOps(str(target), str(key), 0, 0, load_contract())
        except (ValueError, KeyError):
            return {"status": "error", "message": "the request cannot be read"}
        with self.lock:
            self.received.append(received)
            self.keys_in_query.append(is_key_in_query)
        with closing(caller):
            results = [self._try(action, str(target), str(key), caller) for action in actions]
        if not all(result["status"] == "success" for result in results):
            return {"status": "error", "message": "not all actions passed", "action_results": results}
        shown, _, sent = f"{str(name).upper().replace(' ', '_')}_{key}".rpartition("_")
        with self.lock:
            endpoints = {action: f"{target}/{action}" for action in actions}
            self.registered.append({"handle": f"{shown}_***", "endpoints": endpoints})
            self.keys.append(sent)
        return {"status": "success", "message": "channel registered", "action_results": results}

    def _try(self, action: str, target: str, key: str, caller: RetailOps) -> Json:
        result = {"action": action, "version": 1, "target_url": f"{target}/{action}", "status": "error"}
        try:
            fixture = msgspec.json.decode((FIXTURES / f"{action}_v1_ex_1.json").read_bytes(), type=dict[str, Any])
        except OSError:
            return {**result, "message": "there is no such action"}
        try:
            reply = caller.send(action, {**fixture, "integration_auth_token": key})
            if reply.status != 200:
                return {**result, "message": f"status {reply.status}, expected 200"}
            if reply.problems:
                return {**result, "message": reply.problems[0].message}
            if caller.send(action, {**fixture, "integration_auth_token": f"!!!{key}"}).is_accepted:
                return {**result, "message": "a wrong key was accepted"}
        except requests.RequestException as error:
            return {**result, "message": f"the server cannot be reached ({type(error).__name__})"}
        return {**result, "status": "success", "message": ""}


def _refuse_other_keys(state: Certifier, parts: Json) -> None:
    # The SDK's tool writes the key into the query; RetailOps' own API has it in a header (contract 9).
    if (request.args.getlist("apikey") or [request.headers.get("apikey", "")]) != [API_KEY]:
        raise Failure(401, "the API key is not valid")


ROUTES = Routes("", _refuse_other_keys)


@ROUTES.route("POST", CERTIFY_PATH, is_locked=False)
def certify(state: Certifier) -> Json:
    """A 200 whatever it says."""
    return state.certify(request.get_data(), is_key_in_query="apikey" in request.args)


class RetailOpsApi(Vendor):
    """RetailOps' servers, which only certification calls; what they hold ends with them."""

    title = "RetailOps"
    port_offset = 2
    accounts = (Account(API_KEY, None, "the API key for `channel certify --retailops-url`"),)
    routes = (ROUTES,)

    def start(self, port: int, options: Options) -> RunningServer:
        return serve_certifier(port)[0]

    def error_body(self, status: int, message: str) -> Json:
        return {"ERROR": message, "ERRORCODE": "BAD_APIKEY" if status == 401 else "NOT_FOUND"}

    def http_error(self, status: int, name: str) -> Response:
        return json_answer(self.error_body(404, "no such method"), 404)


VENDOR = RetailOpsApi()


def serve_certifier(port: int = 0) -> tuple[RunningServer, Certifier]:
    """RetailOps' API on loopback, as far as certification needs it; port 0 takes a free one."""
    certifier = Certifier()
    return serve_sandbox(VENDOR, certifier, port=port), certifier
