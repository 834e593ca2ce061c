"""Tests one fixture: as the SDK's tool does, then as RetailOps' caller judges, then with what neither tries."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

from app.cli.verify.bodies import NotAnObject, read_object, texts, written
from app.cli.verify.keys import Secret
from app.cli.verify.plan import Case
from app.cli.verify.probes import ONCE_PER_CALLBACK, WITH_A_WRONG_KEY, WRONG_KEY, Probe
from app.cli.verify.reference import BadSchema
from app.cli.verify.report import Check, Result, Said
from app.cli.verify.target import NoAnswer, Target
from app.contract.problems import Problem, parts_of
from app.contract.schemas import load_contract
from app.transport.replies import Reply

_MESSAGE = 200
"""Characters of a server's message that are repeated."""

_NAMED = 6
"""Fields of an answer that are named where one is missing."""

_DOUBLED = "a base URL that ends in a slash gives this; take repeated slashes for one"

RIGHT_KEY = "the right key"

DOUBLE_SLASH = "two slashes before the callback"

_REPEATS = "RetailOps repeats a call whose answer it did not get"

THROWN_AWAY = "RetailOps would throw the whole answer away"
"""What its production caller does with an answer that breaks one of its rules (SDK contract 1.6)."""

_HINTS = {
    **dict.fromkeys(range(201, 300), "RetailOps takes nothing but 200 for a success"),
    401: "the server does not accept this key: switch on its test key (here VERIFY_KEY=on), or store the real one "
    "and use --use-auth-key",
    403: "a key that is not accepted must be answered with 401",
    404: "nothing is served at this address; is --base-url right? -actions leaves out what the server does not have",
    405: "every callback is a POST",
    415: "the body is sent as application/json",
    422: "only 200 is read; tell what is wrong in `events`",
    429: "the server limits requests",
}


_contract = cache(load_contract)
"""Compiled when first needed, and once."""


