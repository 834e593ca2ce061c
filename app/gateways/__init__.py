"""The registry: which vendors exist and where each one's folder is.

A vendor is imported when a channel first names it, so a vendor that cannot be imported stops only
the channels that use it.  Adding one is a folder and a line here.
"""

from __future__ import annotations

import importlib
from typing import cast

from app.gateways.interface import Vendor

REGISTRY: dict[str, str] = {
    "rally": "app.gateways.rally",
    "pipe17": "app.gateways.pipe17",
    "retailrocket": "app.gateways.retailrocket",
}


def vendor(token: str) -> Vendor:
    """The vendor a token of `channels.toml` stands for.  Raises `KeyError` for an unknown token."""
    return cast(Vendor, importlib.import_module(REGISTRY[token]).VENDOR)
