"""RetailOps' own API over HTTP, as far as certification needs it (contract 1.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import requests
from flask import Response, request

from app.contract.files import FIXTURES
from app.contract.schemas import load_contract
from app.sandbox.bodies import Failure, Json, json_answer
from app.sandbox.calls import call
from app.sandbox.host import Account, Options, Vendor, serve_sandbox
from app.sandbox.routes import Routes
from app.sandbox.server import RunningServer
from app.sandbox.state import State

CERTIFY_PATH = "/integration/channel/certify.json"

API_KEY = "sandbox+key+of+the+retailops+api"
"""The public key of the stand-in's API."""

_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Registered:
    """A channel RetailOps has certified: its handle, and one endpoint for each action."""

    handle: str = field(repr=False)
    endpoints: dict[str, str]

    @property
    def key(self) -> str:
        """What RetailOps is going to send: whatever follows the handle's last underscore."""
        return self.handle.rpartition("_")[2]

    def as_json(self) -> dict[str, Any]:
        """For people, so without the key."""
        return {"handle": f"{self.handle.rpartition('_')[0]}_***", "endpoints": self.endpoints}


class Certifier(State):
    """What RetailOps was requested to certify, and what it registered, for as long as it runs.

    For each action it sends the first fixture with the real key, which must give 200 and a valid answer, and
    then with `!!!` in front of the key, where everything but that counts as refused.
    """

    def __init__(self) -> None:
        self._contract = load_contract()
        super().__init__()

    def clear(self) -> None:
        super().clear()
        self.registered: list[Registered] = []
        self.received: list[Json] = []
        """The bodies of all requests, for tests."""
        self.keys_in_query: list[bool] = []
        """Where the key of each of them stood."""

    def view(self) -> Json:
        return {"registered": [registered.as_json() for registered in self.registered]}

    def held(self) -> dict[str, Sequence[Json]]:
        return {"registered channels": [registered.as_json() for registered in self.registered]}

    def certify(self, body: bytes, *, is_key_in_query: bool) -> Json:
        """Tries every action of the request; the answer, which is a 200 whatever it says.  Do not hold the lock."""
        try:
            received = msgspec.json.decode(body, type=dict[str, Any])
            key, target, name = (received[part] for part in ("integration_auth_key", "target_url", "integration_name"))
            actions: list[str] = received["supported_actions"]
        except (msgspec.MsgspecError, KeyError):
            return {"status": "error", "message": "the request cannot be read"}
        with self.lock:
            self.received.append(received)
            self.keys_in_query.append(is_key_in_query)
        results = [self._try(action, str(target), str(key)) for action in actions]
        if not all(result["status"] == "success" for result in results):
            return {"status": "error", "message": "not all actions passed", "action_results": results}
        handle = f"{str(name).upper().replace(' ', '_')}_{key}"
        with self.lock:
            self.registered.append(Registered(handle, {action: f"{target}/{action}" for action in actions}))
        return {"status": "success", "message": "channel registered", "action_results": results}

    def _try(self, action: str, target: str, key: str) -> dict[str, Any]:
        result = {"action": action, "version": 1, "target_url": f"{target}/{action}", "status": "error"}
        try:
            fixture = msgspec.json.decode((FIXTURES / f"{action}_v1_ex_1.json").read_bytes(), type=dict[str, Any])
        except OSError:
            return {**result, "message": "there is no such action"}
        try:
            problems = self._problems(action, target, {**fixture, "integration_auth_token": key})
            if problems:
                return {**result, "message": problems[0]}
            if not self._problems(action, target, {**fixture, "integration_auth_token": f"!!!{key}"}):
                return {**result, "message": "a wrong key was accepted"}
        except requests.RequestException as error:
            return {**result, "message": f"the server cannot be reached ({type(error).__name__})"}
        return {**result, "status": "success", "message": ""}

    def _problems(self, action: str, target: str, body: dict[str, Any]) -> Sequence[str]:
        reply = call("POST", f"{target}/{action}_v1", patience_s=_PATIENCE_S, data=msgspec.json.encode(body))
        if reply.status_code != 200:
            return [f"status {reply.status_code}, expected 200"]
        try:
            answer = msgspec.json.decode(reply.content)
        except msgspec.DecodeError:
            return ["the answer is not JSON"]
        return [problem.message for problem in self._contract.callbacks[action].judge(answer)]


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
