"""Which codes may be sent: those of the registry.  `watch()` fails the test in which the server makes another one."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app import errors
from app.docs.generated.codes import of_vendor
from app.domain import codes
from app.gateways import EXAMPLE, REGISTRY

APP = Path(errors.__file__).parent


@functools.cache
def registered(token: str | None = None) -> frozenset[str]:
    """Codes and families of the core, with those of one vendor, or of all of them (token "")."""
    tokens = [] if token is None else [token] if token else [*REGISTRY, EXAMPLE]
    subjects = [codes.read(), *(of_vendor(one) for one in tokens)]
    return frozenset(name for found in subjects for group in found.values() for name in group)


def is_registered(code: str, token: str | None = "") -> bool:
    return code in registered(token) or codes.family(code) in registered(token)


@contextmanager
def watch() -> Iterator[list[str]]:
    """The codes without an entry of all errors that code of `app/` makes meanwhile; not those of a test's own."""
    unknown: list[str] = []
    made: dict[type[Any], Callable[..., None]] = {
        kind: kind.__init__ for kind in (errors.HttpError, errors.GatewayError)
    }

    def watched(kind: type[Any]) -> Callable[..., None]:
        def init(self: Any, *given: Any, **named: Any) -> None:
            made[kind](self, *given, **named)
            if not is_registered(self.code) and _is_made_by_the_server():
                unknown.append(self.code)

        return init

    for kind in made:
        kind.__init__ = watched(kind)
    try:
        yield unknown
    finally:
        for kind, before in made.items():
            kind.__init__ = before


def _is_made_by_the_server() -> bool:
    frame = sys._getframe(2)
    while frame.f_back is not None and Path(frame.f_code.co_filename).name == "errors.py":
        frame = frame.f_back
    return APP in Path(frame.f_code.co_filename).parents
