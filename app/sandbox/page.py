"""The page of a sandbox for people: what it holds, faults to switch on, something to play, its requests."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from flask import Flask, Response, render_template, request

from app.sandbox.bodies import Failure, Json, json_answer
from app.sandbox.faults import KINDS
from app.sandbox.state import State

if TYPE_CHECKING:
    from app.sandbox.host import Vendor

MOST_ROWS = 20
MOST_COLUMNS = 8
MOST_REQUESTS = 50
MOST_PLAYED = 5
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
                if what not in acts:
                    raise Failure(404, "there is no such form")
                acts[what](request.form)
            except Failure as failure:
                return self._shown(failure)
            return see_other(f"/sandbox/#{what.partition('-')[0]}")

    def _shown(self, failure: Failure | None = None) -> Response:
        with self._state.lock:  # What is held changes with the next request, so its texts are made here.
            held = self._state.held()
            tables = [table(name, rows) for name, rows in held.items() if rows]
            empty = [name for name, rows in held.items() if not rows]
            played = [(title, result, table("", result.rows[::-1])) for title, result in reversed(self._played)]
            calls = list(self._state.calls)
            plays = self._vendor.plays(self._state)
            settings = settings_fields(self._state.settings)
        return html(
            "page.html",
            failure.status if failure else 200,
            vendor=self._vendor,
            url=request.host_url.rstrip("/"),
            failure=failure.message if failure else "",
            tables=tables,
            empty=empty,
            rules=self._state.faults.as_json(),
            kinds=KINDS,
            settings=settings,
            plays=plays,
            played=played,
            calls=list(reversed(calls))[:MOST_REQUESTS],
            calls_count=len(calls),
        )

    def _add_fault(self, form: Mapping[str, str]) -> None:
        match = {name: form[name] for name in ("method", "path_prefix") if form.get(name)}
        numbers = {name: form[name] for name in ("times", "code", "retry_after", "delay_s") if form.get(name)}
        self._vendor.add_fault(self._state, {"kind": form.get("kind", ""), "match": match, **_counted(numbers)})

    def _end_fault(self, form: Mapping[str, str]) -> None:
        place = form.get("place", "")
        if place == "all":
            self._state.faults.clear()
        elif not (place.isascii() and place.isdigit() and self._state.faults.remove(int(place), form.get("kind", ""))):
            raise Failure(409, "that fault is over already")

    def _change_settings(self, form: Mapping[str, str]) -> None:
        before = msgspec.to_builtins(self._state.settings).items()
        stated = {
            name: name in form if value is True or value is False else form.get(name, value) for name, value in before
        }
        self._vendor.take_settings(self._state, stated, is_form=True)

    def _reset(self, form: Mapping[str, str]) -> None:
        self._vendor.start_over(self._state, {})
        self._played.clear()

    def _play(self, form: Mapping[str, str]) -> None:
        with self._state.lock:
            play = next((play for play in self._vendor.plays(self._state) if play.name == form.get("name")), None)
        if play is None or not play.button:
            raise Failure(404, "that cannot be played now")
        result = play.run(form)
        with self._state.lock:
            self._played.append((play.title, result))


def _counted(given: Mapping[str, str]) -> dict[str, float]:
    """A form's texts as numbers.  Raises `Failure` 400 naming the field."""
    numbers = {}
    for name, value in given.items():
        try:
            numbers[name] = int(value) if name != "delay_s" else float(value)
        except ValueError:
            raise Failure(400, f"{name} must be a number") from None
    return numbers


def settings_fields(settings: Any) -> list[Field]:
    """An input for each setting that is one value."""
    found = []
    for info in msgspec.structs.fields(settings):
        value = getattr(settings, info.name)
        choices = {str(choice): str(choice) for choice in get_args(info.type)}
        if isinstance(value, bool):
            found.append(Field(info.name, info.name, "on" if value else "", "check"))
        elif choices and not isinstance(value, list):
            found.append(Field(info.name, info.name, str(value), "choice", choices))
        elif isinstance(value, int | float | str):
            found.append(Field(info.name, info.name, str(value), "text" if isinstance(value, str) else "number"))
    return found


def table(name: str, rows: Sequence[Json]) -> Table:
    """The newest rows first, with the columns that hold one value.

    A column that is named like a secret is left out; of a table that is, nothing but the number of rows is shown.
    """
    if _SECRET.search(name):
        return Table(name, len(rows), (), ())
    newest = list(reversed(rows[-MOST_ROWS:]))
    columns = list(dict.fromkeys(column for row in newest for column in _simple(row)))
    chosen = sorted(columns, key=lambda column: -sum(row.get(column) not in (None, "") for row in newest))[
        :MOST_COLUMNS
    ]
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
