"""A vendor's routes as functions of what it remembers: the host locks, reads the body and writes the answer."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from flask import Flask, Response, request

from app.sandbox.bodies import Failure, Json, json_answer

if TYPE_CHECKING:
    from app.sandbox.host import Vendor
    from app.sandbox.state import State

Admission = Callable[[Any, Json], None]
"""Refuses who may not call, by a `Failure`.  It takes the state and the parts of the path, and may change the parts."""

ANY = "any"
"""For a function that answers every method itself."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_View = TypeVar("_View", bound=Callable[..., Any])


class _Route(msgspec.Struct, frozen=True):
    method: str
    path: str
    takes: str
    is_locked: bool
    view: Callable[..., Any]


class Routes:
    """Functions for paths below one path, and who may call them: all admissions in their order.

    A function is called with the state, with the parts of the path by name and, where its route takes a shape, with
    the checked `body`.  It returns what the JSON answer holds, or a pair of that and a status, or a `Response`.
    """

    def __init__(self, below: str, *admissions: Admission) -> None:
        self._below = below
        self._admissions = admissions
        self._routes: list[_Route] = []

    def route(self, method: str, path: str, *, takes: str = "", is_locked: bool = True) -> Callable[[_View], _View]:
        """Serves a function, with the state's lock held unless `is_locked` is false.

        `method` may be `ANY`.  `takes` is the name of a shape in the vendor's `shapes.json`; with the name of a part of
        the path in braces it is another one for each, and 404 where there is none.
        """

        def add(view: _View) -> _View:
            self._routes.append(_Route(method, self._below + path, takes, is_locked, view))
            return view

        return add

    def add_to(self, app: Flask, vendor: Vendor, state: State) -> None:
        """Adds them to the application."""
        for route in self._routes:
            answer = partial(self._answer, vendor, state, route)
            methods = _METHODS if route.method == ANY else (route.method,)
            app.add_url_rule(
                route.path,
                f"{route.method} {route.path}",
                answer,
                methods=methods,
                provide_automatic_options="OPTIONS" not in methods,
            )

    def _answer(self, vendor: Vendor, state: State, route: _Route, /, **parts: Any) -> Response:
        with state.lock:
            for admit in self._admissions:
                admit(state, parts)
        if route.takes:
            shape = route.takes.format(**parts)
            if shape != route.takes and shape not in vendor.shapes:
                raise Failure(404, "unknown path")
            parts["body"] = vendor.body(state, shape)
        with state.lock if route.is_locked else nullcontext():
            answer = route.view(state, **parts)
            if isinstance(answer, Response):
                return answer
            return json_answer(*answer) if isinstance(answer, tuple) else json_answer(answer)


def own_pages_only(state: Any, parts: Json) -> None:
    """Admits no page of another site: 403, where a browser names it."""
    origin = request.headers.get("Origin")
    if origin and urlsplit(origin).netloc != request.host:
        raise Failure(403, "another site's page may not use this one")


def keys_in(header: str, *keys: str) -> Admission:
    """Admits whoever sends one of the keys in this header; others get 401."""

    def admit(state: State, parts: Json) -> None:
        sent = request.headers.get(header, "").encode()
        if not any(hmac.compare_digest(sent, key.encode()) for key in keys):
            raise Failure(401, "this key is not known")

    return admit
