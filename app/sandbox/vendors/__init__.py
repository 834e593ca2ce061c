"""The sandboxes, found by the name of their folder: a new one is a folder here, with `VENDOR`, and nothing else."""

from __future__ import annotations

import importlib
import pkgutil

from app.sandbox.host import Vendor

_AFTER_THE_OTHERS = 10


def names() -> list[str]:
    """Every vendor that has a folder here, imported or not."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.ispkg)


def vendor(name: str) -> Vendor:
    """The sandbox in the folder of this name.  Raises `KeyError` where there is none."""
    if name not in names():
        raise KeyError(name)
    found: Vendor = importlib.import_module(f"{__name__}.{name}").VENDOR
    return found


def port_offset(name: str) -> int:
    """How far a vendor's port is from the first one of `channel sandbox`, the same whichever vendors are started."""
    own = vendor(name).port_offset
    return _AFTER_THE_OTHERS + names().index(name) if own is None else own
