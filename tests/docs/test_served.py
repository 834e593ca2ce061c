"""The documentation as the running server shows it at `/docs` (P43)."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.docs.addresses import address
from app.docs.generated.codes import of_vendor
from app.docs.library import FOLDER, GENERATED, GENERATED_LINE, Library
from app.docs.rendering import render
from app.domain import codes
from app.gateways import VENDORS
from app.settings import ENVIRONMENT_HELP

NAMES = sorted(Library().pages)


class Seen(HTMLParser):
    """What a page holds: ids, addresses of links and of what a browser fetches by itself, elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.elements: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.add(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.fetched += [given[name] for name in ("src", "href", "action") if name in given and tag != "a"]


def shown(client: FlaskClient, name: str) -> TestResponse:
    return client.get("/docs" if name == "index" else f"/docs/{name}")


@pytest.mark.parametrize("name", NAMES)
def test_p43_a_page_is_served_whole(client: FlaskClient, name: str) -> None:
    """One title, one `main`, no script, nothing fetched from elsewhere; a reader who has it gets 304."""
    reply = shown(client, name)
    assert (reply.status_code, reply.content_type) == (200, "text/html; charset=utf-8")
    seen = Seen(reply.text)
    assert reply.text.count("<h1") == 1 and reply.text.count("<main") == 1
    assert "script" not in seen.elements
    assert len(set(seen.ids)) == len(seen.ids)
    assert [place for place in seen.fetched if not place.startswith("/docs/")] == []
    for place in seen.fetched:
        with client.get(place) as fetched:
            assert fetched.status_code == 200, place
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
    again = client.get(reply.request.path, headers={"If-None-Match": reply.headers["ETag"]})
    assert again.status_code == 304
    assert len(Library().pages[name].markdown.split()) > 60, "it says something"


def test_p43_every_link_of_a_served_page_leads_to_a_page_and_a_heading(client: FlaskClient) -> None:
    pages = {"/docs" if name == "index" else f"/docs/{name}": Seen(shown(client, name).text) for name in NAMES}
    lost = []
    for here, seen in pages.items():
        for link in seen.links:
            place, _, anchor = link.partition("#")
            target = pages.get(place or here)
            if re.match(r"https?://", link) or link == "#main":
                continue
            if place.endswith((".json", ".yaml")):
                with client.get(place) as file:
                    assert file.status_code == 200, place
                continue
            if target is None or (anchor and anchor not in target.ids):
                lost.append(f"{here}: {link}")
    assert lost == []


def test_p43_every_page_is_reached_from_the_first_one(client: FlaskClient) -> None:
    assert {f"/docs/{name}" for name in NAMES} - {"/docs/index"} <= set(Seen(shown(client, "index").text).links)


def test_p43_markdown_cannot_bring_html() -> None:
    html = str(
        render("# A\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) `<b>`\n\n```html\n<i>\n```\n", "a/b")
    )
    assert "<script" not in html and "<b>" not in html and "<i>" not in html
    assert 'href="javascript' not in html


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("rules.md#r6", "/docs/explain/rules#r6"),
        ("../index.md", "/docs"),
        ("contracts/rally.md", "/docs/explain/contracts/rally"),
        ("#p22", "#p22"),
        ("loop.svg", "/docs/explain/loop.svg"),
        ("https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_p43_links_between_files_are_links_between_pages(link: str, place: str) -> None:
    assert address(link, "explain/promises") == place


def test_p43_pages_made_of_code_name_all_there_is(client: FlaskClient) -> None:
    for name in GENERATED:
        assert len(GENERATED_LINE.findall((FOLDER / f"{name}.md").read_text(encoding="utf-8"))) == 1
        assert not GENERATED_LINE.search(Library().pages[name].markdown)
    settings, shown_codes = shown(client, "reference/settings").text, shown(client, "reference/codes").text
    assert [name for name in ENVIRONMENT_HELP if f"<code>{name}</code>" not in settings] == []
    assert all(f"[channel.{token}]" in settings for token in VENDORS)
    every = [codes.read(), *(of_vendor(token) for token in VENDORS)]
    named = [code for subjects in every for group in subjects.values() for code in group]
    assert [code for code in named if f"<code>{code}</code>" not in shown_codes] == []
    assert "[[channel.rally.shipping]]" in settings, "tables inside a vendor's are explained as well"


def test_p43_a_search_finds_what_a_reader_types(client: FlaskClient) -> None:
    for query, first in (
        ("STOCK_DISAGREES", "/docs/reference/codes#stock"),
        ("r13", "/docs/explain/rules#r13"),
        ("restate_every", "/docs/reference/settings"),
        ("order_cancel", "/docs/reference/callbacks#order_cancel"),
    ):
        text = client.get("/docs/search", query_string={"q": query}).text
        found = re.findall(r'<li><a href="([^"]+)">', text.split('<ol class="found">')[1])
        assert found[0].startswith(first), (query, found[:3])
    for query, near in (
        ("did my order get through", "/docs/howto/night#did-order-x-get-through"),
        ("excel eats my digits", "/docs/howto/night#the-same-on-pages"),
        ("rotate the key of rally", "/docs/howto/keys"),
    ):
        text = client.get("/docs/search", query_string={"q": query}).text
        assert "these hold most of it" in text and f'<li><a href="{near}' in text, query
    nothing = client.get("/docs/search", query_string={"q": "<i>nowhere</i>"})
    assert nothing.status_code == 200 and "No section holds" in nothing.text and "<i>" not in nothing.text
    assert client.get("/docs/search").status_code == 200


def test_p43_a_wrong_address_below_docs_is_a_page_that_helps(client: FlaskClient) -> None:
    reply = client.get("/docs/explain/nothing-here")
    assert reply.status_code == 404 and 'value="nothing here"' in reply.text
    assert client.get("/docs/../app/settings.py").status_code == 404
    assert client.get("/docs/__init__.py").status_code == 404
    assert client.post("/docs").status_code == 405


def test_p43_docs_off_means_that_there_are_none(build_app: Callable[..., Flask]) -> None:
    without = build_app(DOCS="off").test_client()
    for place in ("/docs", "/docs/explain/rules", "/docs/search?q=a", "/docs/static/docs.css"):
        reply = without.get(place)
        assert (reply.status_code, reply.content_type) == (404, "application/json")
