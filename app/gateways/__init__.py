"""The registry: which vendors exist, by the name of their folder under `vendors`.

A vendor is imported when a channel first names it, so a vendor that cannot be imported stops only
the channels that use it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, cast

from app.gateways import vendors
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Vendor

EXAMPLE: Final = "example_shop"
"""The made-up vendor that `channel new-gateway` copies.  It is not in the registry, so that no channel can have it: to
name it in channels.toml is a fault at start-up, as any name of no vendor is."""

REGISTRY: Final[dict[str, str]] = {
    found.name: f"{vendors.__name__}.{found.name}"
    for found in pkgutil.iter_modules(vendors.__path__)
    if found.ispkg and found.name != EXAMPLE
}
"""The package of each vendor by its token, which is the name of its folder."""


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


def inbound(token: str, gateways: Mapping[str, Gateway], set_aside: Collection[str]) -> Any:
    """The Flask blueprint for what this vendor calls or fetches here; None for a vendor that does neither.

    It is made by `create` of the folder `inbound` in the vendor's own.  `gateways` are this vendor's by channel name,
    former names too, for addresses that have one in them; the blueprint brings its whole paths and its own checks, and
    refuses what belongs to a channel whose name is in `set_aside`: a fault of its configuration stops it (R35).
    """
    package = importlib.import_module(REGISTRY[token])
    if all(found.name != "inbound" for found in pkgutil.iter_modules(getattr(package, "__path__", ()))):
        return None
    return importlib.import_module(f"{package.__name__}.inbound").create(gateways, set_aside)
