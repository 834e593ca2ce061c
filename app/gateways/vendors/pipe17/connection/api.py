"""What is the same in every call to Pipe17: its envelope, its two kinds of refusal, its pages, its bulk POST."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from app.errors import BrokenReply, GatewayError, Misconfigured, Refused, only_reading
from app.gateways.calls import Call
from app.gateways.wire_objects import Json, Switch, Units, encode, read, read_all, wire, write
from app.transport import replies
from app.transport.client import VendorClient

PAGE: Final = 100
"""Rows requested at a time; live clients use 100 to 500, the largest allowed is unknown (contract 1.5)."""

KEPT_S: Final = 600.0
"""How long what was read of products, locations and locked records is used."""

LONGEST_KEPT_S: Final = 86_400.0
"""Nothing that was read is used for longer."""

FORBIDDEN: Final = "HTTP_403"
"""No grant, whatever the object."""

NOT_FOUND: Final = "HTTP_404"
DUPLICATE: Final = "HTTP_409"
NOT_PIPE17: Final = "NOT_PIPE17"
"""A 404 that is not of Pipe17's form."""

_REASON_LENGTH: Final = 120

Params = Mapping[str, str | int]

T = TypeVar("T")


@dataclass(frozen=True)
class _Pagination:
    is_last: bool = wire(Switch("last"))
    page_size: int | None = wire(Units("pageSize"))


@dataclass(frozen=True)
class Page:
    """One page of a list: its rows as they came, and where the next page begins (None after the last)."""

    rows: list[Any]
    next_skip: int | None


class Api:
    """Pipe17's API as one key sees it."""

    def __init__(self, client: VendorClient) -> None:
        self._client = client
        self._outdated = 0

    def now(self) -> float:
        """Seconds by which the age of what was read is judged."""
        return time.monotonic() + self._outdated * LONGEST_KEPT_S

    def outdate(self) -> None:
        """Everything read until now is out of date."""
        self._outdated += 1

    def read(
        self, path: str, call: Call, *, ids: Mapping[str, str] | None = None, params: Params | None = None
    ) -> Json:
        """The body of a successful GET.  Raises a `GatewayError`; a read surely changes nothing."""
        with only_reading():
            return _understood(self._client.send("GET", path, call, ids=ids, params=params))

    def read_one(self, path: str, key: str, object_id: str, call: Call) -> Any | None:
        """The object under `key`, or None when Pipe17 has no such object."""
        try:
            body = self.read(path, call, ids={"id": object_id})
        except Refused as error:
            if error.code == NOT_FOUND:
                return None
            raise
        if key not in body:
            raise unreadable(path)
        return body[key]

    def page(self, path: str, params: Params, call: Call, *, skip: int = 0, key: str = "", count: int = PAGE) -> Page:
        """One page of a list, whole objects (contract 1.5).  Raises a `GatewayError`.

        The list stands in the answer under `key`; without one, under its path's name.
        """
        body = self.read(path, call, params={**params, "keys": "*", "count": count, "skip": skip})
        rows = body.get(key or path[1:])
        if not isinstance(rows, list):
            raise unreadable(path)
        pagination = read(_Pagination, body.get("pagination")) or _Pagination()
        # A vendor that gives fewer rows than requested says so in `pageSize`: its short pages are not the last ones.
        step = max(pagination.page_size or 0, 0) or count
        is_last = pagination.is_last or len(rows) < min(step, count)
        return Page(rows, None if is_last else skip + step)

    def pages(self, path: str, params: Params, call: Call, *, key: str = "", count: int = PAGE) -> Iterator[list[Any]]:
        """A list page by page.  Raises a `GatewayError` at any page."""
        skip: int | None = 0
        while skip is not None:
            page = self.page(path, params, call, skip=skip, key=key, count=count)
            yield page.rows
            skip = page.next_skip

    def objects(
        self, path: str, kind: type[T], params: Params, call: Call, *, key: str = "", count: int = PAGE
    ) -> Iterator[T]:
        """The objects of a list that can be read.  Raises a `GatewayError` at any page."""
        for rows in self.pages(path, params, call, key=key, count=count):
            yield from read_all(kind, rows)

    def write(self, method: str, path: str, body: Any, call: Call, *, ids: Mapping[str, str] | None = None) -> Json:
        """The body of a successful PUT or POST.  Raises a `GatewayError`."""
        return _understood(self._client.send(method, path, call, ids=ids, body=encode(body)))

    def make(self, path: str, made: Any, call: Call) -> None:
        """POST one object.  Raises `Refused` also for a failed item in a list (contract 1.6)."""
        results = self.write("POST", path, write(made), call).get(path[1:])
        if isinstance(results, list) and any(map(_has_failed, results)):
            raise Refused("ITEM_FAILED", f"pipe17 refused POST {path}")


