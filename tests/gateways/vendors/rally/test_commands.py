"""`channel rally`: hooks registered whole or mended by the next run, and a snippet that escapes what it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from flask import Flask

from app.cli import cli
from app.deadline import Deadline
from app.gateways.calls import Call
from app.gateways.vendor import Tools
from app.gateways.vendors.rally.api import Api
from app.gateways.vendors.rally.cart_button import snippet
from app.gateways.vendors.rally.hook_registry import TOPICS
from app.sandbox.server import serve
from app.sandbox.vendors.rally import API_KEY, BASE_PATH, SECOND_API_KEY, SECOND_ORGANIZATION_ID, serve_rally
from tests.gateways.vendors.rally.shop import Shop, channel_text
from tests.gateways.vendors.rally.stage import options_of
from tests.retailops import Caller


@pytest.fixture
def shop(build_app: Callable[..., Flask], contract: Any) -> Iterator[Shop]:
    """A server that answers /healthz at its public address, and Rally without any hook of it."""
    with serve(build_app()) as server, serve_rally() as rally:
        yield Shop(Caller(None, contract), rally, server)  # type: ignore[arg-type]


class Command:
    """`channel rally ...`."""

    def __init__(self, shop: Shop, text: str = "", public_url: str | None = None) -> None:
        self._env = {
            "APP_ENV": "development",
            "CHANNELS": text or channel_text(shop.rally.url),
            "PUBLIC_URL": shop.server.url if public_url is None else public_url,
        }

    def shown(self, *args: str) -> str:
        """What a person reads, without the blanks at the ends of lines."""
        done = CliRunner().invoke(cli, ["rally", *args], env=self._env)
        return "\n".join(line.rstrip() for line in done.stdout.splitlines())

    def __call__(self, *args: str) -> tuple[int, Any]:
        done = CliRunner().invoke(cli, ["rally", *args, "--json"], env=self._env)
        assert API_KEY not in done.output and SECOND_API_KEY not in done.output
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done.exit_code, msgspec.json.decode(done.stdout) if done.stdout else done.stderr


def refuse(shop: Shop, method: str, *, after: int, code: int = 500, times: int | None = 1) -> None:
    match = {"method": method, "path_prefix": f"{BASE_PATH}/hooks"}
    if after:
        shop.rally.faults.add({"kind": "slow", "delay_s": 0.0, "times": after, "match": match})
    shop.rally.faults.add({"kind": "status", "code": code, "times": times, "match": match})


def topics(shop: Shop) -> list[str]:
    return sorted(hook["type"] for hook in shop.view("hooks"))


def test_hooks_are_registered_listed_registered_again_and_removed(shop: Shop) -> None:
    command = Command(shop)
    assert command("hooks", "list")[0] == 1
    for removed in (0, 13):
        status, report = command("hooks", "register")
        assert (status, report["done"], report["registered"], len(report["removed"])) == (0, True, 13, removed)
        assert [step["outcome"] for step in report["added"]] == ["registered"] * 13
        assert topics(shop) == sorted(TOPICS)
    [fetch] = [hook for hook in shop.view("hooks") if hook["type"] == "order/fetch"]
    assert fetch["url"] == f"{shop.server.url}/rally/merchants/:orgId/orders/:resourceId" and fetch["method"] == "get"
    assert shop.view("shop")["profile"]["currency"] == "USD"
    status, listed = command("hooks", "list")
    assert (status, listed["is_whole"], len(listed["hooks"])) == (0, True, 13)
    shown = command.shown("hooks", "list")
    assert f"addresses below {shop.server.url}/rally/merchants/:orgId" in shown
    assert re.search(r"^order/fetch +\S+ +get +/orders/:resourceId$", shown, re.MULTILINE), "fits 80 columns"
    status, report = command("hooks", "remove")
    assert (status, report["registered"], topics(shop)) == (0, 0, [])
    assert shop.view("warnings") == []


def test_hooks_that_lead_elsewhere_or_are_called_otherwise_are_not_this_servers(shop: Shop) -> None:
    command = Command(shop)
    command("hooks", "register")
    elsewhere = Command(shop, public_url="https://elsewhere.example.test")("hooks", "list")
    assert (elsewhere[0], elsewhere[1]["is_whole"]) == (1, False) and "leading elsewhere" in elsewhere[1]["finding"]
    assert Command(shop, public_url="")("hooks", "list")[0] == 0, "nothing is known of where they should lead"
    hook, options = shop.view("hooks")[0], options_of(base_url=shop.rally.url + BASE_PATH)
    api, call = Api(options, Tools("shop", 2)), Call(Deadline.in_s(5), "", "command")
    api.remove_hook(hook["id"], call)
    api.add_hook(hook["type"], hook["url"], "put", call)
    status, listed = command("hooks", "list")
    assert (status, listed["is_whole"]) == (1, False) and hook["type"] in listed["finding"]


@pytest.mark.parametrize(("method", "after"), [("POST", 4), ("POST", 0), ("DELETE", 3), ("GET", 1)])
def test_a_run_that_broke_off_is_mended_by_the_next(shop: Shop, method: str, after: int) -> None:
    command = Command(shop)
    command("hooks", "register")
    refuse(shop, method, after=after)
    status, report = command("hooks", "register")
    assert (status, report["done"]) == (1, False)
    if method == "POST":
        outcomes = [step["outcome"] for step in report["added"]]
        assert outcomes == ["registered"] * after + ["failed"] + ["not_tried"] * (12 - after)
    status, report = command("hooks", "register")
    assert (status, report["registered"], topics(shop)) == (0, 13, sorted(TOPICS))


def test_one_hook_rally_refuses_is_named_and_the_others_are_there(shop: Shop) -> None:
    refuse(shop, "POST", after=2, code=422)
    status, report = Command(shop)("hooks", "register")
    assert (status, report["registered"]) == (1, 12)
    assert [step["hook"] for step in report["added"] if step["outcome"] == "failed"] == ["cart/update"]


def test_nothing_is_touched_while_our_own_address_does_not_answer(shop: Shop) -> None:
    Command(shop)("hooks", "register")
    wrong = Command(shop, public_url="http://127.0.0.1:9")
    status, report = wrong("hooks", "register")
    assert status == 1 and report["trouble"].startswith("PUBLIC_URL: nobody answers there")
    assert len(shop.view("hooks")) == 13
    status, said = Command(shop, public_url="")("hooks", "register")
    assert status == 2 and "PUBLIC_URL: not set" in said


def test_a_refused_key_is_said_and_another_merchants_hooks_stay(shop: Shop) -> None:
    text = channel_text(shop.rally.url, api_key="not-the-key-of-it") + channel_text(
        shop.rally.url, name="other", pair=(1201, 77), key="key+of+the+other+merchant+002",
        api_key=SECOND_API_KEY, organization_id=SECOND_ORGANIZATION_ID,
    )  # fmt: skip
    command = Command(shop, text)
    assert command("hooks", "list")[0] == 2, "two merchants: one has to be named"
    assert command("hooks", "register", "--channel", "other")[0] == 0
    status, report = command("hooks", "register", "--channel", "shop")
    assert status == 1 and "401" in report["trouble"]
    shop.organization_id = SECOND_ORGANIZATION_ID
    assert len(shop.view("hooks")) == 13


def test_the_cart_button_holds_element_loader_client_id_and_fallback(shop: Shop) -> None:
    more = 'native_checkout_url = "https://shop.example.test/checkout?a=1&b=2"'
    command = Command(shop, channel_text(shop.rally.url, rally=more))
    status, report = command("cart-button", "--text", 'Buy "now" & <fast>', "--css-class", "btn")
    html = report["html"]
    assert status == 0
    assert 'custom-text="Buy &quot;now&quot; &amp; &lt;fast&gt;" custom-class="btn"' in html
    assert 'rally.init("0b6f1c2e-0000-4000-8000-00000000c0de", configuration)' in html
    assert '"fallbackUrl":"https://shop.example.test/checkout?a=1\\u0026b=2"' in html
    assert '<script type="module" src="https://js.onrally.com/checkout-button/elements-es2015.js">' in html
    assert html.count("<script") == html.count("</script>") == 3 and "{{" not in html
    # Bare line items are what a page names by default, without a price; a cart of the shop's goes before them.
    assert "items = window.rallyItems || []" in html and "item.price" not in html
    assert html.index("configuration.cartData =") < html.index("else configuration.lineItems =")


def test_a_value_cannot_end_the_script() -> None:
    html = snippet(options_of(storefront_client_id="</script><script>alert('1')//\u2028"), text="' onclick=x")
    assert html.count("</script>") == 3 and "alert('1')" not in html and "\u2028" not in html
    assert 'custom-text="&#x27; onclick=x"' in html
    assert not re.search(r"\{\w*\}(?!\))", html.replace("{}", "")), "nothing of the template is left"
    assert "$" not in html


def test_without_a_client_id_there_is_no_button(shop: Shop) -> None:
    text = channel_text(shop.rally.url).replace('storefront_client_id = "0b6f1c2e-0000-4000-8000-00000000c0de"', "")
    status, said = Command(shop, text)("cart-button")
    assert status == 1 and "storefront_client_id" in said