class Examiner:
    """Tries cases against one server with one key.  `log` takes what --verbose shows, never a key."""

    def __init__(self, target: Target, key: str, log: Callable[[str], None]) -> None:
        self.target = target
        self.key = key
        self.secret = Secret(key, WRONG_KEY)
        self.contract = _contract()
        self.log = log

    def examine(self, case: Case) -> Result:
        """Send a fixture with the key, with a wrong key and, for the first of a callback, in all other ways."""
        try:
            fixture = {**read_object(case.fixture.read_bytes()), "integration_auth_token": self.key}
            unfit = case.link.request.problems(fixture)
        except OSError as error:
            return _unsent(case, [Problem("", "fixture", f"cannot be read: {type(error).__name__}")])
        except NotAnObject as error:
            return _unsent(case, [Problem("", "fixture", f"the fixture {error}")])
        except BadSchema as error:
            return _unsent(case, [Problem("", "schema", f"the request schema is {error}")])
        if unfit:
            return _unsent(case, [_led("the fixture does not fit the request schema", problem) for problem in unfit])
        probes = (WITH_A_WRONG_KEY, *(ONCE_PER_CALLBACK if case.is_first_of_callback else ()))
        good, body = self._good(case, fixture, RIGHT_KEY, self.target.path(case.link.href))
        checks, untried = [good], len(probes)
        if good.status is not None:  # a server that hangs is not called ten times more
            checks += [self._probe(case, fixture, probe) for probe in probes]
            untried = 0
            if case.is_first_of_callback and body is not None:
                checks += self._again(case, fixture, good, body)
        problems = [problem for check in checks for problem in check.problems]
        ms = sum(check.ms for check in checks)
        said = [] if body is None else self._said(body)
        return Result(case.callback, case.fixture.name, not problems, good.status, ms, problems, checks, said, untried)

    def _good(
        self, case: Case, fixture: dict[str, Any], name: str, path: str, hint: str = ""
    ) -> tuple[Check, dict[str, Any] | None]:
        """A request that must be served, and the answer's object where it was a 200."""
        answer, check = self._send(case, name, "POST", path, written(fixture), "200 and a valid answer")
        if answer is None:
            return check, None
        if answer.status != 200:
            check.problems.insert(0, Problem("", "status", self._instead_of("200", answer, hint)))
            return check, None
        try:
            body = read_object(answer.body)
            check.problems[:0] = self._judged(case, body)
        except NotAnObject as error:
            kind = answer.headers.get("Content-Type", "")[:60]
            text = f"the answer {error}; it came {f'as {kind}' if kind else 'without a Content-Type'}"
            check.problems.insert(0, Problem("", "body", text))
            return check, None
        except BadSchema as error:
            check.problems.insert(0, Problem("", "schema", f"the answer schema is {error}"))
        return check, body

    def _judged(self, case: Case, body: dict[str, Any]) -> list[Problem]:
        """What the schema minds, and what RetailOps' caller does, which fills, and only then validates."""
        callback = self.contract.callbacks.get(case.callback)
        refused = [] if callback is None else callback.judge(body)
        minded = case.link.answer.problems(body)
        places = {problem.pointer for problem in refused}
        pointers = {problem.pointer for problem in minded}
        found = [*minded, *(_explained(problem, body) for problem in refused if problem.pointer not in pointers)]
        # An answer of nothing at all is read by RetailOps, which learns nothing from it.
        spared = ("more", "minProperties")
        return [
            self._with_fields(
                _ended(each, THROWN_AWAY) if each.pointer in places and each.rule not in spared else each, body
            )
            for each in found
        ]

    def _with_fields(self, problem: Problem, body: dict[str, Any]) -> Problem:
        """What a wrong name or a wrong level looks like: the fields that are there in place of a missing one."""
        if problem.rule != "required" or problem.pointer.count("/") != 1 or not body:
            return problem
        names = ", ".join(self.secret.shown(name, 40) for name in list(body)[:_NAMED])
        return _ended(problem, f"the answer has {names}{' and more' if len(body) > _NAMED else ''}")

    def _probe(self, case: Case, fixture: dict[str, Any], probe: Probe) -> Check:
        path = self.target.path(case.link.href)
        body = probe.body(fixture, self.key)
        answer, check = self._send(case, probe.name, probe.method, path, body, probe.expected)
        if answer is not None and not probe.is_expected(answer.status):
            is_served = 200 <= answer.status < 300
            hint = probe.why if is_served else f"the SDK's verifier takes nothing but {probe.expected} for a refusal"
            text = f"for {probe.name}, {self._instead_of(probe.expected, answer, hint)}"
            check.problems.insert(0, Problem("", "status", text))
        return check

    def _again(self, case: Case, fixture: dict[str, Any], good: Check, body: dict[str, Any]) -> list[Check]:
        """What RetailOps may do at any time: repeat a call, and join the address with two slashes."""
        known = {(problem.pointer, problem.rule) for problem in good.problems}
        checks = []
        ways = (
            ("the same call again", self.target.path(case.link.href), ""),
            (DOUBLE_SLASH, self.target.path(case.link.href, is_doubled=True), _DOUBLED),
        )
        for name, path, hint in ways:
            check, repeated = self._good(case, fixture, name, path, hint)
            new = [_led(f"for {name}", each) for each in check.problems if (each.pointer, each.rule) not in known]
            if repeated is not None and body.get("status") == "success" != repeated.get("status"):
                now = self.secret.shown(str(repeated.get("status")), 40)
                text = f"for {name}, /status: is {now}; the first time it was success; {_REPEATS}"
                new.append(Problem("/status", "repeat", text))
            errors = [] if repeated is None or self._errors(body) else self._errors(repeated)
            if errors:
                text = f"for {name}, /events: has the error {errors[0]}, the first time none; {_REPEATS}"
                new.append(Problem("/events", "repeat", text))
            check.problems[:] = new
            checks.append(check)
        return checks

    def _send(
        self, case: Case, name: str, method: str, path: str, body: bytes | None, expected: str
    ) -> tuple[Reply | None, Check]:
        """The exchange and its check, in which so far only a leak or a missing answer can stand."""
        self.log(f"{method} {path} {self.secret.shown(body or b'')}".rstrip())
        begun = time.perf_counter()
        try:
            answer = self.target.send(method, path, body)
        except NoAnswer as error:
            lead = "" if name == RIGHT_KEY else f"for {name}, "
            self.log(f"no answer: {error}")
            ms = round((time.perf_counter() - begun) * 1000)
            return None, Check(name, method, path, expected, None, ms, [Problem("", error.rule, f"{lead}{error}")])
        self.log(f"{answer.status} in {answer.ms} ms {self.secret.shown(answer.body)}")
        return answer, Check(name, method, path, expected, answer.status, answer.ms, self._leaks(name, answer))

    def _instead_of(self, expected: str, answer: Reply, hint: str = "") -> str:
        if 300 <= answer.status < 400:
            place = self.secret.shown(answer.headers.get("Location", "").partition("?")[0], 120)
            hint = "; ".join(filter(None, [f"redirects are not followed ({place or 'no Location'})", hint]))
        elif answer.status >= 500:
            hint = "the server failed; its log says why"
        hint = hint or _HINTS.get(answer.status, "")
        return f"status {answer.status} came instead of {expected}" + (f"; {hint}" if hint else "")

    def _leaks(self, name: str, answer: Reply) -> list[Problem]:
        """A key that comes back ends in somebody's log."""
        text = f"the answer for {name} holds the key that was sent"
        found = [
            Problem("", "leak", f"{text}, in the header {header}")
            for header, value in answer.headers.items()
            if self.secret.is_in(value)
        ]
        if self.secret.is_in(answer.body.decode("utf-8", "replace")):
            try:
                places = [place for place, inner in texts(read_object(answer.body)) if self.secret.is_in(inner)]
            except (NotAnObject, RecursionError):
                places = []
            place = places[0] if places else ""
            found.append(Problem(place, "leak", f"{place or 'body'}: {text}"))
        return found

    def _said(self, body: dict[str, Any]) -> list[Said]:
        """Events, and the status of a callback that has no events, as far as they have the right form."""
        events, status, message = body.get("events"), body.get("status"), body.get("message")
        said: list[tuple[object, ...]] = []
        if isinstance(events, list):
            names = ("event_type", "code", "message")
            said = [tuple(map(event.get, names)) for event in events if isinstance(event, dict)]
        elif status not in (None, "success") and isinstance(message, str):
            said = [("status", status, message)]
        return [Said(*(self.secret.shown(word or "", _MESSAGE) for word in words)) for words in said]

    def _errors(self, body: dict[str, Any]) -> list[str]:
        return [said.code for said in self._said(body) if said.event_type == "error"]


def _unsent(case: Case, problems: list[Problem]) -> Result:
    return Result(case.callback, case.fixture.name, False, None, 0, problems, [], [])


def _explained(problem: Problem, body: dict[str, Any]) -> Problem:
    """A whole number with a decimal point satisfies the schema and not RetailOps, which needs saying."""
    if problem.rule == "type" and isinstance(value := _at(body, problem.pointer), float) and value.is_integer():
        return Problem.at(problem.pointer, problem.rule, "must be written as a whole number, without a decimal point")
    return problem


def _at(value: Any, pointer: str) -> Any:
    """What stands at a pointer; None where nothing does."""
    for name in parts_of(pointer):
        if isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def _ended(problem: Problem, end: str) -> Problem:
    return Problem(problem.pointer, problem.rule, f"{problem.message}; {end}")


def _led(lead: str, problem: Problem) -> Problem:
    return Problem(problem.pointer, problem.rule, f"{lead}: {problem.message}")
