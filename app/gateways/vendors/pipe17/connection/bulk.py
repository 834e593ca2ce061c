"""A POST of many records at once, answered for each by itself (contract 1.6)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from app.errors import BrokenReply, Refused
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import Api
from app.gateways.wire_objects import Json

_REASON_LENGTH = 120


def has_failed(item: object) -> bool:
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
    asked = [tuple(str(record[name]) for name in names) for record in records]
    known = set(asked)
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
    unnamed = [key for key in dict.fromkeys(asked) if key not in found]
    if len(unnamed) != len(others):
        raise BrokenReply("RESULTS_MISSING", f"pipe17 answered POST {path} without a result for every record")
    found |= zip(unnamed, others, strict=True)
    return [found[key] for key in asked]


def _reason(result: Json) -> str:
    if not has_failed(result):
        return ""
    said = result.get("message")
    reason = " ".join(said.split())[:_REASON_LENGTH] if isinstance(said, str) else ""
    return f"pipe17 refused it: {reason or 'no reason given'}"
