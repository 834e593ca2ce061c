"""The console in a real browser: what people click, at every width, in both colour schemes, and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.clock import utc_now
from app.console.rendering import NAVIGATION
from app.contract.schemas import Contract
from app.domain.orders import HeldBack
from app.records import held_orders
from app.sandbox.server import RunningServer, serve
from tests.browser import PATIENCE_MS, open_details, pixels_beyond, serious_findings, shown
from tests.channels import channel_table
from tests.console.stage import (
    READ_TOKEN,
    TOKEN,
    TOKENS,
    acts,
    held_refund,
    parked_call,
    refused_shipment,
    state_of,
)
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.waiting import eventually

PLACES = [place for group in NAVIGATION for _, place in group]

WIDTHS = "(found) => found.map((each) => each.offsetWidth)"

SCROLLING = (
    "(found) => found.filter((it) => it.scrollWidth > it.clientWidth + 1).map((it) => it.innerText.slice(0, 99))"
)

NARROW, WIDE = {"width": 320, "height": 640}, {"width": 1440, "height": 900}


@dataclass
class Console:
    """A channel's console at a real address, and browsers in front of it."""

    caller: Caller
    pipe17: Sandbox
    server: RunningServer
    browser: Browser
    faults: list[str] = field(default_factory=list)
    """What browsers complained of: errors of scripts, and what the policy forbids."""
    _contexts: list[BrowserContext] = field(default_factory=list)

    def open(self, **options: Any) -> Page:
        """A new window of a browser of its own."""
        context = self.browser.new_context(**{"viewport": WIDE, **options})
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda said: self.faults.append(said.text) if "Content Security" in said.text else None)
        return page

    def sign_in(self, token: str = TOKEN, **options: Any) -> Page:
        page = self.open(**options)
        page.goto(f"{self.server.url}/console/deliveries?state=all")
        expect(page).to_have_title(re.compile("Sign in"))
        page.get_by_label("Name").fill("Ada")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/console/deliveries?state=all")
        return page

    def shown(self) -> str:
        """What all windows show now."""
        return "\n\n".join(shown(page) for context in self._contexts for page in context.pages)

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        self.server.stop()

    def visit(self, page: Page, place: str) -> None:
        page.goto(f"{self.server.url}/console/{place}")


@pytest.fixture
def console(
    browser: Browser, build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract
) -> Iterator[Console]:
    app = build_app(channel_table(pipe17.url), **TOKENS)
    console = Console(Caller(app, contract), pipe17, serve(app), browser)
    yield console
    console.close()
    assert console.faults == []


@pytest.fixture
def orders(console: Console) -> list[dict[str, Any]]:
    """Orders that RetailOps has acknowledged, and a stock that was stated."""
    rows = [{"sku": "MUG-RED", "quantity_available": 3}]
    console.caller.ask("inventory_push", inventory_updates=rows)
    pulled = console.caller.pull()
    console.caller.acknowledge(*[order["channel_order_refnum"] for order in pulled])
    console.caller.app.extensions["works"].journal.flush()
    return pulled


def test_p40_an_operator_finds_an_order_follows_it_and_retries_its_parked_call(
    console: Console, orders: list[dict[str, Any]]
) -> None:
    refnum = orders[0]["channel_order_refnum"]
    number = refused_shipment(console.caller, console.pipe17, orders[0])
    page = console.sign_in()
    page.keyboard.press("/")
    page.keyboard.type(refnum[:8].upper())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Order")
    expect(page.locator(".timeline")).to_contain_text("RetailOps")
    page.get_by_role("link", name=f"Retry … call {number}").click()
    page.get_by_label("Why").fill("Pipe17 mended its location")
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("It is tried now")
    eventually(lambda: console.pipe17.fulfilments(refnum))
    eventually(lambda: state_of(console.caller, number) == "delivered")
    page.reload()
    expect(page.locator(".lead .chip.done")).to_have_text("delivered")
    expect(page.get_by_role("status")).to_have_count(0)
    page.get_by_role("link", name="Operations").click()
    expect(page.locator("#list tbody tr").first).to_contain_text("Pipe17 mended its location")


def test_p40_many_calls_are_dropped_after_a_preview_and_a_double_click_acts_once(console: Console) -> None:
    numbers = [parked_call(console.caller, f"ORDER-{each}") for each in range(3)]
    page = console.sign_in()
    console.visit(page, "deliveries?state=parked")
    page.get_by_role("link", name="Drop all of these").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Drop 3 calls")
    expect(page.locator("#deliveries tbody tr")).to_have_count(3)
    assert {state_of(console.caller, each) for each in numbers} == {"parked"}
    page.get_by_label("Why").fill("shipped by hand")
    page.get_by_label("Type 3").fill("3")
    page.get_by_role("button", name="Drop 3 calls").dblclick()
    expect(page.get_by_role("status")).to_contain_text("Done: 3")
    assert {state_of(console.caller, each) for each in numbers} == {"dropped"} and len(acts(console.caller)) == 3


