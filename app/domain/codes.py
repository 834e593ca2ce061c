"""What each code means that this server puts into an event or an error, who has to act on it, and how.

`codes.toml` beside this file holds the codes of the core, `codes.toml` of a vendor's folder those that only this
vendor's gateway sends.  A code that ends in `*` stands for all that begin so: HTTP_404 is an HTTP_*.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

Actor = Literal["nobody", "caller", "RetailOps", "merchant", "operator", "vendor", "shop"]

ACTORS: Mapping[Actor, str] = {
    "nobody": "nothing has to be done",
    "caller": "whoever sent the request: its body or headers have to change",
    "RetailOps": "RetailOps sends the same request again",
    "merchant": "whoever keeps orders, products and stock in RetailOps, or at the vendor",
    "operator": "whoever runs this server",
    "vendor": "the vendor's support, or whoever fetches for it",
    "shop": "the developers of the merchant's own shop",
}
"""Who acts, in the words of the reference page."""

FILE = Path(__file__).with_name("codes.toml")


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One code, or one family.  `action` is what the actor does; "" where nothing has to be done."""

    actor: Actor
    meaning: str
    action: str = ""


Subjects = dict[str, dict[str, Code]]
"""The codes by subject, then by name."""


def read(file: Path = FILE) -> Subjects:
    """The codes of a file.  Raises `msgspec.ValidationError` where it is not of that form."""
    return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Subjects)


def family(code: str) -> str:
    """The family that a code belongs to if it is in the registry at all: "HTTP_*" of "HTTP_404"."""
    return f"{code.partition('_')[0]}_*"
