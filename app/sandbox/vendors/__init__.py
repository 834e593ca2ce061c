"""The sandboxes, found by the name of their folder: a new one is a folder here, with `VENDOR`, and nothing else."""

from __future__ import annotations

import importlib
import pkgutil

from app.sandbox.host import Vendor

EXAMPLE = "example_shop"
"""The stand-in of the made-up vendor that `channel new-gateway` copies: started only where it is named."""


def names() -> list[str]:
    """Every vendor that has a folder here, imported or not, but the made-up one."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.ispkg and found.name != EXAMPLE)


def vendor(name: str) -> Vendor:
    """The sandbox in the folder of this name.  Raises `KeyError` where there is none."""
    if name not in (*names(), EXAMPLE):
        raise KeyError(name)
    found: Vendor = importlib.import_module(f"{__name__}.{name}").VENDOR
    return found
