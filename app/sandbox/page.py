"""The page of a sandbox for people: what it holds, faults to switch on, something to play, its requests."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from flask import Flask, Response, render_template, request

from app.sandbox.bodies import Failure, Json, existing, json_answer
from app.sandbox.faults import KINDS
from app.sandbox.state import State

if TYPE_CHECKING:
    from app.sandbox.host import Vendor

MOST_ROWS = 20
MOST_COLUMNS = 8
MOST_REQUESTS = 50
MOST_PLAYED = 5
_FAULT_NUMBERS: dict[str, type[int | float]] = {"times": int, "code": int, "retry_after": int, "delay_s": float}
"""What the form of a fault takes as a number, and of which kind."""
_SECRET = re.compile(r"key|secret|token|password|signature", re.IGNORECASE)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def html(template: str, status: int = 200, **shown: Any) -> Response:
    """A page for people: without scripts, never kept by a browser, never inside another site's page."""
    return Response(render_template(template, **shown), status, _HEADERS, mimetype="text/html")


def see_other(location: str) -> Response:
    """Where a browser goes on after a form."""
    return Response(status=303, headers={"Location": location})


class Field(msgspec.Struct, frozen=True):
    """One input of a form.  `kind` is `text`, `number` (from 1 to `most`), `choice` (of `choices`) or `check`."""

    name: str
    label: str
    value: str = ""
    kind: str = "text"
    choices: Mapping[str, str] = {}
    hint: str = ""
    most: int = 100

    def whole(self, form: Mapping[str, str]) -> int:
        """The whole number that was filled in.  Raises `Failure` 400."""
        text = form.get(self.name, "")
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= self.most):
            raise Failure(400, f"{self.label.lower()}: a whole number from 1 to {self.most}")
        return int(text)


class Result(msgspec.Struct, frozen=True):
    """What came of a play: whether it went well, one sentence, and rows of a table."""

    is_good: bool
    summary: str
    rows: Sequence[Json]


class Play(msgspec.Struct, frozen=True):
    """Something a person can do as the vendor's people or shoppers would.

    An empty `button` is one that cannot be played yet; `about` says what is missing.  `run` takes the form, is
    called without the state's lock, and may raise `Failure`.
    """

    name: str
    title: str
    about: str
    button: str
    fields: Sequence[Field]
    run: Callable[[Mapping[str, str]], Result]


class Table(msgspec.Struct, frozen=True):
    """The newest rows of something, cut to what fits a page; `count` is how many there are."""

    name: str
    count: int
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Page:
    """`GET /sandbox/` and the forms on it."""

    def __init__(self, vendor: Vendor, state: State) -> None:
        self._vendor = vendor
        self._state = state
        self._played: deque[tuple[str, Result]] = deque(maxlen=MOST_PLAYED)

    def add_to(self, app: Flask) -> None:
        """Adds the page: HTML where a browser asks, else the state as JSON, which `/sandbox/state` always shows."""

        @app.get("/sandbox/")
        def page() -> Response:
            if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
                return self._shown()
            return shown()

        @app.get("/sandbox/state")
        def shown() -> Response:
            with self._state.lock:
                return json_answer({**self._state.view(), "faults": self._state.faults.as_json()})

        @app.post("/sandbox/page/<what>")
        def act(what: str) -> Response:
            acts = {
                "fault": self._add_fault,
                "fault-off": self._end_fault,
                "settings": self._change_settings,
                "reset": self._reset,
                "play": self._play,
            }
            try:
                existing(acts, what, "there is no such form")(request.form)
            except Failure as failure:
                return self._shown(failure)
            return see_other(f"/sandbox/#{what.partition('-')[0]}")

    def _shown(self, failure: Failure | None = None) -> Response:
        state = self._state
        with state.lock:  # What is held changes with the next request, so the page is made here.
            held = state.held()
            return html(
                "page.html",
                failure.status if failure else 200,
                vendor=self._vendor,
                url=request.host_url.rstrip("/"),
                failure=failure.message if failure else "",
                tables=[table(name, rows) for name, rows in held.items() if rows],
                empty=[name for name, rows in held.items() if not rows],
                rules=state.faults.as_json(),
                kinds=KINDS,
                settings=settings_fields(state.settings),
                plays=self._vendor.plays(state),
                played=[(title, result, table("", result.rows[::-1])) for title, result in reversed(self._played)],
                calls=list(state.calls)[: -MOST_REQUESTS - 1 : -1],
                calls_count=len(state.calls),
            )

    def _add_fault(self, form: Mapping[str, str]) -> None:
        match = {name: form[name] for name in ("method", "path_prefix") if form.get(name)}
        rule: Json = {"kind": form.get("kind", ""), "match": match}
        for name, number in _FAULT_NUMBERS.items():
            try:
                rule[name] = number(form[name]) if form.get(name) else None
            except ValueError:
                raise Failure(400, f"{name} must be a number") from None
        self._vendor.add_fault(self._state, rule)

    def _end_fault(self, form: Mapping[str, str]) -> None:
        place = form.get("place", "")
        if place == "all":
            self._state.faults.clear()
        elif not (place.isascii() and place.isdigit() and self._state.faults.remove(int(place), form.get("kind", ""))):
            raise Failure(409, "that fault is over already")

    def _change_settings(self, form: Mapping[str, str]) -> None:
        before = msgspec.to_builtins(self._state.settings)
        stated = {name: form.get(name, value) for name, value in before.items()}
        boxes = {name: name in form for name, value in before.items() if isinstance(value, bool)}
        self._vendor.take_settings(self._state, stated | boxes, is_form=True)

    def _reset(self, form: Mapping[str, str]) -> None:
        self._vendor.start_over(self._state, {})
        self._played.clear()

    def _play(self, form: Mapping[str, str]) -> None:
        with self._state.lock:
            plays = {play.name: play for play in self._vendor.plays(self._state) if play.button}
        play = existing(plays, form.get("name", ""), "that cannot be played now")
        result = play.run(form)
        with self._state.lock:
            self._played.append((play.title, result))


def settings_fields(settings: Any) -> list[Field]:
    """An input for each setting that is one value."""
    found = []
    for info in msgspec.structs.fields(settings):
        name, value = info.name, getattr(settings, info.name)
        if isinstance(value, int | float | str):
            choices = {str(choice): str(choice) for choice in get_args(info.type)}
            kind = "choice" if choices else {bool: "check", str: "text"}.get(type(value), "number")
            found.append(Field(name, name, ("on" if value else "") if kind == "check" else str(value), kind, choices))
    return found


def table(name: str, rows: Sequence[Json]) -> Table:
    """The newest rows first, with the columns that hold one value.

    A column that is named like a secret is left out; of a table that is, nothing but the number of rows is shown.
    """
    if _SECRET.search(name):
        return Table(name, len(rows), (), ())
    newest = rows[: -MOST_ROWS - 1 : -1]
    columns = list(dict.fromkeys(column for row in newest for column in _simple(row)))
    chosen = sorted(columns, key=lambda column: sum(row.get(column) in (None, "") for row in newest))[:MOST_COLUMNS]
    shown = [column for column in columns if column in chosen]
    return Table(name, len(rows), shown, [[_text(row.get(column)) for column in shown] for row in newest])


def _simple(row: Json) -> Iterable[str]:
    for name, value in row.items():
        if not name.startswith("_") and not isinstance(value, dict | list) and not _SECRET.search(name):
            yield name


def _text(value: object) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
