"""The demo's last act: the operator's pages, walked with the token that is shown to whoever stays."""

from __future__ import annotations

import re
from html import unescape

import requests

from app.cli.demo.playing import Steps, expect
from app.cli.demo.stage import Stage
from app.transport import straight

MOST_PAGES = 40


class Walk:
    """The demo's steps, in order; each returns the sentence for the table or raises `Failed`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def steps(self) -> Steps:
        return (("the operator's pages show it", self._pages), ("and let nobody in without the token", self._closed))

    def _get(self, address: str, **headers: str) -> requests.Response:
        url = f"{self._stage.server_url}{address}"
        return straight.request("GET", url, headers=headers, timeout=10, allow_redirects=False)

    def _pages(self) -> str:
        """From the first page on, as far as links lead."""
        token = {"Authorization": f"Bearer {self._stage.console_token}"}
        to_do, seen = ["/console/"], {"/console/"}
        while to_do and len(seen) < MOST_PAGES:
            address = to_do.pop(0)
            reply = self._get(address, **token)
            expect(reply.status_code in (200, 303), f"{address} answered {reply.status_code}")
            links = [unescape(link) for link in re.findall(r'href="(/console/[^"?#]*)["?#]', reply.text)]
            new = [link for link in dict.fromkeys(links) if link not in seen and "/static/" not in link]
            seen.update(new)
            to_do += new
        return f"{len(seen)} pages answered"

    def _closed(self) -> str:
        reply = self._get("/console/orders")
        is_sent_to_login = reply.status_code == 303 and reply.headers["Location"].startswith("/console/login")
        expect(is_sent_to_login, f"without the token it answered {reply.status_code}")
        return "without it there is the login alone"
