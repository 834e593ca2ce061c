"""The host of all sandboxes: a vendor says what is its own, and gets a server, faults, a journal, a file and a page."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask, Response, g, redirect, request
from werkzeug.exceptions import HTTPException

from app.sandbox.bodies import Failure, Json, api_body, converted, json_answer, object_body
from app.sandbox.page import Page, Play
from app.sandbox.routes import Routes, own_pages_only
from app.sandbox.server import RunningServer, serve
from app.sandbox.shapes import Shapes
from app.sandbox.state import State

_OWN_PATHS = ("/", "/sandbox", "/favicon.ico")


class Account(msgspec.Struct, frozen=True):
    """A public key of a sandbox, the integration it belongs to, and what it stands for."""

    key: str
    integration_id: str | None
    meaning: str


class Options(msgspec.Struct, frozen=True):
    """What the command line says to every sandbox; each takes what it knows."""

    state_file: Path | None = None
    shipments: int = 12
    seed: int = 17


class Vendor:
    """What a folder of `vendors` says of its sandbox, as `VENDOR` in its `__init__`.

    `title` is the vendor's name in the world.  Faults without a path of their own are for what is below
    `base_path`.  `port_offset`, which no other vendor has, is added to the first port of `channel sandbox`.
    """

    title: str
    base_path: str = ""
    port_offset: int
    accounts: Sequence[Account] = ()
    places: Mapping[str, str] = {}
    """Further pages for people: what each is, with its path."""
    wrong_body: int = 400
    """Status of a body that is not as its shape."""
    remembers: type[State] = State
    routes: Sequence[Routes] = ()
    """Its API, and below `/sandbox` what its people do; a `Failure` refuses a request."""

    @cached_property
    def shapes(self) -> Shapes:
        """What its API takes: `shapes.json` in its folder."""
        return Shapes(Path(inspect.getfile(type(self))).parent)

    def start(self, port: int, options: Options) -> RunningServer:
        """The sandbox as `channel sandbox` runs it, with what its file keeps.  Raises what `serve` does."""
        first = {"shipments": options.shipments, "seed": options.seed}
        return self.serve(port, first=first, state_file=options.state_file)

    def serve(self, port: int = 0, *, first: Json | None = None, **remembered: Any) -> RunningServer:
        """The sandbox on loopback, with what its file keeps; without one it begins as `first` says.  Port 0 takes a
        free one.  `remembered` are arguments of its `State`.

        Raises `OSError` when the port is taken, `ValueError`, `LookupError` or `TypeError` for a file of another's.
        """
        state = self.remembers(**remembered)
        if not state.load():
            self.begin(state, first or {})
            state.save()
        return serve_sandbox(self, state, port=port)

    def body(self, state: Any, shape: str) -> Any:
        """The JSON body of a call, which has the shape of this name.  Raises `Failure` for any other."""
        read = object_body if _is_own(request.path) else api_body
        body = read(has_decimals=state.HAS_DECIMALS)
        if problems := [str(problem) for problem in self.shapes.problems(shape, body)]:
            raise Failure(self.wrong_body, problems[0], problems)
        return body

    def error_body(self, status: int, message: str) -> Json:
        """The body of an error of its API."""
        return {"message": message}

    def refusal(self, state: Any, failure: Failure) -> Response:
        """A refused request of its API."""
        return json_answer(self.error_body(failure.status, failure.message), failure.status)

    def http_error(self, status: int, name: str) -> Response:
        """A path or method that is not there."""
        return json_answer(self.error_body(status, name), status)

    def describe_call(self, response: Response) -> Json:
        """What the journal keeps of a call of its API besides the time."""
        return {
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "request_id": request.headers.get("X-Request-Id", ""),
        }

    def after_call(self, state: Any) -> None:
        """Whatever follows any request, with the state's lock held: a webhook that is due, for instance."""

    def begin(self, state: Any, first: Json) -> Json:
        """Begins anew, with what is there at first, as the body of `POST /sandbox/reset` says; the answer to that.

        Raises `Failure` 400.
        """
        state.clear()
        return {}

    def change_settings(self, state: Any, settings: Any) -> None:
        """Takes other settings from now on."""
        state.settings = settings

    def plays(self, state: Any) -> list[Play]:
        """What a person can play on the page."""
        return []

    def take_settings(self, state: State, stated: Json, *, is_form: bool = False) -> None:
        """Settings by name; the others stay.  A form's are texts.  Raises `Failure` 400 naming what is wrong."""
        with state.lock:
            whole = msgspec.to_builtins(state.settings) | stated
            self.change_settings(state, converted(whole, state.SETTINGS, is_form=is_form))

    def start_over(self, state: State, body: Json) -> Json:
        """What `POST /sandbox/reset` does, and its answer: begins anew, without a fault.  Raises `Failure` 400."""
        with state.lock:
            answer = self.begin(state, body)
            state.faults.clear()
            return answer

    def add_fault(self, state: Any, rule: Json, *, headers: Mapping[str, list[str]] | None = None) -> None:
        """A rule as `/sandbox/faults` takes it, for requests with these headers.

        Raises `Failure` 400 naming what is wrong.
        """
        try:
            state.faults.add(rule, within=self.base_path, headers=headers)
        except ValueError as fault:
            raise Failure(400, str(fault)) from None


