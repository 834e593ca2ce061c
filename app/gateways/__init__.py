"""The registry: which vendors exist and where each one's folder is.

A vendor is imported when a channel first names it, so a vendor that cannot be imported stops only
the channels that use it.  Adding one is a folder and a line here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Final, cast

from app.gateways.interface import Vendor

REGISTRY: dict[str, str] = {
    "rally": "app.gateways.rally",
    "pipe17": "app.gateways.pipe17",
    "retailrocket": "app.gateways.retailrocket",
}


class _Vendors(Mapping[str, Vendor]):
    """Imports a vendor when it is taken out: raises `KeyError` for an unknown token, and `ImportError`."""

    def __getitem__(self, token: str) -> Vendor:
        return cast(Vendor, importlib.import_module(REGISTRY[token]).VENDOR)

    def __contains__(self, token: object) -> bool:
        return token in REGISTRY

    def __iter__(self) -> Iterator[str]:
        return iter(REGISTRY)

    def __len__(self) -> int:
        return len(REGISTRY)


VENDORS: Final = _Vendors()
"""Every vendor by the token that `channels.toml` uses."""