def _understood(reply: replies.Reply) -> Json:
    """The body of a success; any other status and `success: false` are both failures (contract 1.3)."""
    error = replies.judge(reply)
    if error is None:
        body = reply.json_object()
        if body.get("success", True) is True:
            return body
        error = _said_no(reply, body)
    elif reply.status == 404 and not _is_enveloped(reply):
        said = f"pipe17 answered 404 to {reply.method} {reply.path}"
        raise Misconfigured(NOT_PIPE17, f"{said} in a form that is not Pipe17's: correct base_url")
    raise error


def _said_no(reply: replies.Reply, body: Json) -> GatewayError:
    """A refusal in a 200: its `code` is what the status would have been."""
    code = body.get("code")
    if body.get("message") == "No results":
        code = 404
    error = replies.judge(replace(reply, status=code)) if isinstance(code, int) and 300 <= code <= 599 else None
    said = f"pipe17 answered {reply.method} {reply.path} with success false"
    return error or Refused("NOT_A_SUCCESS", said)


def _is_enveloped(reply: replies.Reply) -> bool:
    try:
        return "success" in reply.json_object()
    except BrokenReply:
        return False


def unreadable(path: str) -> BrokenReply:
    """See `replies.unreadable`."""
    return replies.unreadable("pipe17", path)


def _has_failed(item: object) -> bool:
    """Whether a result of a bulk POST is a failure (contract 1.6); without a status it is a record."""
    return isinstance(item, dict) and (item.get("status") == "failed" or item.get("success") is False)


def post_each(
    api: Api, path: str, singular: str, records: Sequence[Json], names: Sequence[str], call: Call, *, batch: int | None
) -> Iterator[tuple[int, str]]:
    """Post the records; for each, as soon as it is answered, its place and why it was refused ("" when taken).

    `batch` is the longest array, None posts single objects; `names` are the fields that tell the records apart.
    Raises a `GatewayError` where the rest has no answer.
    """
    size = batch or 1
    waiting = deque(range(at, min(at + size, len(records))) for at in range(0, len(records), size))
    while waiting:
        places = waiting.popleft()
        some = [records[place] for place in places]
        try:
            body = api.write("POST", path, some if batch else some[0], call)
        except Refused as error:
            if len(some) == 1:
                yield places[0], error.message
                continue
            # One record must not cost the others: find it by halves.
            half = places.start + len(some) // 2
            waiting.extendleft((range(half, places.stop), range(places.start, half)))
            continue
        results = body.get(path.removeprefix("/"))
        if isinstance(results, list):
            yield from zip(places, _reasons(path, singular, some, names, results), strict=True)
        else:
            yield from ((place, "") for place in places)  # One object, or only "queued" (202): the whole was taken.


def _reasons(path: str, singular: str, records: Sequence[Json], names: Sequence[str], results: list[Any]) -> list[str]:
    """Answers by the names they repeat, the others in their order: names may come back in another spelling."""
    sent = [tuple(str(record[name]) for name in names) for record in records]
    known = set(sent)
    found: dict[tuple[str, ...], str] = {}
    others: list[str] = []
    for result in results:
        row = result if isinstance(result, dict) else {}
        echo = row[singular] if isinstance(row.get(singular), dict) else row
        key = tuple(str(echo.get(name, "")) for name in names)
        if key in known:
            found[key] = _reason(row)
        else:
            others.append(_reason(row))
    unnamed = [key for key in dict.fromkeys(sent) if key not in found]
    if len(unnamed) != len(others):
        raise BrokenReply("RESULTS_MISSING", f"pipe17 answered POST {path} without a result for every record")
    found |= zip(unnamed, others, strict=True)
    return [found[key] for key in sent]


def _reason(result: Json) -> str:
    if not _has_failed(result):
        return ""
    said = result.get("message")
    reason = " ".join(said.split())[:_REASON_LENGTH] if isinstance(said, str) else ""
    return f"pipe17 refused it: {reason or 'no reason given'}"
