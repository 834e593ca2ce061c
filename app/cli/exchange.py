"""One callback sent by hand: how its body is changed, what came back, and whether RetailOps would take it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from app.channel_settings import SHORTEST_KEY
from app.cli.verify.bodies import NotAnObject, mapped, read_object
from app.cli.verify.keys import MASK, Secret
from app.cli.verify.target import NoAnswer, Target
from app.contract.problems import Problem
from app.contract.schemas import Callback
from app.transport.replies import Reply

SHOWN = 2000
"""Characters shown of an answer that is not JSON."""

_STEP = re.compile(r"([^.\[\]]+)|\[([0-9]{1,6})\]")


class Verdict(msgspec.Struct, frozen=True):
    """What came back; the key stands in none of it.

    `problems` are what RetailOps' production caller would refuse in a 200; `error` says why there is no
    answer to judge.
    """

    ok: bool
    callback: str
    url: str
    request: dict[str, Any]
    request_problems: list[str]
    status: int | None = None
    ms: int | None = None
    request_id: str = ""
    answer: Any = None
    text: str = ""
    problems: list[Problem] = []
    error: str = ""


def apply_change(body: dict[str, Any], change: str) -> None:
    """Carry out one `path=value` of --set: objects on the way are made, a list grows by one element at a time.

    Raises `click.BadParameter` naming the path.
    """
    path, sign, text = change.partition("=")
    steps = [name or int(index) for name, index in _STEP.findall(path)]
    spelled = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    if not sign or not steps or spelled.removeprefix(".") != path:
        raise click.BadParameter(
            f"'{path}' must be a path and a value, as in order.items[0].sku=A1", param_hint="--set"
        )
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):
        value = text
    place: Any = body
    for position, step in enumerate(steps):
        is_last = position == len(steps) - 1
        below: Any = value if is_last else [] if isinstance(steps[position + 1], int) else {}
        _enter(place, step, below, is_last, path)
        place = place[step]


def _enter(place: Any, step: str | int, below: Any, is_last: bool, path: str) -> None:
    """Make sure that the step leads somewhere; the last one always gets its value."""
    if isinstance(step, int):
        if not isinstance(place, list) or step > len(place):
            rule = f"has {len(place)} elements" if isinstance(place, list) else "is no list"
            raise click.BadParameter(f"{path}: what [{step}] is looked for in {rule}", param_hint="--set")
        if step == len(place):
            place.append(below)
        elif is_last or place[step] is None:
            place[step] = below
    else:
        if not isinstance(place, dict):
            raise click.BadParameter(f"{path}: what '{step}' is looked for in is no object", param_hint="--set")
        if is_last or place.get(step) is None:
            place[step] = below


def exchange(callback: Callback, body: dict[str, Any], target: Target, url: str, key: str) -> Verdict:
    """Send it and judge what comes back.  Raises nothing for a server's faults: they are the verdict.

    `key` is kept out of the verdict, as is the one in the body.
    """
    sent = body.get("integration_auth_token")
    secret = Secret(*(text for text in (key, sent) if isinstance(text, str) and len(text) >= SHORTEST_KEY))
    reading = callback.read({name: value for name, value in body.items() if name != "integration_auth_token"})
    found = [*reading.envelope, *reading.problems, *(item for part in reading.bad_entries.values() for item in part)]
    verdict = Verdict(
        ok=False,
        callback=callback.name,
        url=f"{_shown_address(url)}/{callback.name}_v1",
        request=_masked(body, secret),
        request_problems=[secret.masked(problem.message) for problem in found],
    )
    try:
        answer = target.send("POST", target.path(f"/{callback.name}_v1"), msgspec.json.encode(body))
    except NoAnswer as error:
        return msgspec.structs.replace(verdict, error=str(error))
    return msgspec.structs.replace(verdict, **_judged(callback, answer, secret))


def _judged(callback: Callback, answer: Reply, secret: Secret) -> dict[str, Any]:
    """What the verdict says of an answer."""
    request_id = secret.masked(re.sub(r"[^\x21-\x7e]", "", answer.headers.get("X-Request-Id", ""))[:64])
    seen = {"status": answer.status, "ms": answer.ms, "request_id": request_id}
    wrong = "" if answer.status == 200 else _status_says(answer)
    try:
        read = read_object(answer.body)
    except NotAnObject as error:
        text = "\n".join(map(secret.shown, answer.body[: 4 * SHOWN].splitlines()))[:SHOWN]
        return {**seen, "text": text, "error": wrong or f"the body of the answer {error}"}
    problems = [] if wrong else list(callback.judge(read))
    ok = not (wrong or problems)
    return {**seen, "ok": ok, "answer": _masked(read, secret), "problems": problems, "error": wrong}


def _status_says(answer: Reply) -> str:
    if 300 <= answer.status < 400:
        return f"status {answer.status}: a redirect, which is not followed; give --to the address it leads to"
    meaning = {
        400: "the server cannot take the body as this callback",
        401: "the server does not accept the key for this client_id and channel_info.id",
        404: "there is no such callback below --to",
        405: "the server does not take a POST there",
        503: "the server cannot answer just now",
    }.get(answer.status, "RetailOps reads the body of a 200 only")
    return f"status {answer.status}: {meaning}"


def _masked(body: dict[str, Any], secret: Secret) -> Any:
    def shown(value: Any) -> Any:
        if isinstance(value, str):
            return secret.masked(value)
        return MASK if secret.is_in(str(value)) else value

    return mapped(body, shown, secret.masked)


def _shown_address(url: str) -> str:
    """The address without what may be a secret in it: user, password, query."""
    parts = urlsplit(url.rstrip("/"))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
