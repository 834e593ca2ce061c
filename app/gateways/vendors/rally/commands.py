"""`channel rally`: what a merchant's account at Rally needs once, its hooks and the storefront's button."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import NoReturn

import click

from app.deadline import Deadline
from app.errors import GatewayError, SettingsFault
from app.gateways.calls import Call
from app.gateways.command_context import CommandContext
from app.gateways.vendors.rally.api import Api
from app.gateways.vendors.rally.cart_button import snippet
from app.gateways.vendors.rally.hook_registry import TOPICS, HookRegistry, HookReport
from app.gateways.vendors.rally.options import RallyOptions
from app.terminal import DONE, FAILED, Group, end, json_option, print_cells, print_json

RUN_S = 180.0
"""How long a run of some forty calls may take."""

channel_option = click.option(
    "--channel", "name", default="", help="Name of the channel; may be left out where only one has Rally."
)


@click.group(cls=Group)
def commands() -> None:
    """Rally: hooks and cart button of a merchant."""


@commands.group()
def hooks() -> None:
    """The addresses Rally calls here: all thirteen are needed for a checkout."""


@hooks.command("register")
@channel_option
@json_option
@click.pass_obj
def register(context: CommandContext, name: str, as_json: bool) -> None:
    """Register the hooks anew, and send Rally the shop's profile.

    Checks first that PUBLIC_URL answers.  Old hooks of the key are removed.  May be repeated at any time;
    it mends a run that broke off.
    """
    merchant = _Merchant(context, name)
    if not merchant.public_url:
        raise SettingsFault(["PUBLIC_URL: not set; Rally has to know where this server is reached"])
    if why := context.why_unreachable(merchant.public_url):
        report = HookReport(trouble=f"PUBLIC_URL: {why}; nothing was changed")
    else:
        report = merchant.hooks.register(_call())
    shop_info = report.shop_info or ("told" if report.is_whole else "")
    _finish(merchant, "register", report, as_json, is_done=report.is_whole, shop_info=shop_info)


@hooks.command("list")
@channel_option
@json_option
@click.pass_obj
def list_(context: CommandContext, name: str, as_json: bool) -> None:
    """The hooks Rally has for this merchant's key.

    Exit code 1 unless they are this server's thirteen: with the right verbs and, where PUBLIC_URL is set, leading
    there.
    """
    merchant = _Merchant(context, name)
    try:
        found = merchant.api.hooks(_call())
    except GatewayError as error:
        _finish(merchant, "list", HookReport(trouble=error.message), as_json, is_done=False)
    finding = merchant.hooks.finding_of(found)
    is_whole = finding.state == "ok"
    shown = [{key: str(hook.get(key, "")) for key in ("id", "type", "method", "url")} for hook in found]
    if as_json:
        print_json(
            {
                "channel": merchant.name,
                "hooks": shown,
                "expected": len(TOPICS),
                "is_whole": is_whole,
                "finding": finding.sentence,
            }
        )
    else:
        base = _shared_base([hook["url"] for hook in shown])
        below = f", addresses below {base}" if base else ""
        rows = [(hook["type"], hook["id"], hook["method"], hook["url"].removeprefix(base)) for hook in shown]
        title = f"{len(found)} hooks, {len(TOPICS)} are needed{below}"
        print_cells(title, ("type", "id", "method", "address"), rows)
        click.echo(finding.sentence, err=not is_whole)
    end(DONE if is_whole else FAILED)


@hooks.command("remove")
@channel_option
@json_option
@click.pass_obj
def remove(context: CommandContext, name: str, as_json: bool) -> None:
    """Remove every hook of this merchant's key.  Rally's checkout of this shop ends with it."""
    merchant = _Merchant(context, name)
    report = merchant.hooks.remove(_call())
    _finish(merchant, "remove", report, as_json, is_done=not report.trouble and report.registered == 0)


@commands.command("cart-button")
@channel_option
@click.option("--text", default="", help="What the button reads; Rally's own is Check out.")
@click.option("--css-class", default="", help="CSS classes of the button; Rally's own is rally-btn.")
@json_option
@click.pass_obj
def cart_button(context: CommandContext, name: str, text: str, css_class: str, as_json: bool) -> None:
    """Print the HTML that puts Rally's checkout button on the storefront's cart page.

    Before it the page sets `window.rallyItems = [{sku, quantity}]`, with `product_id` and `variant_id` in
    the place of `sku` where it knows Rally's ids.  Prices are those of the catalogue, never of the page.

    A shop that keeps carts sets `window.rallyCart = {id, currency}` instead: `id` is what this server
    answered to POST .../storefront/carts, which needs `storefront_key` in [channel.rally].
    """
    merchant = _Merchant(context, name)
    if not merchant.options.storefront_client_id:
        raise click.ClickException(f"channel {merchant.name}: set storefront_client_id in [channel.rally]")
    html = snippet(merchant.options, text=text, css_class=css_class)
    if as_json:
        print_json({"channel": merchant.name, "html": html})
    else:
        click.echo(html, nl=False)


class _Merchant:
    """The account at Rally of the channel meant.  Raises `click.UsageError` where that is not clear."""

    def __init__(self, context: CommandContext, name: str) -> None:
        configured, found = context.channels_with("rally", name)
        if len(found) != 1:
            names = ", ".join(channel.name for channel in found) or "none"
            raise click.UsageError(f"name one channel that has Rally with --channel; there are: {names}")
        self.name = found[0].name
        self.public_url = configured.public_url
        self.options: RallyOptions = found[0].vendors["rally"]
        self.api = Api(self.options, context.tools(configured, self.name))
        self.hooks = HookRegistry(self.api, self.options, self.public_url)


def _call() -> Call:
    return Call(Deadline.in_s(RUN_S), "", "command")


def _finish(
    merchant: _Merchant, action: str, report: HookReport, as_json: bool, *, is_done: bool, shop_info: str = ""
) -> NoReturn:
    """Print what became of the hooks, and end the command."""
    steps = (*report.removed, *report.added)
    if as_json:
        print_json(
            {
                "channel": merchant.name,
                "action": action,
                "done": is_done,
                **asdict(report),
                "shop_info": shop_info or report.shop_info,
            }
        )
        end(DONE if is_done else FAILED)
    base = _shared_base([step.url for step in steps])
    rows = [(step.hook, step.outcome, step.url.removeprefix(base), step.why) for step in steps]
    if rows:
        print_cells(f"Addresses below {base}" if base else "", ("hook", "outcome", "address", "why"), rows)
    if report.registered is not None:
        click.echo(f"Rally lists {report.registered} hooks now.")
    for why in filter(None, (report.trouble, report.shop_info)):
        click.echo(why, err=True)
    end(DONE if is_done else FAILED)


def _shared_base(urls: Sequence[str]) -> str:
    """What all these addresses begin with, said once so that a table fits 80 columns; "" where it is no whole one."""
    shared: list[str] = []
    for parts in zip(*(url.split("/")[:-1] for url in urls), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "/".join(shared) if len(shared) >= 3 else ""