def serve_sandbox(vendor: Vendor, state: State, *, port: int = 0) -> RunningServer:
    """The sandbox on loopback; port 0 takes a free one.  Faults: `.faults` or `/sandbox/faults`.

    Raises `OSError` when the port is taken.
    """
    return serve(create_sandbox(vendor, state), port=port, faults=state.faults)


def create_sandbox(vendor: Vendor, state: State) -> Flask:
    """A vendor's API with the control API and the page below `/sandbox/`, which need no key and meet no fault."""
    app = Flask(__name__, static_folder=None, template_folder="templates")
    app.url_map.merge_slashes = False  # An id may hold any character, also two slashes.

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()
        if _is_own(request.path):
            own_pages_only(state, {})

    @app.after_request
    def record(response: Response) -> Response:
        with state.lock:
            if not _is_own(request.path) and request.path.startswith(vendor.base_path):
                duration_ms = round((time.perf_counter() - g.begun) * 1000, 1)
                state.record_call({**vendor.describe_call(response), "duration_ms": duration_ms})
            vendor.after_call(state)
            if request.method not in ("GET", "HEAD"):
                state.save()
        return response

    @app.errorhandler(Failure)
    def refused(failure: Failure) -> Response:
        if _is_own(request.path):
            return json_answer({"message": failure.message, "errors": failure.errors}, failure.status)
        reply = vendor.refusal(state, failure)
        if failure.retry_after_s:
            reply.headers["Retry-After"] = str(failure.retry_after_s)
        return reply

    @app.errorhandler(HTTPException)
    def not_there(error: HTTPException) -> Response:
        return vendor.http_error(error.code or 500, error.name)

    @app.get("/")
    def home() -> Any:
        return redirect("/sandbox/")

    _add_control(app, vendor, state)
    Page(vendor, state).add_to(app)
    for routes in vendor.routes:
        routes.add_to(app, vendor, state)
    return app


def _is_own(path: str) -> bool:
    return path in _OWN_PATHS or path.startswith("/sandbox/")


def _add_control(app: Flask, vendor: Vendor, state: State) -> None:
    @app.route("/sandbox/settings", methods=["GET", "PUT"])
    def settings() -> Response:
        with state.lock:
            if request.method == "PUT":
                vendor.take_settings(state, object_body(has_decimals=False))
            return json_answer(state.settings)

    @app.route("/sandbox/faults", methods=["GET", "POST", "DELETE"])
    def rules() -> Response:
        if request.method == "POST":
            vendor.add_fault(state, object_body(has_decimals=False))
        elif request.method == "DELETE":
            state.faults.clear()
        return json_answer({"faults": state.faults.as_json()})

    @app.post("/sandbox/reset")
    def reset() -> Response:
        return json_answer(vendor.start_over(state, object_body()))

    @app.route("/sandbox/journal", methods=["GET", "DELETE"])
    def journal() -> Response:
        with state.lock:
            if request.method == "DELETE":
                state.clear_journal()
            return json_answer(state.journal(request.args))
