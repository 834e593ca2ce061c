"""The SDK's own verifier, replayed with all its leniency (contract 1.7), to see beforehand what it would say."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from app.cli.verify.bodies import NotAnObject, read_object, written
from app.cli.verify.exchange import NoAnswer, Target
from app.cli.verify.plan import Case, Plan
from app.cli.verify.probes import WRONG_KEY
from app.cli.verify.reference import BadSchema, Reference

_TIME = r"([01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.,][0-9]+)?"
_BARE_TIME = re.compile(rf"{_TIME}(Z|[+-][0-9]{{2}}:[0-9]{{2}})?")
_MOMENT = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(T{_TIME}(Z|[+-][0-9]{{2}}:[0-9]{{2}}))?")


class Verdict(msgspec.Struct, frozen=True):
    """What the tool says of one fixture; `reason` is empty where it is content."""

    fixture: str
    ok: bool
    reason: str


def is_its_date_time(value: object) -> bool:
    """RFC 3339 with or without fraction, but also a bare date and a bare time."""
    if not isinstance(value, str):
        return False
    if _BARE_TIME.fullmatch(value):
        return True
    moment = _MOMENT.fullmatch(value)
    if moment is None:
        return False
    try:
        datetime.strptime(moment[1], "%Y-%m-%d")
    except ValueError:
        return False
    return True


def replay(
    plan: Plan,
    target: Target,
    key: str,
    *,
    stop_on_error: bool = False,
    on_verdict: Callable[[Verdict], None] = lambda _: None,
) -> list[Verdict]:
    """Its run: good key, then, only after success, a wrong one.  `target` must follow redirects."""
    verdicts = []
    for case in plan.cases:
        reason = _reason(case, target, key)
        verdicts.append(Verdict(case.fixture.name, not reason, reason))
        on_verdict(verdicts[-1])
        if reason and stop_on_error:
            break
    return verdicts


def _reason(case: Case, target: Target, key: str) -> str:
    try:
        fixture = {**read_object(case.fixture.read_bytes()), "integration_auth_token": key}
        unfit = _its(case.link.request_schema).problems(fixture)
        if unfit:
            return f"the fixture does not fit the request schema: {unfit[0].message}"
        path = target.path(case.link.href)
        answer = target.post(path, written(fixture))
        if answer.status != 200:
            return f"status {answer.status} came instead of 200"
        found = _its(case.link.answer_schema).problems(_read(answer.body))
        if found:
            return found[0].message
        refused = target.post(path, written({**fixture, "integration_auth_token": WRONG_KEY}))
        return "" if refused.status == 401 else f"for a wrong key, status {refused.status} came instead of 401"
    except OSError as error:
        return f"the fixture cannot be read: {type(error).__name__}"
    except (NotAnObject, BadSchema, NoAnswer) as error:
        return str(error)


def _its(schema: dict[str, Any]) -> Reference:
    """It holds requests and answers to the same loose dates."""
    return Reference(schema, {"date-time": is_its_date_time})


def _read(raw: bytes) -> dict[str, Any]:
    """It takes bytes that are no UTF-8 for a replacement character."""
    return read_object(raw.decode("utf-8", "replace").encode())
