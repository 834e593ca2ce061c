"""Which channels a reader may see: every query of this room takes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scope:
    """The channels a reader may see; what lies outside is answered as if it did not exist."""

    keys: frozenset[str] | None = None
    """The keys of their records (`Channel.key`); None: all, those that are configured no longer included."""
    names: Mapping[str, str] = field(default_factory=dict)
    """By key the name people know, where it differs."""

    def sees(self, key: str) -> bool:
        """Whether the channel with this key may be seen; what belongs to no channel ("") is for those who see all."""
        return self.keys is None or key in self.keys

    def name(self, key: str) -> str:
        """The name people know the channel by."""
        return self.names.get(key, key)
