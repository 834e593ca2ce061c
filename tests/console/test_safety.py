"""Who gets into the console, and what a request has to bring before anything changes (P40)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.callbacks.application import REQUEST_ID
from app.caller import ANSWER_AFTER_S
from app.console import sessions
from app.console.access import WRONG_TRIES
from tests import ROOT
from tests.channels import KEY, channel_table
from tests.console.stage import CHANNEL_TOKEN, ORIGIN, READ_TOKEN, TOKEN, TOKENS, form_token
from tests.stopwatch import Stopwatch

Build = Callable[..., Flask]


@pytest.fixture
def build_console(build_app: Build) -> Build:
    def build(channels: str = "", **environment: str) -> Flask:
        return build_app(channels, **{**TOKENS, **environment})

    return build


def sign_in(
    app: Flask, token: str = TOKEN, *, origin: str = ORIGIN, base: str = ORIGIN, **form: str
) -> tuple[FlaskClient, Any]:
    """A browser that has filled in the login page, and what it was answered."""
    browser = app.test_client()
    page = browser.get("/console/login", base_url=base).text
    fields = {"name": "Ada", "token": token, "form_token": form_token(page), **form}
    return browser, browser.post("/console/login", data=fields, headers={"Origin": origin}, base_url=base)


def log_out(browser: FlaskClient, headers: dict[str, str] | None = None, **form: str) -> Any:
    """The only form that every page has."""
    if "form_token" not in form:
        form["form_token"] = form_token(browser.get("/console/").text)
    return browser.post("/console/logout", data=form, headers=headers if headers is not None else {"Origin": ORIGIN})


def is_in(browser: FlaskClient) -> bool:
    return browser.get("/console/").status_code == 200


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_p40_without_a_token_every_address_under_console_is_404(build_app: Build) -> None:
    client = build_app().test_client()
    for address in ("/console", "/console/", "/console/login", "/console/static/console.css", "/console/orders"):
        assert client.get(address).status_code == 404
        assert client.post(address, headers=bearer("")).status_code == 404


def test_p40_who_is_not_signed_in_is_sent_to_the_login_and_changes_nothing(build_console: Build) -> None:
    client = build_console().test_client()
    for address in ("/console/", "/console/orders?state=waiting&channel=a", "/console/nowhere"):
        reply = client.get(address)
        assert reply.status_code == 303 and reply.location.startswith("/console/login?next=/console")
    assert (
        client.get("/console/orders?state=waiting").location == "/console/login?next=/console/orders%3Fstate%3Dwaiting"
    )
    for address in ("/console/logout", "/console/nowhere", "/console/orders", "/console/refunds/1/release"):
        assert client.post(address, headers={"Origin": ORIGIN}).status_code == 401
    form = {"Origin": ORIGIN, "Referer": f"{ORIGIN}/console/deliveries/many/drop?state=parked&channel=a"}
    page = client.post("/console/deliveries/many/drop?state=parked", headers=form).text
    assert 'href="/console/login?next=%2Fconsole%2Fdeliveries%2Fmany%2Fdrop%3Fstate%3Dparked%26channel%3Da"' in page
    assert client.post("/console/orders", headers={"Referer": "http://[x"}).status_code == 401
    assert client.get("/console/static/console.css").status_code == 200
    no_text = {"HTTP_COOKIE": "channel_console=\xff; channel_console_login=\xff"}
    assert client.get("/console/", environ_overrides=no_text).status_code == 303
    assert client.get("/console/login", environ_overrides=no_text).status_code == 200


def test_p40_each_token_opens_what_it_is_for(build_console: Build, build_app: Build) -> None:
    other = channel_table(
        "http://localhost:9", name="second", pair=(1201, 33), key=KEY[:-1] + "2", api_key="another-key"
    )
    first = channel_table("http://localhost:9").replace(
        "[channel.pipe17]", f'console_read_token = "{CHANNEL_TOKEN}"\n[channel.pipe17]'
    )
    app = build_console(first + other)
    for token, title in ((TOKEN, "operator"), (READ_TOKEN, "looks only"), (CHANNEL_TOKEN, "looks at first only")):
        browser, reply = sign_in(app, token)
        assert reply.status_code == 303 and reply.location == "/console/"
        page = browser.get("/console/").text
        assert "Ada" in page and title in page
        assert ("second" in page) is (token != CHANNEL_TOKEN)
        assert browser.get("/console/", headers=bearer(token)).status_code == 200
    for wrong in ("", "x", TOKEN[:-1], TOKEN + "x", f" {TOKEN}", TOKEN.upper(), "ü" * 24):
        browser, reply = sign_in(app, wrong)
        assert reply.status_code == 401 and not is_in(browser), wrong
    for wrong in ("x", TOKEN[:-1], "Ã¼" * 24):
        assert app.test_client().get("/console/", headers=bearer(wrong)).status_code == 401
    assert app.test_client().get("/console/", headers={"Authorization": f"Basic {TOKEN}"}).status_code == 303


def test_p40_a_wrong_bearer_token_ends_the_request_also_of_one_who_is_signed_in(build_console: Build) -> None:
    browser, _ = sign_in(build_console())
    assert browser.get("/console/", headers=bearer("wrong")).status_code == 401


def test_p40_many_wrong_tries_wait_without_a_thread_and_a_right_one_never_does(
    build_console: Build, caplog: pytest.LogCaptureFixture
) -> None:
    app = build_console()
    waits: list[float] = []
    inner = app.wsgi_app

    def watched(environ: dict[str, Any], start_response: Any) -> Any:
        reply = inner(environ, start_response)
        waits.append(environ.get(ANSWER_AFTER_S, 0.0))
        return reply

    app.wsgi_app = watched  # type: ignore[method-assign]
    with Stopwatch() as watch, caplog.at_level(logging.WARNING, "app.console.access"):
        for number in range(WRONG_TRIES + 10):
            if number % 2:
                client = app.test_client()
                client.get("/console/", headers={**bearer(f"wrong-{number}"), "X-Forwarded-For": f"192.0.2.{number}"})
            else:
                sign_in(app, f"wrong-{number}")
    tries = [wait for wait in waits if wait]
    assert tries == [1.0] * 10 and watch.took_s < 10, "it is the answer that waits, not the thread"
    assert "wrong-" not in caplog.text and len(caplog.records) == WRONG_TRIES + 2, "the first and the tenth that waited"
    assert {record.address for record in caplog.records} == {"127.0.0.1"}  # type: ignore[attr-defined]
    waits.clear()
    browser, reply = sign_in(app)
    assert reply.status_code == 303 and is_in(browser) and not any(waits)


def test_p40_the_cookie_is_the_consoles_alone(build_console: Build) -> None:
    for environment, is_secure in (
        ({}, False),
        ({"PUBLIC_URL": "http://localhost"}, False),
        ({"PUBLIC_URL": "https://shop.example"}, True),
    ):
        origin = environment.get("PUBLIC_URL", ORIGIN)
        _, reply = sign_in(build_console(**environment), origin=origin, base=origin)
        [cookie] = [
            line for line in reply.headers.getlist("Set-Cookie") if line.startswith(f"{sessions.SESSION_COOKIE}=")
        ]
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/console;" in cookie + ";"
        assert "Max-Age=43200" in cookie and ("Secure" in cookie) is is_secure
        assert TOKEN not in cookie and "Domain" not in cookie


def test_p40_in_production_without_an_address_the_cookie_goes_over_https_alone(
    build_console: Build, database_url: str
) -> None:
    _, reply = sign_in(
        build_console(APP_ENV="production", DATABASE_URL=database_url),
        base="https://localhost",
        origin="https://localhost",
    )
    assert reply.status_code == 303
    assert all("Secure" in line for line in reply.headers.getlist("Set-Cookie"))


def test_p40_a_session_ends_with_its_time_its_token_and_a_changed_letter(
    build_console: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = build_console()
    browser, _ = sign_in(app)
    cookie = browser.get_cookie(sessions.SESSION_COOKIE, path="/console")
    assert cookie is not None

    def is_open(value: str, where: Flask = app) -> bool:
        other = where.test_client()
        other.set_cookie(sessions.SESSION_COOKIE, value, path="/console")
        return is_in(other)

    assert is_open(cookie.value) and is_open(cookie.value, build_console()), "every process knows it"
    assert not is_open(cookie.value, build_console(CONSOLE_TOKEN=TOKEN + "x"))
    assert not is_open(("A" if cookie.value[0] != "A" else "B") + cookie.value[1:])
    assert not is_open(cookie.value[:-2])
    reader, _ = sign_in(app, READ_TOKEN)
    of_reader = reader.get_cookie(sessions.SESSION_COOKIE, path="/console")
    assert of_reader is not None and is_open(of_reader.value)
    for changed in ({"CONSOLE_READ_TOKEN": READ_TOKEN + "x"}, {"CONSOLE_TOKEN": TOKEN + "x"}):
        assert not is_open(of_reader.value, build_console(**changed))
    monkeypatch.setattr(sessions, "LASTS_S", -1)
    assert not is_open(cookie.value)


def test_p40_signing_out_ends_the_session_in_that_browser(build_console: Build) -> None:
    browser, _ = sign_in(build_console())
    assert log_out(browser).location == "/console/login"
    assert not is_in(browser)


@pytest.mark.parametrize(
    ("headers", "public_url", "is_taken"),
    [
        ({"Origin": ORIGIN}, "", True),
        ({"Origin": "https://localhost"}, "", True),  # TLS ends at the proxy
        ({"Origin": "http://localhost:81"}, "", False),
        ({"Origin": "http://localhost.evil.example"}, "", False),
        ({"Origin": "null"}, "", False),
        ({"Origin": ""}, "", False),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, "", False),
        ({}, "", False),
        ({"Sec-Fetch-Site": "same-origin"}, "", True),
        ({"Sec-Fetch-Site": "same-site"}, "", False),
        ({"Sec-Fetch-Site": "none"}, "", False),
        ({"Origin": "http://evil.example", "Host": "localhost", "X-Forwarded-Host": "evil.example"}, "", False),
        ({"Origin": ORIGIN}, "http://localhost", True),
        ({"Origin": ORIGIN}, "http://localhost:80", True),
        ({"Origin": ORIGIN}, "HTTP://LOCALHOST", True),
        ({"Origin": "https://localhost"}, "http://localhost", False),
        ({"Origin": ORIGIN}, "https://shop.example", False),
        ({"Origin": "https://shop.example"}, "https://shop.example", True),
        ({"Sec-Fetch-Site": "same-origin"}, "https://shop.example", True),
    ],
)  # fmt: skip
def test_p40_a_form_is_taken_from_our_own_pages_alone(
    headers: dict[str, str], public_url: str, is_taken: bool, build_console: Build
) -> None:
    app = build_console(**({"PUBLIC_URL": public_url} if public_url else {}))
    sent_to = "https://localhost" if public_url.startswith("https") else ORIGIN
    browser = app.test_client()
    own = public_url.lower().removesuffix(":80") or ORIGIN
    page = browser.get("/console/login", base_url=sent_to).text
    fields = {"name": "Ada", "token": TOKEN, "form_token": form_token(page)}
    assert browser.post("/console/login", data=fields, headers={"Origin": own}, base_url=sent_to).status_code == 303
    fields = {"form_token": form_token(browser.get("/console/", base_url=sent_to).text)}
    reply = browser.post("/console/logout", data=fields, headers=headers, base_url=sent_to)
    assert reply.status_code == (303 if is_taken else 403)
    assert (browser.get("/console/", base_url=sent_to).status_code == 200) is not is_taken


def test_p40_a_login_form_needs_our_origin_and_the_browser_it_was_sent_to(build_console: Build) -> None:
    app = build_console()
    for origin in ("http://evil.example", "null"):
        browser, reply = sign_in(app, origin=origin)
        assert reply.status_code == 403 and not is_in(browser)
    headers = {"Origin": "http://evil.example", "Referer": f"{ORIGIN}/console/login?next=/console/hooks"}
    reply = app.test_client().post("/console/login", data={}, headers=headers)
    assert reply.status_code == 403 and "next=" not in reply.text, "who signs in then is not sent to the login again"
    page = app.test_client().get("/console/login").text
    other = app.test_client()
    fields = {"name": "Ada", "token": TOKEN, "form_token": form_token(page)}
    assert other.post("/console/login", data=fields, headers={"Origin": ORIGIN}).status_code == 400
    for wrong in ("", "0" * 64, "ü"):
        browser, reply = sign_in(app, form_token=wrong)
        assert reply.status_code == 400 and not is_in(browser)


def test_p40_a_form_without_this_sessions_token_changes_nothing(build_console: Build) -> None:
    app = build_console()
    browser, _ = sign_in(app)
    other, _ = sign_in(app)
    for wrong in ("", "0" * 64, "ü", form_token(other.get("/console/").text)):
        assert log_out(browser, form_token=wrong).status_code == 400
        assert is_in(browser)


def test_p40_a_bearer_needs_no_form_token_and_its_role_counts(build_console: Build) -> None:
    app = build_console()
    assert app.test_client().post("/console/nowhere", headers=bearer(TOKEN)).status_code == 404
    assert app.test_client().post("/console/nowhere", headers=bearer(READ_TOKEN)).status_code == 403
    reader, _ = sign_in(app, READ_TOKEN)
    fields = {"form_token": form_token(reader.get("/console/").text)}
    assert reader.post("/console/nowhere", data=fields, headers={"Origin": ORIGIN}).status_code == 403


def test_p40_the_name_is_kept_as_stated_and_has_to_be_one(build_console: Build) -> None:
    app = build_console()
    browser, _ = sign_in(app, name="Ada  <Lovelace> & Co")
    assert "Ada &lt;Lovelace&gt; &amp; Co" in browser.get("/console/").text
    for wrong in ("", "  ", "x" * 61, "a\x00b"):
        browser, reply = sign_in(app, name=wrong)
        assert reply.status_code == 400 and not is_in(browser)
    browser, reply = sign_in(app, name="x" * 60)
    assert is_in(browser)


@pytest.mark.parametrize(
    ("wanted", "way"),
    [
        ("/console/orders?state=waiting&after=a%2Fb", "/console/orders?state=waiting&after=a%2Fb"),
        ("/console/", "/console/"),
        ("/console/login?next=%2Fconsole%2Fhooks", "/console/"),
        ("", "/console/"),
        ("/console", "/console/"),
        ("/", "/console/"),
        ("//evil.example", "/console/"),
        ("https://evil.example/console/", "/console/"),
        ("/console//evil.example", "/console/"),
        ("/console/\\evil.example", "/console/"),
        ("/console/\r\nSet-Cookie: a=b", "/console/"),
        ("/console/\x7f", "/console/"),
        ("/consolex/", "/console/"),
    ],
)
def test_p40_after_the_login_the_way_back_is_a_page_of_the_console(wanted: str, way: str, build_console: Build) -> None:
    _, reply = sign_in(build_console(), next=wanted)
    assert reply.status_code == 303 and reply.location == way


def test_p40_every_reply_says_what_a_browser_may_do_with_it(build_console: Build) -> None:
    app = build_console()
    browser, login = sign_in(app)
    replies = [
        login, browser.get("/console/"), browser.get("/console/nowhere"), app.test_client().get("/console/"),
        app.test_client().get("/console/login"), app.test_client().post("/console/logout"),
    ]  # fmt: skip
    for reply in replies:
        policy = dict(part.strip().partition(" ")[::2] for part in reply.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["form-action"] == "'self'"
        assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert {policy[name] for name in ("script-src", "style-src", "img-src")} == {"'self'"}
        assert reply.headers["Referrer-Policy"] == "same-origin" and reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "style=" not in reply.text and not re.search(r"<script(?![^>]* src=)| on[a-z]+=", reply.text)
    asset = browser.get("/console/static/console.css")
    assert asset.headers["X-Content-Type-Options"] == "nosniff"


def test_p40_a_large_form_is_refused(build_console: Build) -> None:
    browser, _ = sign_in(build_console())
    reply = browser.post("/console/logout", data={"form_token": "x" * 100_000}, headers={"Origin": ORIGIN})
    assert reply.status_code == 413 and is_in(browser)


def test_p40_no_page_writes_html_of_its_own() -> None:
    """What is shown was written by others: every value is escaped, SVG included."""
    console = ROOT / "app" / "console"
    texts = {path: path.read_text() for path in console.rglob("*") if path.suffix in (".py", ".html", ".svg", ".js")}
    assert len(texts) > 10
    for path, text in texts.items():
        assert not re.search(r"\|\s*safe\b|Markup|autoescape\s*(=\s*)?[Ff]alse|innerHTML|insertAdjacentHTML", text), (
            path
        )
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text) or path.name == "guard.py", path


def test_p25_pages_have_a_request_id(build_console: Build) -> None:
    assert build_console().test_client().get("/console/login").headers["X-Request-Id"]
    assert REQUEST_ID
