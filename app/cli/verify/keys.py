"""Where the SDK's tool keeps the key of the channel, and where its manual says it does."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from pathlib import Path

from app.errors import ChannelError

PLACES = ("retailops/integration_auth_token", ".retailops/integration_auth_token")
"""Below the home directory: what the tool's code uses, and what its README says (contract 1.7)."""


class NoKey(ChannelError):
    """No usable key is stored; the message names the places, never a key."""


def stored_key() -> str:
    """The stored key without the newline an editor left.  Raises `NoKey`.

    The tool asks the user database for the home directory, a shell asks HOME; both are looked at,
    HOME first.
    """
    for home in _homes():
        for place in PLACES:
            file = home / place
            try:
                key = file.read_text(encoding="utf-8").strip()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, UnicodeDecodeError) as error:
                raise NoKey(f"--use-auth-key: {file} cannot be read: {type(error).__name__}") from error
            if not key:
                raise NoKey(f"--use-auth-key: {file} is empty")
            return key
    raise NoKey(f"--use-auth-key: no key is stored; put it into ~/{PLACES[0]} or ~/{PLACES[1]}")


def _homes() -> list[Path]:
    homes = []
    with suppress(RuntimeError):
        homes.append(Path.home())
    with suppress(KeyError):
        homes.append(Path(pwd.getpwuid(os.getuid()).pw_dir))
    return list(dict.fromkeys(homes))
