"""How each vendor of the registry is set up against its sandbox, so that one suite can judge them all.

A vendor has `vendors/<token>/target.py` beside this file; `test_conformance.py` fails until it does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.commands import CommandBody
from app.domain.stock import StockChange
from app.domain.traffic import VendorCall
from app.gateways.capabilities import Gateway
from app.sandbox.server import RunningServer

PATIENCE_S = 0.5
"""How long a vendor is waited for that gives no whole answer."""

ANSWERED_S = 5.0
"""How long one is waited for that answers at once, on a busy machine as well."""


@dataclass
class Target:
    """A vendor's sandbox with one order in it, and what to say about that order."""

    server: RunningServer
    make: Callable[[str, float], Gateway]
    """A gateway for a base URL, and how many seconds it waits for an answer."""
    base_url: str
    api_prefix: str
    order_refnum: str
    commands: Mapping[str, CommandBody]
    write: str
    """The command whose last call is a POST: the one a vendor's failures are tried on."""
    stock: list[StockChange]
    secrets: tuple[str, ...]
    calls: list[VendorCall] = field(default_factory=list)
    ignores_bodies: bool = False
    """True for a vendor that documents no body of its answers, so that the status alone counts."""
    reads: Callable[[Gateway], list[Callable[[], object]]] | None = None
    """What is asked of it, where that is not about orders (they are kept here)."""

    def gateway(self, patience_s: float = ANSWERED_S) -> Gateway:
        return self.make(self.base_url, patience_s)


def _targets() -> dict[str, Callable[[], AbstractContextManager[Target]]]:
    """`target` of each `vendors/<token>/target.py` beside this file."""
    tokens = sorted(file.parent.name for file in Path(__file__).parent.glob("vendors/*/target.py"))
    return {token: importlib.import_module(f"{__package__}.vendors.{token}.target").target for token in tokens}


TARGETS: Mapping[str, Callable[[], AbstractContextManager[Target]]] = _targets()