def test_p40_a_refund_is_released_after_its_sum_was_named_twice(console: Console) -> None:
    refund = held_refund(console.caller, "ORDER-1")
    page = console.sign_in()
    console.visit(page, f"refunds/{refund}")
    page.get_by_role("link", name="Release …").click()
    expect(page.locator(".lead")).to_contain_text("12.50 USD")
    page.get_by_label("Why").fill("not at Pipe17")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Really release 12.50 USD?")
    page.get_by_role("button", name="Release 12.50 USD").dblclick()
    expect(page.get_by_role("status")).to_contain_text("Released")
    assert [kept.outcome for kept in acts(console.caller)] == ["given_free"]


def test_p40_a_gateway_is_paused_and_what_waited_arrives_after_it_is_resumed(
    console: Console, orders: list[dict[str, Any]]
) -> None:
    pauses = console.caller.app.extensions["works"].pauses
    page = console.sign_in()
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Pause pipe17 of first").click()
    page.get_by_label("Why").fill("their warehouse moves")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".card")).to_contain_text("their warehouse moves")
    pauses.read()
    refnum = orders[0]["channel_order_refnum"]
    console.caller.ship(orders[0])
    assert console.pipe17.fulfilments(refnum) == []
    page.get_by_role("link", name="Resume pipe17 of first").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("Resumed")
    eventually(lambda: console.pipe17.fulfilments(refnum))


def test_p40_a_reader_sees_no_act_and_cannot_force_one_and_no_other_site_can(console: Console) -> None:
    number = parked_call(console.caller, "ORDER-1")
    reader = console.sign_in(READ_TOKEN)
    console.visit(reader, f"deliveries/{number}")
    expect(reader.get_by_role("link", name="Retry")).to_have_count(0)
    assert reader.goto(f"{console.server.url}/console/deliveries/{number}/drop").status == 403  # type: ignore[union-attr]
    forced = reader.evaluate(
        """async (address) => {
            const page = await (await fetch('/console/')).text();
            const token = page.match(/name="form_token" value="([^"]+)"/)[1];
            const form = new URLSearchParams({form_token: token, expected: '1.parked.7', reason: 'x'});
            return (await fetch(address, {method: 'POST', body: form})).status;
        }""",
        f"/console/deliveries/{number}/drop",
    )
    assert forced == 403
    operator = console.sign_in()
    console.visit(operator, f"deliveries/{number}/drop")
    token = operator.locator('main input[name="form_token"]').get_attribute("value")
    expected = operator.locator('main input[name="expected"]').get_attribute("value")
    # Another site at the same browser: the cookie is Lax, and the origin is not ours.
    other = console.server.url.replace("127.0.0.1", "localhost")
    operator.goto(f"{other}/healthz")
    fields = "".join(
        f'<input name="{name}" value="{value}">'
        for name, value in {"form_token": token, "expected": expected, "reason": "x"}.items()
    )
    target = f"{console.server.url}/console/deliveries/{number}/drop"
    operator.set_content(f'<form id="f" method="post" action="{target}">{fields}<button>x</button></form>')
    with operator.expect_response(target) as answered:
        operator.get_by_role("button").click()
    assert answered.value.status in (401, 403)
    assert state_of(console.caller, number) == "parked" and acts(console.caller) == []


def test_p40_everything_works_without_javascript(console: Console, orders: list[dict[str, Any]]) -> None:
    number = parked_call(console.caller, "ORDER-1")
    page = console.sign_in(java_script_enabled=False)
    page.get_by_role("searchbox").fill(orders[0]["channel_order_refnum"])
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".timeline")).to_contain_text("RetailOps")
    console.visit(page, f"deliveries/{number}")
    page.get_by_role("link", name="Drop …").click()
    page.get_by_label("Why").fill("shipped by hand")
    page.get_by_role("button", name="Drop").click()
    expect(page.get_by_role("status")).to_contain_text("given up")
    assert state_of(console.caller, number) == "dropped"
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title(re.compile("Sign in"))


def test_p40_keys_lead_through_the_pages(console: Console, orders: list[dict[str, Any]]) -> None:
    page = console.sign_in()
    for key, title in (("o", "Orders"), ("c", "Callbacks"), ("h", "Health"), ("d", "Deliveries")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page).to_have_title(re.compile(title))
    console.visit(page, "callbacks")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/console/callbacks/\d+"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("search")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_p40_a_page_that_is_fresh_no_more_says_so_and_since_when(console: Console) -> None:
    page = console.sign_in()
    page.clock.install()
    console.visit(page, "")
    page.clock.run_for(31_000)
    expect(page.locator("#old")).to_have_count(0)
    page.route("**/console/", lambda route: route.abort())
    page.clock.run_for(31_000)
    expect(page.get_by_role("status")).to_contain_text("The server does not answer. This page stands as it was at")
    page.unroute("**/console/")
    page.route("**/console/", lambda route: route.fulfill(status=503))
    page.clock.run_for(31_000)
    expect(page.get_by_role("status")).to_contain_text(
        "The server answers with HTTP 503. This page stands as it was at"
    )
    page.unroute("**/console/")
    page.clock.run_for(31_000)
    expect(page.get_by_role("status")).to_have_count(0)
    page.context.clear_cookies()
    page.clock.run_for(31_000)
    expect(page.get_by_role("status")).to_contain_text("You are signed out.")


