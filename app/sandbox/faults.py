"""Fault rules: which requests a server answers wrongly, and how.

Set by a test, or on a sandbox's own page.  A fault that is a whole HTTP answer is made here; those of the connection
(closed, reset, cut, dripping) are made by `app.sandbox.server`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from email.message import Message
from email.utils import formatdate
from pathlib import Path
from typing import Any, Literal

import msgspec
from werkzeug.wrappers import Response

Kind = Literal[
    "refuse", "hang", "drip_headers", "drip_body", "reset_before", "reset_after", "half_body", "redirect",
    "status", "html", "wrong_type", "empty", "truncated_json", "slow",
]  # fmt: skip


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a server with this kind of fault does."""

    meaning: str
    """For people to choose from."""
    works: bool = False
    """Whether the application does the work before the fault."""
    content_type: str = ""
    body: str = ""
    """With a type: the answer in the place of the right one."""


_FILE = msgspec.json.decode(Path(__file__).with_name("faults.json").read_bytes())
KINDS = msgspec.convert(_FILE["kinds"], dict[Kind, Fault])

_HOP_BY_HOP = frozenset({"content-length", "connection", "transfer-encoding"})
_FILLER = b'{"success": true, "code": 200, "message": "an answer long enough to be cut in half"}'


class Answer(Response):
    """A whole answer as an application made it, without a header of our own."""

    default_mimetype = None

    @property
    def long_body(self) -> bytes:
        """The body, or another one where it is too short to be cut in half."""
        return self.data if len(self.data) > 1 else _FILLER

    def on_the_wire(self, body: bytes, *, is_closing: bool = False, has_body: bool = True) -> bytes:
        """Head and `body` as HTTP/1.1 sends them."""
        lines = [f"HTTP/1.1 {self.status}"]
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() not in _HOP_BY_HOP]
        if "Date" not in self.headers:
            lines.append(f"Date: {formatdate(usegmt=True)}")
        lines.append(f"Content-Length: {len(body)}")
        if is_closing:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return head + body if has_body else head


class Match(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Which requests a rule is for.  Empty means all."""

    method: str = ""
    path_prefix: str = ""
    headers: dict[str, list[str]] = {}
    """Each of these must be there with one of its values, for instance the keys of one merchant."""

    def covers(self, method: str, path: str, headers: Mapping[str, str] | Message) -> bool:
        return (
            self.method.upper() in ("", method)
            and path.startswith(self.path_prefix)
            and all(headers.get(name) in values for name, values in self.headers.items())
        )


class Rule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One fault.

    `KINDS` says what each does: `drip_*` sends a byte each `interval_s`; `slow` waits `delay_s`; `half_body`
    announces all and sends half; `truncated_json` is whole HTTP with half a JSON text.
    """

    kind: Kind
    times: int | None = None
    """How many requests it is for; None lasts until cleared."""
    match: Match = msgspec.field(default_factory=Match)
    location: str = "/"
    code: int = 503
    retry_after: str | int | None = None
    delay_s: float = 1.0
    interval_s: float = 0.1
    works: bool | None = None
    """Whether the application does the work before the fault; None is as `KINDS` has it for the kind."""

    def does_work(self) -> bool:
        return KINDS[self.kind].works if self.works is None else self.works

    def answer(self, right: Answer) -> Answer:
        """The whole answer in the place of the right one, which stays for a fault of the connection."""
        match self.kind:
            case "status":
                wrong = _json(b'{"success":false,"message":"fault"}', f"{self.code} Fault")
                if self.retry_after is not None:
                    wrong.headers["Retry-After"] = str(self.retry_after)
                return wrong
            case "redirect":
                code = self.code if 300 <= self.code < 400 else 302
                return Answer(status=f"{code} Moved", headers={"Location": self.location})
            case "truncated_json":
                return _json(right.long_body[: len(right.long_body) // 2])
            case _:
                fault = KINDS[self.kind]
                return Answer(fault.body, content_type=fault.content_type) if fault.content_type else right


def _json(body: bytes, status: str = "200 OK") -> Answer:
    return Answer(body, status, content_type="application/json")


class Faults:
    """The rules of one server, in the order they were added; the first that matches is applied."""

    def __init__(self, rules: Iterable[Mapping[str, Any]] = ()) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        for rule in rules:
            self.add(rule)

    def add(self, rule: object, *, within: str = "", headers: Mapping[str, list[str]] | None = None) -> None:
        """A rule as an object of `Rule`'s fields; one without a path of its own is for those below `within`.

        `headers` are required besides those it names.  Raises `ValueError` naming what is wrong, and where.
        """
        given = {name: value for name, value in rule.items() if value is not None} if isinstance(rule, dict) else rule
        try:
            parsed = msgspec.convert(given, Rule)
        except msgspec.ValidationError as error:
            raise ValueError(f"not a fault rule: {error}") from None
        parsed.match.path_prefix = parsed.match.path_prefix or within
        parsed.match.headers = {**parsed.match.headers, **(headers or {})}
        if parsed.times is not None and parsed.times < 1:
            raise ValueError("times must be at least 1")
        if parsed.kind in ("status", "redirect") and not 100 <= parsed.code <= 999:
            raise ValueError("code must have three digits")
        with self._lock:
            self._rules.append(parsed)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def remove(self, place: int, kind: str) -> bool:
        """Ends the rule that stands there, counted from 0; False where it is over or another one stands there."""
        with self._lock:
            found = self._rules[place : place + 1]
            if not found or found[0].kind != kind:
                return False
            del self._rules[place]
            return True

    def as_json(self) -> list[dict[str, Any]]:
        """The rules still standing, `times` counted down, ready to be written as JSON."""
        with self._lock:
            return [msgspec.to_builtins(rule) for rule in self._rules]

    def take(self, method: str, path: str, headers: Mapping[str, str] | Message) -> Rule | None:
        """The rule for this request, used up by one."""
        with self._lock:
            rule = next((rule for rule in self._rules if rule.match.covers(method, path, headers)), None)
            if rule is not None and rule.times is not None:
                rule.times -= 1
                if rule.times == 0:
                    self._rules.remove(rule)
            return rule
