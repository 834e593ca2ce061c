"""What browsers fetch of ours: a room's own files and the colours that all pages share.

The address of a file changes with the file, so that a browser may keep it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""The media types of files that are served, by how a name ends."""

COLOURS: Final = Path(__file__).with_name("colours.css")
"""The colours of all pages, as custom properties."""

KEPT: Final = "public, max-age=31536000, immutable"
"""The Cache-Control of a file whose address changes with it."""


class Assets:
    """The files of one folder and the shared ones, as they were at the first request for one."""

    def __init__(self, folder: Path, root: str) -> None:
        """`folder` holds the room's files; `root` is the address of them all, without a slash at its end."""
        self._folder, self._root = folder, root

    def address(self, name: str) -> str:
        """Where a browser fetches a file.  Raises `KeyError` where there is no such file."""
        return f"{self._root}/{name}?v={self._versions[name]}"

    def content(self, name: str) -> bytes | None:
        """What a file holds, None where there is no such file."""
        return self._files.get(name)

    def media_type(self, name: str) -> str:
        """The Content-Type of a file that there is."""
        return f"{KINDS[Path(name).suffix]}; charset=utf-8"

    @cached_property
    def _files(self) -> Mapping[str, bytes]:
        own = [path for path in self._folder.iterdir() if path.suffix in KINDS]
        return {path.name: path.read_bytes() for path in (COLOURS, *own)}

    @cached_property
    def _versions(self) -> Mapping[str, str]:
        return {name: hashlib.sha256(held).hexdigest()[:12] for name, held in self._files.items()}