def test_p40_a_link_to_the_content_comes_first(console: Console) -> None:
    page = console.sign_in()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", WIDE), ("dark", NARROW)], ids=["light and wide", "dark and narrow"]
)
def test_p40_every_page_is_for_everyone_at_every_width_and_in_both_schemes(
    scheme: Any, viewport: Any, console: Console, orders: list[dict[str, Any]], axe: str
) -> None:
    """axe-core finds nothing serious, no page scrolls sideways, and what a table is about fits in."""
    number = refused_shipment(console.caller, console.pipe17, orders[0])
    parked_call(console.caller, "ORDER-WITH-A-VERY-LONG-NUMBER-" + "x" * 100)
    refund = held_refund(console.caller, orders[0]["channel_order_refnum"], "123456.78")
    with console.caller.database.write() as connection:
        held_orders.hold(connection, "first", [HeldBack("HELD", "its lines and its total differ. " * 5)], utc_now())
    console.caller.app.extensions["works"].journal.flush()
    out = console.open(viewport=viewport, color_scheme=scheme)
    console.visit(out, "login")
    found = {"login": serious_findings(out, axe)}
    # axe-core is put into the page by the test, which the policy of the pages would forbid.
    page = console.sign_in(viewport=viewport, color_scheme=scheme)
    details = [
        f"orders/first/{orders[0]['channel_order_refnum']}", f"deliveries/{number}", f"deliveries/{number}/drop",
        "deliveries/many/drop?state=parked", "deliveries?state=all", f"refunds/{refund}", f"refunds/{refund}/release",
        "stock/first/MUG-RED", "send/stock/first/pipe17/MUG-RED", "gateways/first/pipe17/pause", "find?q=zzz", "find",
        "nowhere", "callbacks/1", "late",
    ]  # fmt: skip
    for place in [*PLACES, *details]:
        console.visit(page, place)
        open_details(page)
        found[place] = serious_findings(page, axe)
        if (over := pixels_beyond(page)) > 0:
            found[place].append(("scrolls sideways", f"{over} px"))
        if any(width > viewport["width"] for width in page.locator("caption").evaluate_all(WIDTHS)):
            found[place].append(("a title is cut off", "caption"))
        if viewport is WIDE:
            scrolling = page.locator(".region").evaluate_all(SCROLLING)
            found[place] += [("its acts may be out of sight", table) for table in scrolling]
    assert {place: items for place, items in found.items() if items} == {}
    console.visit(page, "orders?state=held+back")
    [across] = page.locator("#list").evaluate_all(WIDTHS)
    assert across < 1440, "a long reason leaves the other columns in sight"


def test_p40_a_printed_page_is_dark_on_light_whole_and_says_when(
    console: Console, orders: list[dict[str, Any]]
) -> None:
    refused_shipment(console.caller, console.pipe17, orders[0])
    page = console.sign_in(viewport={"width": 794, "height": 1123}, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.locator(".region").evaluate_all(SCROLLING) == [] and pixels_beyond(page) <= 0
    paper, ink = page.evaluate("[getComputedStyle(document.body)].flatMap((it) => [it.backgroundColor, it.color])")
    assert min(map(int, re.findall(r"\d+", paper))) > 200 > 100 > max(map(int, re.findall(r"\d+", ink)))
    after = page.locator("time.ago").first.evaluate("(it) => getComputedStyle(it, '::after').content")
    assert re.search(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}", after)


def test_axe_notices_what_is_wrong(browser: Browser, axe: str) -> None:
    page = browser.new_page()
    page.set_content('<html lang="en"><title>x</title><main><input><p style="color: #aaa">pale</p></main></html>')
    assert {rule for rule, _ in serious_findings(page, axe)} == {"label", "color-contrast"}
    page.close()


def test_p40_a_browser_loads_nothing_from_elsewhere(console: Console, orders: list[dict[str, Any]]) -> None:
    page = console.open()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    console.visit(page, "login")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    for place in PLACES:
        console.visit(page, place)
    assert all(url.startswith(console.server.url) for url in asked) and len(asked) > len(PLACES)
    assert TOKEN not in "".join(asked), "no token stands in an address"


def test_p40_what_a_page_shows_is_what_the_address_of_others_shows_to_a_script(console: Console) -> None:
    """Bearer opens the same pages, for programs."""
    reply = requests.get(
        f"{console.server.url}/console/deliveries", headers={"Authorization": f"Bearer {READ_TOKEN}"}, timeout=10
    )
    assert reply.status_code == 200 and "Deliveries" in reply.text
