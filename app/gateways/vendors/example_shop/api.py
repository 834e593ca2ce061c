"""What is the same in every call to Example Shop: its key, its JSON, and how a failure is recognised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.errors import Refused, only_reading
from app.gateways.calls import Call
from app.gateways.wire_objects import Json, encode
from app.transport.client import VendorClient
from app.transport.replies import Reply, raise_for, unreadable

TOKEN: Final = "example_shop"

Params = Mapping[str, str | int]


class Api:
    """The API as one key sees it.  Every method raises a `GatewayError`."""

    def __init__(self, client: VendorClient) -> None:
        self._client = client

    def read(self, path: str, call: Call, *, order: str = "", params: Params | None = None) -> Json:
        """The object that a GET answers; whatever goes wrong, surely nothing was done."""
        with only_reading():
            reply = self._client.send("GET", path, call, ids={"order": order}, params=params)
            raise_for(reply)
            return reply.json_object()

    def read_if_any(self, path: str, call: Call, *, order: str) -> Json | None:
        """As `read`; None where there is no such object."""
        try:
            return self.read(path, call, order=order)
        except Refused as error:
            if error.code == "HTTP_404":
                return None
            raise

    def pages(self, path: str, name: str, params: Params, call: Call) -> Iterator[list[Any]]:
        """The rows of a list, page by page."""
        after: str | None = ""
        while after is not None:
            page = self.read(path, call, params={**params, "after": after})
            rows, after = page.get(name), page.get("next")
            if not isinstance(rows, list) or not isinstance(after, str | None):
                raise unreadable(TOKEN, path)
            yield rows

    def write(self, method: str, path: str, body: Any, call: Call, *, order: str = "") -> Json:
        """The object that a POST or PUT answers."""
        return self._answer(method, path, body, call, order).json_object()

    def write_each(self, path: str, rows: list[Json], call: Call) -> list[str]:
        """PUT a list; for each row why it was refused, "" where it was taken."""
        answer = self._answer("PUT", path, rows, call)
        results = answer.json_object().get("results")
        if not isinstance(results, list) or len(results) != len(rows):
            raise answer.broken("UNEXPECTED_FORM", "not one result for each row")
        return [_error_of(result, answer) for result in results]

    def _answer(self, method: str, path: str, body: Any, call: Call, order: str = "") -> Reply:
        reply = self._client.send(method, path, call, ids={"order": order}, body=encode(body))
        raise_for(reply)
        return reply


def _error_of(result: Any, answer: Reply) -> str:
    """A code, and not the vendor's sentence, which may hold anything."""
    error = result.get("error", "") if isinstance(result, dict) else None
    if not isinstance(error, str) or (error and not error.replace("_", "").isalnum()):
        raise answer.broken("UNEXPECTED_FORM", "a result that is neither taken nor refused with a code")
    return error
