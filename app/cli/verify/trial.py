"""The trial of one fixture: good key, then bad key, as the SDK's tool does it, and then RetailOps' own eyes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from app.cli.verify.exchange import Answer, NoAnswer, Target
from app.cli.verify.plan import Case
from app.cli.verify.reference import BadSchema, problems_in
from app.contract.problems import Problem
from app.contract.schemas import Contract

WRONG_KEY = "KDS_SPOLIATER"
"""What the SDK's tool sends to see a 401."""

_MASK = "***"
_ESCAPED = {b"<": b"\\u003c", b">": b"\\u003e", b"&": b"\\u0026"}


class Result(msgspec.Struct, frozen=True):
    """What became of one fixture.  `status` is that of the good key's answer, None when there was none."""

    callback: str
    fixture: str
    ok: bool
    status: int | None
    ms: int
    problems: list[Problem]


@dataclass(frozen=True)
class Examiner:
    """Tries cases against one server with one key.  `tell` takes what --verbose shows, never a key."""

    target: Target
    key: str
    contract: Contract
    tell: Callable[[str], None]

    def examine(self, case: Case) -> Result:
        """Send one fixture with the key and, if the SDK's tool would be content, with a wrong one."""
        begun = time.perf_counter()
        status, problems, refusals = self._with_the_key(case)
        if not problems:
            problems = self._with_a_wrong_key(case)
        ms = round((time.perf_counter() - begun) * 1000)
        problems = [*problems, *refusals]
        return Result(case.callback, case.fixture.name, not problems, status, ms, problems)

    def _with_the_key(self, case: Case) -> tuple[int | None, list[Problem], list[Problem]]:
        """The status, what the SDK's tool minds, and what only RetailOps' production caller minds."""
        try:
            fixture = _object(case.fixture.read_bytes())
            fixture["integration_auth_token"] = self.key
            unfit = problems_in(fixture, case.request_schema, is_answer=False)
            if unfit:
                return None, [_led("the fixture does not fit the request schema", problem) for problem in unfit], []
            answer = self._post(case, fixture)
        except OSError as error:
            return None, [Problem("", "fixture", f"cannot be read: {type(error).__name__}")], []
        except _NotAnObject as error:
            return None, [Problem("", "fixture", f"the fixture {error}")], []
        except BadSchema as error:
            return None, [Problem("", "schema", f"the request schema is {error}")], []
        except NoAnswer as error:
            return None, [Problem("", error.rule, str(error))], []
        if answer.status != 200:
            return answer.status, [Problem("", "status", _instead_of(200, answer.status))], []
        try:
            body = _object(answer.body)
            found = problems_in(body, case.answer_schema, is_answer=True)
        except _NotAnObject as error:
            return 200, [Problem("", "body", f"the answer {error}")], []
        except BadSchema as error:
            return 200, [Problem("", "schema", f"the answer schema is {error}")], []
        return 200, found, self._refusals(case, body, found)

    def _refusals(self, case: Case, body: dict[str, Any], found: list[Problem]) -> list[Problem]:
        callback = self.contract.callbacks.get(case.callback)
        if callback is None:
            return []
        told = {(problem.pointer, problem.rule) for problem in found}
        return [
            _led("RetailOps' production caller would refuse", problem)
            for problem in callback.judge(body)
            if (problem.pointer, problem.rule) not in told
        ]

    def _with_a_wrong_key(self, case: Case) -> list[Problem]:
        fixture = _object(case.fixture.read_bytes())
        try:
            answer = self._post(case, {**fixture, "integration_auth_token": WRONG_KEY})
        except NoAnswer as error:
            return [Problem("", error.rule, f"for a wrong key, {error}")]
        if answer.status != 401:
            return [Problem("", "status", f"for a wrong key, {_instead_of(401, answer.status)}")]
        return []

    def _post(self, case: Case, fixture: dict[str, Any]) -> Answer:
        self.tell(f"POST {case.href} {_encoded({**fixture, 'integration_auth_token': _MASK}).decode().rstrip()}")
        answer = self.target.post(case.href, _encoded(fixture))
        self.tell(f"{answer.status} {self._masked(answer.body.decode('utf-8', 'replace'))}")
        return answer

    def _masked(self, text: str) -> str:
        for form in (self.key, self.key.replace("/", "\\/"), WRONG_KEY):
            text = text.replace(form, _MASK)
        return text


class _NotAnObject(ValueError):
    """Bytes that are not one JSON object; the message goes on after a subject."""


def _object(raw: bytes) -> dict[str, Any]:
    if not raw.strip():
        raise _NotAnObject("is empty; it must be a JSON object")
    try:
        value = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        raise _NotAnObject("is not JSON; it must be a JSON object") from None
    if not isinstance(value, dict):
        raise _NotAnObject("is JSON but not an object")
    return value


def _encoded(fixture: dict[str, Any]) -> bytes:
    """As the SDK's tool writes it: sorted keys, HTML's characters escaped, a newline at the end."""
    raw = msgspec.json.encode(fixture, order="sorted")
    for character, escape in _ESCAPED.items():
        raw = raw.replace(character, escape)
    return raw + b"\n"


def _led(lead: str, problem: Problem) -> Problem:
    return Problem(problem.pointer, problem.rule, f"{lead}: {problem.message}")


def _instead_of(expected: int, status: int) -> str:
    remark = "; redirects are not followed" if 300 <= status < 400 else ""
    return f"status {status} came instead of {expected}{remark}"
