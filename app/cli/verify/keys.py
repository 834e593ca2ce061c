"""The key of the channel: how it is made, where the SDK's tool and its manual say it is kept, how it stays unseen."""

from __future__ import annotations

import base64
import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.cli.system_user import listed_home
from app.errors import ChannelError
from app.terminal import warn

PLACES = ("retailops/integration_auth_token", ".retailops/integration_auth_token")
"""Below the home directory: what the tool's code uses, and what its README says (SDK contract 1.7)."""

MASK = "***"


class NoKey(ChannelError):
    """No usable key is stored, or none can be; the message names the places, never a key."""


class NothingStored(NoKey):
    """Neither place holds a file."""


@dataclass(frozen=True)
class StoredKey:
    """A key and the file it stands in."""

    key: str = field(repr=False)
    file: Path

    def warn_if_exposed(self) -> None:
        """Says so when the file's mode lets other users of the machine read it."""
        if stat.S_IMODE(self.file.stat().st_mode) & 0o077:
            warn(f"{self.file} can be read by other users; chmod 600 it")


def find_key() -> StoredKey:
    """The stored key without the newline an editor left.  Raises `NoKey`, also when two files disagree.

    The tool asks the user database for the home directory, a shell asks HOME: what stands below HOME
    counts, and only if nothing does the other home is looked at.
    """
    for home in _homes():
        found = [stored for place in PLACES if (stored := _read(home / place)) is not None]
        if len({stored.key for stored in found}) > 1:
            raise NoKey(f"{found[0].file} and {found[1].file} hold different keys; delete the one not in use")
        if found:
            return found[0]
    raise NothingStored(
        f"no key is stored; `channel auth-key generate` or `channel auth-key install` puts one into ~/{PLACES[0]} "
        f"(~/{PLACES[1]} is read too)"
    )


def store_key(key: str) -> StoredKey:
    """Keep a key below HOME, readable by its owner only, whole or not at all.

    Every file there that already holds a key is rewritten, so that no two disagree.  Raises `OSError`.
    """
    home = _homes()[0]
    for file in [file for place in PLACES if (file := home / place).exists()] or [home / PLACES[0]]:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as new:
                new.write(key)  # no newline at the end: the SDK's tool would take it for a part of the key
                new.flush()
                os.fsync(new.fileno())
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
    return find_key()


def new_key() -> str:
    """As the SDK's tool makes it: 24 random bytes in standard base64, so 32 characters without an underscore."""
    return base64.b64encode(secrets.token_bytes(24)).decode()


def unseen_home() -> Path | None:
    """The home directory the SDK's own tool looks in, where that is another one than HOME names."""
    homes = _homes()
    return homes[1] if len(homes) > 1 else None


def doubt_of_sdk_tool(stored: StoredKey) -> str:
    """Why the SDK's own tool would not send this key as it is; empty where it would, or where that is unknown."""
    home = listed_home()
    if home is None:
        return ""
    file = home / PLACES[0]
    doubt = f"the SDK's own tool reads only {file}"
    try:
        found = file.read_bytes()
    except OSError:
        return f"{doubt}, finds no key there and would send the public test key"
    if found == stored.key.encode():
        return ""
    if found.strip() == stored.key.encode():
        return f"{doubt}, whole: it would send the newline behind the key too"
    return f"{doubt}, which holds something else"


class Secret:
    """A text that must not be shown, recognised in every spelling JSON and addresses have for it."""

    def __init__(self, *texts: str) -> None:
        spelled = ["".join(map(_spellings, text)) for text in sorted(texts, key=len, reverse=True) if text]
        self._pattern = re.compile("|".join(spelled) or r"(?!)")

    def __repr__(self) -> str:
        return "Secret()"

    def is_in(self, text: str) -> bool:
        return self._pattern.search(text) is not None

    def masked(self, text: str) -> str:
        return self._pattern.sub(MASK, text)

    def shown(self, text: object, most: int | None = None) -> str:
        """Text of a foreign server for a terminal: without secrets and control characters, at most so long."""
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else str("" if text is None else text)
        return "".join(sign if sign.isprintable() else " " for sign in self.masked(words)).rstrip()[:most]


def _spellings(character: str) -> str:
    def anyhow(code: str) -> str:
        return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in code)

    code = ord(character)
    ways = (rf"\\?{re.escape(character)}", rf"\\u{anyhow(f'{code:04x}')}", f"%{anyhow(f'{code:02x}')}")
    return f"(?:{'|'.join(ways)})"


def _read(file: Path) -> StoredKey | None:
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise NoKey(f"{file} cannot be read: {type(error).__name__}") from error
    if not key:
        raise NoKey(f"{file} is empty; delete it or put the key into it")
    return StoredKey(key, file)


def _homes() -> list[Path]:
    homes = []
    with suppress(RuntimeError):
        homes.append(Path.home())
    if (listed := listed_home()) is not None:
        homes.append(listed)
    if not homes:
        raise NoKey("HOME: is not set, so there is no place for a key")
    return list(dict.fromkeys(homes))
