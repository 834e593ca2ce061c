"""Which addresses a key may be sent to: by https, or to this machine itself."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from urllib.parse import urlsplit


def is_loopback(address: str) -> bool:
    """Whether an address leads to this machine itself.  Raises ValueError for what is no address."""
    host = urlsplit(address).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def broken_rule(address: str) -> str:
    """The rule an address breaks to which a key is to be sent, as the end of a sentence; "" where it breaks none."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "must be a URL"
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(address))
    if not host or re.search(r"[\s\\]", address) or not is_secure:
        return "must begin with https:// (http only for a loopback address)"
    if parts.username is not None or parts.query or parts.fragment:
        return "must hold neither user, password, query nor fragment"
    return ""
