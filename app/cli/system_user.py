"""Who runs this process, by the system's own list of users where the system has one (POSIX)."""

from __future__ import annotations

import getpass
import os
from contextlib import suppress
from pathlib import Path


def user_name() -> str:
    """The name of the user this process runs as, or the number where a container gives it no name."""
    try:
        import pwd
    except ImportError:
        return _login_name()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def listed_home() -> Path | None:
    """The home directory in the system's list of users, whatever HOME says; None where nobody has listed one."""
    try:
        import pwd
    except ImportError:
        return None
    with suppress(KeyError):
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    return None


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, ImportError, KeyError):
        return "unknown"
