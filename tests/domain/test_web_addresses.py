"""Addresses of pages and pictures become the one form every vendor can fetch, or say what is wrong with them."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import web_addresses

BASE = "https://shop.example/eu"


@pytest.mark.parametrize(
    ("stated", "read"),
    [
        ("https://shop.example/i/a.jpg?w=1&h=2#top", "https://shop.example/i/a.jpg?w=1&h=2#top"),
        ("  https://shop.example/my mug.jpg ", "https://shop.example/my%20mug.jpg"),
        ("https://shop.example/Größe/é?q=ü#ö", "https://shop.example/Gr%C3%B6%C3%9Fe/%C3%A9?q=%C3%BC#%C3%B6"),
        ("https://shop.example/a%20b%C3%A9", "https://shop.example/a%20b%C3%A9"),
        ("https://shop.example/100%.jpg", "https://shop.example/100%25.jpg"),
        ("https://shop.example/[1]|<2>\"^`.jpg", "https://shop.example/%5B1%5D%7C%3C2%3E%22%5E%60.jpg"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("HTTPS://Shop.Example:8443/A", "https://shop.example:8443/A"),
        ("https:\\\\shop.example\\i\\a.jpg", "https://shop.example/i/a.jpg"),
        ("//cdn.example/a b.jpg", "https://cdn.example/a%20b.jpg"),
        ("https://shop.example/a\nb.jpg", "https://shop.example/ab.jpg"),
        ("/i/a b.jpg", "/i/a%20b.jpg"),
        ("https://shop.example", "https://shop.example"),
    ],
)  # fmt: skip
def test_p36_an_address_is_percent_encoded_and_what_is_encoded_stays(stated: str, read: str) -> None:
    assert web_addresses.read(stated) == read
    assert web_addresses.read(read) == read


def test_a_relative_address_is_joined_to_the_shops() -> None:
    assert web_addresses.read("i/my mug.jpg", BASE) == "https://shop.example/eu/i/my%20mug.jpg"
    assert web_addresses.read("/i/ü.jpg", BASE) == "https://shop.example/i/%C3%BC.jpg"
    assert web_addresses.read("https://other.example/a", BASE) == "https://other.example/a"


@pytest.mark.parametrize(
    ("stated", "wrong"),
    [
        ("", "is empty"),
        ("ftp://shop.example/a.jpg", "must begin with https:// or http://"),
        ("javascript:alert(1)", "must begin with https:// or http://"),
        ("C:\\images\\a.jpg", "must begin with https:// or http://"),
        ("https://", "has no host that can be reached"),
        ("https://shop..example/", "has no host that can be reached"),
        ("https://sh op.example/a", "has no host that can be reached"),
        ("https://shop.example:99999/", "has no host that can be reached"),
        ("https://me:secret@shop.example/", "must hold neither user nor password"),
        ("https://shop.example/\ud83d.jpg", "holds a character that cannot be read"),
    ],
)
def test_p36_what_cannot_be_used_is_said_without_the_address(stated: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(wrong)}$"):
        web_addresses.read(stated)


@given(st.text(max_size=60), st.sampled_from(["", "https://x.example/", "//x.example", "http://ü.example/p?"]))
def test_p36_whatever_is_read_is_ascii_that_any_client_can_request_and_reads_the_same_again(
    rest: str, beginning: str
) -> None:
    try:
        found = web_addresses.read(beginning + rest)
    except ValueError as error:
        assert rest.strip() == "" or str(error).count(rest.strip()) == 0 or len(rest.strip()) < 3
        return
    assert found.isascii() and not re.search(r"[\s\"<>\\^`{|}]", found), "RFC 3986"
    assert web_addresses.read(found) == found
    if web_addresses.is_absolute(found):
        assert urlsplit(found).scheme in ("http", "https") and urlsplit(found).hostname
    if beginning == "https://x.example/" and not re.search(r"[%\\\t\r\n]", rest) and rest == rest.strip():
        assert unquote(found.removeprefix(beginning)) == rest
