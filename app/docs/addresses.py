"""Where a link of a page leads on the server, and the id of each heading."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import urlsplit


def anchor(title: str) -> str:
    """The id of a heading, as Git hosts make it: lower case, no punctuation, hyphens for blanks."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def address(link: str, page: str) -> str:
    """Where a link that stands in `page` leads on the server.

    `page` is the name of a page, such as "explain/rules".  Links to other hosts stay as they are.
    """
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return link
    if not parts.path:
        return link
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), parts.path)).removesuffix(".md")
    place = "/docs" if target == "index" else f"/docs/{target}"
    return f"{place}#{parts.fragment}" if parts.fragment else place
