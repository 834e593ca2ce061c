"""The documentation in a real browser: for everyone, at every width, in both colour schemes."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser

from app.docs.library import Library
from app.sandbox.server import serve
from tests.browser import PATIENCE_MS, open_details, pixels_beyond, serious_findings

PLACES = [
    *(page.address for page in Library().pages.values()), "/docs/search?q=refund", "/docs/search?q=zzzz",
    "/docs/search", "/docs/no-such-page",
]  # fmt: skip

WIDTHS = "(found) => found.map((each) => each.offsetWidth)"


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1440), ("dark", 320)], ids=["light and wide", "dark and narrow"]
)
def test_p43_every_page_is_for_everyone_at_every_width_and_in_both_schemes(
    scheme: Any, width: int, app: Flask, browser: Browser, axe: str
) -> None:
    """axe-core finds nothing serious, no page scrolls sideways, and what a page fetches is there.

    axe-core looks at each page in one of the two ways: all are made of the same parts.
    """
    with (
        serve(app) as server,
        browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme) as context,
    ):
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        lost: list[str] = []
        page.on("requestfailed", lambda request: lost.append(request.url))
        page.on("response", lambda reply: lost.append(reply.url) if reply.status >= 400 else None)
        found = {}
        for number, place in enumerate(PLACES):
            page.goto(f"{server.url}{place}")
            open_details(page)
            found[place] = serious_findings(page, axe) if number % 2 == (scheme == "dark") else []
            if (over := pixels_beyond(page)) > 0:
                found[place].append(("scrolls sideways", f"{over} px"))
            if max(page.locator("td:first-child").evaluate_all(WIDTHS), default=0) > 0.6 * width:
                found[place].append(("names leave nothing else in sight", "td:first-child"))
    assert {place: items for place, items in found.items() if items} == {}
    assert lost == [f"{server.url}/docs/no-such-page"]
