"""gunicorn's reading of a request's head, fed with what is here, and without what it would work out for every request.

gunicorn looks each setting up by name and parses the client's address each time, which together are a third of it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from gunicorn.http.message import Request  # type: ignore[import-untyped]


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


class _Given:
    """What gunicorn's parser reads from: so many bytes and no more."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int | None = None, read_ahead: int | None = None) -> bytes:
        data, self._data = self._data, b""
        return data

    def unread(self, data: bytes) -> None:
        self._data = data + self._data


def read_head(cfg: PlainSettings, data: bytes, client: Any, number: int) -> Head:
    """The request these bytes are the head of; `number` counts a connection's requests from 1.

    Raises gunicorn's `ParseException` for what is no HTTP, `NoMoreData` where the head is not complete.
    """
    return Head(cfg, _Given(data), client, number)
