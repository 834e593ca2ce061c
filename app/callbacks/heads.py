"""gunicorn's reading of a request's head, fed with what is here, and without what it would work out for every request.

gunicorn looks each setting up by name and parses the client's address each time, which together are a third of it.
What nearly every head looks like is taken apart at once; all others, and every refusal, are gunicorn's.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from gunicorn.http.message import (  # type: ignore[import-untyped]
    RFC9110_5_3_SINGLETON_FIELDS,
    Request,
)

_MOST_ORDINARY_BYTES: Final = 4096

_ORDINARY_HEAD: Final = re.compile(
    r"(?P<method>[A-Z]{3,20}) (?P<path>/(?!/)[!\x22$-\x3e@-~]*)(?:\?(?P<query>[!\x22$-~]*))? HTTP/1\.1\r\n"
    r"(?P<fields>(?:[A-Za-z0-9-]+:[\t -~]*\r\n)+)\r\n"
)
"""Its address begins with one slash and has no fragment; no name of a field has an underscore, and all is ASCII."""

_FIELD: Final = re.compile(r"([^:]+):([^\r]*)\r\n")

_JUDGED: Final = RFC9110_5_3_SINGLETON_FIELDS | {"EXPECT"}
"""Fields of which gunicorn's policy says more than that they are kept; those of `secure_scheme_headers` besides."""


class PlainSettings:
    """gunicorn's settings at one moment, as attributes.  A worker's never change: a reload starts another."""

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg
        self.__dict__.update((name, setting.get()) for name, setting in cfg.settings.items())
        self.is_trusted = lru_cache(256)(self._is_trusted)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cfg, name)

    def _is_trusted(self, client: Any) -> bool:
        request = object.__new__(Request)
        request.cfg, request.peer_addr = self._cfg, (client,)
        return bool(request._peer_is_trusted_proxy())


class Head(Request):  # type: ignore[misc]
    """A request whose head has been read."""

    cfg: PlainSettings

    def _peer_is_trusted_proxy(self) -> bool:
        address = self.peer_addr
        return not isinstance(address, tuple) or self.cfg.is_trusted(address[0])

    def parse(self, unreader: _Given) -> bytes:
        rest = b"" if self._is_ordinary(unreader.data) else super().parse(unreader)
        assert isinstance(rest, bytes)
        return rest

    def _is_ordinary(self, data: bytes) -> bool:
        """True when the head was read, as gunicorn would read it."""
        least = min(self.limit_request_line or _MOST_ORDINARY_BYTES, self.limit_request_field_size)
        if len(data) > min(least, _MOST_ORDINARY_BYTES):
            return False
        head = _ORDINARY_HEAD.fullmatch(data.decode("latin-1"))
        if head is None:
            return False
        fields = _FIELD.findall(head["fields"])
        if len(fields) > self.limit_request_fields:
            return False
        self.method, self.path, self.query, self.fragment = head["method"], head["path"], head["query"] or "", ""
        self.uri = self.path if head["query"] is None else f"{self.path}?{self.query}"
        self.version = (1, 1)
        self.headers = self._kept(fields)
        return True

    def _kept(self, fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
        scheme_headers, forwarder_headers = self._peer_trusted_for_forwarded()
        is_scheme_stated, seen = [False], set[str]()
        kept = []
        for written, said in fields:
            name, value = written.upper(), said.strip(" \t")
            kept.append((name, value))
            if name in _JUDGED or name in scheme_headers:
                self._apply_header_policy(name, value, is_scheme_stated, seen, scheme_headers, forwarder_headers)
        return kept


class _Given:
    """What gunicorn's parser reads from: so many bytes and no more."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int | None = None, read_ahead: int | None = None) -> bytes:
        data, self.data = self.data, b""
        return data

    def unread(self, data: bytes) -> None:
        self.data = data + self.data


def read_head(cfg: PlainSettings, data: bytes, client: Any, number: int) -> Head:
    """The request these bytes are the head of; `number` counts a connection's requests from 1.

    Raises gunicorn's `ParseException` for what is no HTTP, `NoMoreData` where the head is not complete.
    """
    return Head(cfg, _Given(data), client, number)
