"""What is the same in every call to Pipe17: its envelope, its two kinds of refusal, its pages, its bulk POST."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from app.errors import BrokenReply, GatewayError, Misconfigured, Refused, Unavailable, only_reading
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.wire_objects import Json, Switch, Units, encode, read, read_all, wire, write
from app.transport import replies
from app.transport.client import VendorClient

TOKEN: Final = "pipe17"

PAGE: Final = 100
"""Rows requested at a time; live clients use 100 to 500, the largest allowed is unknown (contract 1.5)."""

KEPT_S: Final = 600.0
"""How long what was read of products, locations and locked records is used."""

LONGEST_KEPT_S: Final = 86_400.0
"""Nothing that was read is used for longer."""

SHIPMENTS: Final = "/shipments"
"""The path of shipping requests unless the setting `shipments_path` says otherwise (contract 5.2, row 13)."""

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


class NoGrant(Misconfigured):
    """A 403: the key has no grant, whatever the object."""


class Api:
    """Pipe17's API as one key of one channel sees it.

    A path is a list's, such as /products; with an id, the path of that object.
    """

    def __init__(self, client: VendorClient, options: Pipe17Options, channel: str) -> None:
        self._client = client
        self.options = options
        self.integration_id = options.integration_id
        self.channel = channel
        """The key of the channel's records."""
        self._outdated = 0

    def now(self) -> float:
        """Seconds by which the age of what was read is judged."""
        return time.monotonic() + self._outdated * LONGEST_KEPT_S

    def outdate(self) -> None:
        """Everything read until now is out of date."""
        self._outdated += 1

    def read(self, path: str, call: Call, *, object_id: str | None = None, params: Params | None = None) -> Json:
        """The body of a successful GET.  Raises a `GatewayError`; a read surely changes nothing."""
        with only_reading():
            return self._send("GET", path, call, object_id, params=params)

    def read_one(self, path: str, object_id: str, call: Call) -> Any | None:
        """One object, or None when Pipe17 has no such object."""
        try:
            body = self.read(path, call, object_id=object_id)
        except Refused as error:
            if error.code == NOT_FOUND:
                return None
            raise
        if (key := _singular(path)) not in body:
            raise self.unreadable(path, is_one=True)
        return body[key]

    def unreadable(self, path: str, *, is_one: bool = False) -> BrokenReply:
        """See `replies.unreadable`; `is_one`: of a single object."""
        return replies.unreadable(TOKEN, self._address(path, is_one=is_one))

    def page(self, path: str, params: Params, call: Call, *, skip: int = 0, count: int = PAGE) -> Page:
        """One page of a list, whole objects (contract 1.5).  Raises a `GatewayError`."""
        body = self.read(path, call, params={**params, "keys": "*", "count": count, "skip": skip})
        rows = body.get(path[1:])
        if not isinstance(rows, list):
            raise self.unreadable(path)
        pagination = read(_Pagination, body.get("pagination")) or _Pagination()
        # A vendor that gives fewer rows than requested says so in `pageSize`: its short pages are not the last ones.
        step = max(pagination.page_size or 0, 0) or count
        is_last = pagination.is_last or len(rows) < min(step, count)
        return Page(rows, None if is_last else skip + step)

    def pages(self, path: str, params: Params, call: Call, *, count: int = PAGE) -> Iterator[list[Any]]:
        """A list page by page.  Raises a `GatewayError` at any page."""
        skip: int | None = 0
        while skip is not None:
            page = self.page(path, params, call, skip=skip, count=count)
            yield page.rows
            skip = page.next_skip

    def objects(self, path: str, kind: type[T], params: Params, call: Call, *, count: int = PAGE) -> Iterator[T]:
        """The objects of a list that can be read.  Raises a `GatewayError` at any page."""
        for rows in self.pages(path, params, call, count=count):
            yield from read_all(kind, rows)

    def change(self, path: str, object_id: str, body: Json, call: Call) -> None:
        """PUT these fields of an object.  Raises a `GatewayError`."""
        self._send("PUT", path, call, object_id, body=encode(body))

    def post(self, path: str, body: Any, call: Call) -> Json:
        """The body of a successful POST.  Raises a `GatewayError`."""
        return self._send("POST", path, call, body=encode(body))

    def make(self, path: str, made: Any, kind: str, find: Callable[[], T], call: Call) -> T | None:
        """POST one object that has a number of ours: None, or what `find` finds where that number is taken already.

        `kind` is the word for it in a message.  Raises `Refused` also for a failed item in a list (contract 1.6), and
        `Unavailable` DUPLICATE_NOT_SHOWN, surely not done, while Pipe17 does not show by what it is taken (R24).
        """
        try:
            results = self.post(path, write(made), call).get(path[1:])
        except Refused as error:
            if error.code != DUPLICATE:
                raise
            found = find()
            if found is None:
                message = f"pipe17 has our number of this {kind} already and does not show the {kind} yet"
                raise Unavailable("DUPLICATE_NOT_SHOWN", message) from error
            return found
        if isinstance(results, list) and any(map(_has_failed, results)):
            raise Refused("ITEM_FAILED", f"pipe17 refused POST {path}")
        return None

    def post_each(
        self, path: str, records: Sequence[Json], names: Sequence[str], call: Call
    ) -> Iterator[tuple[int, str]]:
        """Post the records; for each, as soon as it is answered, its place and why it was refused ("" when taken).

        Of many in one call, unless the settings say one by one; `names` are the fields that tell the records apart.
        Raises a `GatewayError` where the rest has no answer.
        """
        is_array = self.options.bulk_post == "array"
        size = self.options.ingest_batch if is_array else 1
        waiting = deque(range(at, min(at + size, len(records))) for at in range(0, len(records), size))
        while waiting:
            places = waiting.popleft()
            some = [records[place] for place in places]
            try:
                body = self.post(path, some if is_array else some[0], call)
            except Refused as error:
                if len(some) == 1:
                    yield places[0], error.message
                    continue
                # One record must not cost the others: find it by halves.
                half = places.start + len(some) // 2
                waiting.extendleft((range(half, places.stop), range(places.start, half)))
                continue
            results = body.get(path[1:])
            if isinstance(results, list):
                yield from zip(places, _reasons(path, some, names, results), strict=True)
            else:
                yield from ((place, "") for place in places)  # One object, or only "queued" (202): the whole was taken.

    def _send(self, method: str, path: str, call: Call, object_id: str | None = None, **sent: Any) -> Json:
        """Sends parameters or a body, and gives the body of a success.  Raises a `GatewayError`."""
        ids = {} if object_id is None else {"id": object_id}
        return _understood(self._client.send(method, self._address(path, is_one=bool(ids)), call, ids=ids, **sent))

    def _address(self, path: str, *, is_one: bool) -> str:
        return (self.options.shipments_path if path == SHIPMENTS else path) + ("/{id}" if is_one else "")


def _singular(path: str) -> str:
    """The key of one object in an answer: product of /products, inventory of /inventory."""
    return path[1:].removesuffix("s")


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
    raise NoGrant(error.code, error.message) if error.code == "HTTP_403" else error


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


def _has_failed(item: object) -> bool:
    """Whether a result of a bulk POST is a failure (contract 1.6); without a status it is a record."""
    return isinstance(item, dict) and (item.get("status") == "failed" or item.get("success") is False)


def _reasons(path: str, records: Sequence[Json], names: Sequence[str], results: list[Any]) -> list[str]:
    """Answers by the names they repeat, the others in their order: names may come back in another spelling."""
    sent = [tuple(str(record[name]) for name in names) for record in records]
    known, singular = set(sent), _singular(path)
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
