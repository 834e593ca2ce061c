"""Reads addresses of pages and pictures into the one form that every vendor can fetch (R32)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urljoin

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_PARTS: Final = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<rest>.*)\Z", re.IGNORECASE | re.DOTALL)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:@\[\]]+)(?::(?P<port>[0-9]{0,5}))?\Z")
_BARE_HOST: Final = re.compile(r"www\.[^/?#:\s]+\.[A-Za-z]{2,}(?=[/?#:]|\Z)", re.IGNORECASE)
"""How people write the address of a page: no file of a shop is called so."""

_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?\Z")
_UNRESERVED: Final = "/:@!$&'()*+,;=-._~"
_PLAIN: Final = re.compile(
    r"(?:https?://[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[0-9]{1,4})?(?=[/?]|\Z)|(?=/(?!/)))"
    r"(?:[/:@!$&'()*+,;=._~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*(?:\?(?:[/?:@!$&'()*+,;=._~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*)?\Z"
)
"""What is in its final form already: most addresses, of which there may be millions."""

_BARE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BREAKS: Final = re.compile(r"[\t\r\n]+")
_UNREADABLE: Final = re.compile("[\x00\ud800-\udfff\ufdd0\ufffd]")


def read(raw: str, base: str = "") -> str:
    """The address percent-encoded, its host in IDNA form; what is encoded already stays as it is.

    A relative address is joined to `base`, or stays relative where that is empty.  Blanks around it and line breaks
    inside it do not count, backslashes are slashes (WHATWG URL).  Reading it again changes nothing.

    Raises `ValueError` with what is wrong, as the end of a sentence without the address itself.
    """
    text = _BREAKS.sub("", raw.strip())
    if not text:
        raise ValueError("is empty")
    if _UNREADABLE.search(text):
        raise ValueError("holds a character that cannot be read")
    if text.startswith("<"):
        raise ValueError("is HTML and no address")
    if _BARE_HOST.match(text):
        text = f"https://{text}"
    if base and not is_absolute(text):
        text = _joined(base, text)
    if _PLAIN.match(text):
        return text
    head, mark, tail = _split(text)
    text = head.replace("\\", "/") + mark + tail
    if text.startswith("//"):
        text = f"https:{text}"
    if not _SCHEME.match(text):
        return _encoded(text)
    parts = _PARTS.match(text)
    if parts is None:
        raise ValueError("must begin with https:// or http://")
    return f"{parts['scheme'].lower()}://{_authority(parts['authority'])}{_encoded(parts['rest'])}"


def is_absolute(text: str) -> bool:
    """True for an address that says by itself where it leads: it names a scheme, or begins with two slashes."""
    return _SCHEME.match(text) is not None or text.startswith(("//", "\\\\"))


def _joined(base: str, relative: str) -> str:
    try:
        return urljoin(base if base.endswith("/") else f"{base}/", relative)
    except ValueError:  # its own sentence would repeat the address
        raise ValueError("cannot be joined to the shop's address") from None


def _split(text: str) -> tuple[str, str, str]:
    """The address up to its query or fragment, the mark that begins it, and the rest."""
    at = next((place for place, sign in enumerate(text) if sign in "?#"), len(text))
    return text[:at], text[at : at + 1], text[at + 1 :]


def _encoded(text: str) -> str:
    """Path, query and fragment."""
    path, mark, rest = _split(_BARE_PERCENT.sub("%25", text))
    if mark == "#":
        return f"{quote(path, safe=_UNRESERVED + '%')}#{quote(rest, safe=_UNRESERVED + '?%')}"
    query, hash_mark, fragment = rest.partition("#")
    encoded = quote(path, safe=_UNRESERVED + "%") + mark + quote(query, safe=_UNRESERVED + "?%")
    return encoded + hash_mark + quote(fragment, safe=_UNRESERVED + "?%")


def _authority(text: str) -> str:
    if "@" in text:
        raise ValueError("must hold neither user nor password")
    found = _AUTHORITY.match(text)
    if found is None or (found["port"] and int(found["port"]) > 65535):
        raise ValueError("has no host that can be reached")
    host = found["host"]
    if not host.startswith("["):
        host = _host(host)
    return f"{host}:{found['port']}" if found["port"] else host


def _host(text: str) -> str:
    if not text.isascii():
        import idna  # its tables are large, and hosts beyond ASCII rare

        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise ValueError("has no host that can be reached") from None
    if not _HOST.match(text) or ".." in text:
        raise ValueError("has no host that can be reached")
    return text.lower()
