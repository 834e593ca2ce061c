"""The SDK's own verifier, replayed with all its leniency (SDK contract 1.7), to see beforehand what it would say.

Without folders of the user's it judges as the tool with the SDK's own files: one fixture for each callback the SDK
knows, and answers held to the published rules.  With folders it judges by them alone.

Knowingly different: where the tool crashes (a link without one of its schemas, a fixture that is null) a test
fails here; JSON nested deeper than about a thousand levels is no JSON here, for the tool it is up to ten thousand; an
answer beyond 64 MiB is refused; a `$ref` to another address is never followed; and the tool always waits 15 s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from app.cli.verify.bodies import NotAnObject, mapped, read_object, written
from app.cli.verify.plan import callback_of, fixtures_of, matching, no_fixtures, schema_files
from app.cli.verify.probes import WRONG_KEY
from app.cli.verify.reference import FLOATS, BadSchema, Reference
from app.cli.verify.target import NoAnswer, Target
from app.contract.files import FIXTURES, SCHEMAS
from app.contract.published import NOT_PUBLISHED, published_answer

_TIME = r"([01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.,][0-9]+)?"
_BARE_TIME = re.compile(rf"{_TIME}(Z|[+-][0-9]{{2}}:[0-9]{{2}})?")
_MOMENT = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(T{_TIME}(Z|[+-][0-9]{{2}}:[0-9]{{2}}))?")

_PUBLISHED_FIXTURE = "_ex_1"
"""The SDK has one fixture for each callback."""

_HEX = "[0-9a-fA-F]{2}"
_SURROGATES = re.compile(rf"(?P<whole>\\\\|\\u[dD][89abAB]{_HEX}\\u[dD][c-fC-F]{_HEX})|\\u[dD][89a-fA-F]{_HEX}")


@dataclass(frozen=True)
class Example:
    """A fixture and the schema file by which it is sent; `is_published`: its answers are held to the SDK's rules."""

    schema: Path
    fixture: Path
    is_published: bool = False


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


def collect(schema_path: Path | None, tests_path: Path | None, actions: str) -> list[Example]:
    """What it would run: unknown actions are skipped, a callback that two of them match is tried twice.

    A path that is None stands for the SDK's own files: the callbacks and the rules it has published, and one
    fixture for each.  Raises `NoPlan` where there is nothing to run.
    """
    files = matching(schema_files(schema_path or SCHEMAS), actions)
    if schema_path is None:
        files = [file for file in files if callback_of(file) not in NOT_PUBLISHED]
    found = [
        Example(file, fixture, schema_path is None)
        for file in files
        for fixture in fixtures_of(file, tests_path or FIXTURES)
        if tests_path or fixture.stem.endswith(_PUBLISHED_FIXTURE)
    ]
    if not found:
        raise no_fixtures(tests_path or FIXTURES)
    return found


def judged_by(schema_path: Path | None, tests_path: Path | None) -> str:
    """What a run goes by, in one line."""
    if schema_path is None:
        unknown = ", ".join(sorted(NOT_PUBLISHED))
        own = f", with the fixtures in {tests_path}" if tests_path else ""
        return f"judged by the SDK's published rules for answers; it has no {unknown}{own}"
    return f"judged as the SDK's tool judges by {schema_path}, with the fixtures in {tests_path}"


def replay(examples: list[Example], target: Target, key: str, *, stop_on_error: bool = False) -> Iterator[Verdict]:
    """Its run: good key, then, only after success, a wrong one.  `target` must follow redirects."""
    for example in examples:
        reason = _reason(example, target, key)
        yield Verdict(example.fixture.name, not reason, reason)
        if reason and stop_on_error:
            return


def _reason(example: Example, target: Target, key: str) -> str:
    try:
        document = _document(example)
        fixture = mapped(read_object(_first_value(_text(example.fixture.read_bytes()))), _as_double)
        for token, status in ((key, 200), (WRONG_KEY, 401)):
            body = {**fixture, "integration_auth_token": token}
            for link in _links(document):
                if reason := _reason_of(link, document.get("definitions"), body, status, target):
                    return reason
    except OSError as error:
        return f"a file cannot be read: {type(error).__name__}"
    except BadSchema as error:
        return f"the schema is {error}"
    except (NotAnObject, NoAnswer) as error:
        return str(error)
    return ""


def _reason_of(link: dict[str, Any], definitions: object, body: dict[str, Any], status: int, target: Target) -> str:
    unfit = _its(link.get("schema"), definitions).problems(body)
    if unfit:
        return f"the fixture does not fit the request schema: {unfit[0].message}"
    method = _word(link, "method").upper() or "GET"
    answer = target.send(method, target.path(_word(link, "href")), written(body))
    if answer.status != status:
        return f"{'' if status == 200 else 'for a wrong key, '}status {answer.status} came instead of {status}"
    if status != 200:
        return ""
    found = _its(link.get("targetSchema"), definitions).problems(read_object(_text(answer.body).encode()))
    return found[0].message if found else ""


def _its(schema: object, definitions: object) -> Reference:
    """It cuts a schema out and writes the file's definitions into it, be they none, which spoils it.

    Requests and answers are held to the same loose dates.
    """
    if not isinstance(schema, dict):
        raise BadSchema("missing from its link")
    if not isinstance(definitions, dict):
        raise BadSchema("spoiled by the tool: its file has no object of definitions")
    return Reference(schema | {"definitions": definitions}, {"date-time": is_its_date_time}, FLOATS)


def _document(example: Example) -> dict[str, Any]:
    """A file that is no JSON has no links for it, so it sends nothing and is content."""
    try:
        document = read_object(_first_value(_text(example.schema.read_bytes())))
    except NotAnObject:
        return {}
    if example.is_published:
        for link in document["links"]:
            link["targetSchema"] = published_answer(callback_of(example.schema), link["targetSchema"])
    return document


def _as_double(value: Any) -> Any:
    """Its fixtures go through 64-bit floats: 2^53 + 1 is sent as 2^53, and 1.0 as 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        double = float(value)
    except OverflowError:
        raise NotAnObject("holds a number that no 64-bit float can hold") from None
    return int(double) if double.is_integer() and abs(double) < 2**63 else double


def _links(document: dict[str, Any]) -> list[dict[str, Any]]:
    links = document.get("links")
    return [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []


def _word(link: dict[str, Any], name: str) -> str:
    word = link.get(name)
    return word if isinstance(word, str) else ""


def _text(raw: bytes) -> str:
    """It takes bytes that are no UTF-8, and half of a pair of surrogates, for a replacement character."""
    return _SURROGATES.sub(lambda found: found["whole"] or r"\ufffd", raw.decode("utf-8", "replace"))


def _first_value(text: str) -> bytes:
    """It does not look at what stands in a file behind the first value."""
    text = text.lstrip(" \t\r\n")
    with suppress(ValueError, RecursionError):
        text = text[: json.JSONDecoder().raw_decode(text)[1]]
    return text.encode()
