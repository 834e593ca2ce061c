"""`channel send`: one callback to a channel server, and whether RetailOps would take the answer."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, Literal, get_args
from urllib.parse import urlsplit

import click
import msgspec
from rich.json import JSON

from app import settings as configuration
from app.addresses import is_loopback
from app.channel_settings import TEST_KEY, Channel
from app.cli.exchange import Verdict, apply_change, exchange
from app.cli.samples import sample
from app.cli.verify.bodies import NotAnObject, read_object
from app.cli.verify.flags import timeout_option
from app.cli.verify.keys import find_key
from app.cli.verify.target import BadAddress, Target
from app.contract.schemas import Callback, load_contract
from app.gateways import VENDORS
from app.settings import Settings
from app.terminal import DONE, FAILED, Output, console, json_option

READ_ONLY = frozenset({"catalog_get_config", "order_pull"})
"""Callbacks that ask; every other one states a fact or is a command."""

KeySource = Literal["channel", "test", "stored", "ask"]


@dataclass(frozen=True)
class _Caller:
    """Who sends: a channel of this server's configuration, or nobody's with a key of another source."""

    key: str = field(repr=False)
    channel: Channel | None
    settings: Settings | None


@click.command()
@click.argument("name", metavar="CALLBACK")
@click.option(
    "--channel", "channel_name", help="Send as this channel of channels.toml.  Needed where there are several."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change the body, as in order.order_items[0].quantity=2.  The value is read as JSON if it is JSON, else "
    "it is text.  May be repeated.",
)
@click.option(
    "--from",
    "file",
    type=click.File("rb"),
    help="Send the JSON object in this file (- reads standard input) in place of the sample body.",
)
@click.option(
    "--to",
    metavar="URL",
    help="Base address of the server, as it is given to RetailOps.  Default: http://localhost:$PORT/api/channel.",
)
@click.option(
    "--key",
    "source",
    type=click.Choice(get_args(KeySource)),
    help="Where the key comes from: the channel's own (default), the SDK's public test key, the key that the SDK's "
    "tool has stored, or ask (without echo; standard input when that is no terminal).",
)
@timeout_option(20.0, "Seconds for the whole exchange.", most_s=600)
@click.option("--yes", is_flag=True, help="Do not ask before sending what may change live data.")
@json_option
@click.pass_context
def send(
    ctx: click.Context,
    name: str,
    channel_name: str | None,
    changes: tuple[str, ...],
    file: BinaryIO | None,
    to: str | None,
    source: KeySource | None,
    timeout_s: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Send one callback to a channel server, as RetailOps would, and judge the answer.

    CALLBACK is a name such as order_cancel, with or without _v1.  The sample body speaks of an order and of
    SKUs whose names begin with SAMPLE; client_id, channel_info and the key are the channel's own, also with
    --from, unless --set changes them.  The key is shown nowhere.  With a channel's own key the callback is
    real: use --key test for a dry run.  A redirect is not followed.

    Exit codes: 0 the status was 200 and RetailOps would take the answer, 1 it was not or would not, 2 the
    command line or the configuration is wrong.
    """
    callback = _callback(name)
    caller = _caller(ctx, source, channel_name, needs_port=to is None)
    url = to or f"http://localhost:{caller.settings.port if caller.settings else 5000}/api/channel"
    try:
        target = Target(url.rstrip("/"), timeout_s, flag="--to" if to else url)
    except BadAddress as error:
        raise click.UsageError(str(error), ctx) from None
    with closing(target):
        body = _body(callback, file, caller)
        for change in changes:
            apply_change(body, change)
        reasons = [] if yes or caller.key == TEST_KEY else _doubts(callback, caller, url, is_default_key=source is None)
        if reasons:
            doubt = "; ".join(reasons)
            if as_json or file is not None or not sys.stdin.isatty():
                raise click.UsageError(f"{doubt}.  Add --yes if that is meant, or use --key test.", ctx)
            click.confirm(f"{doubt}.  Send it?", abort=True, err=True)
        verdict = exchange(callback, body, target, url, caller.key)
    Output(verdict, partial(_show, verdict), code=DONE if verdict.ok else FAILED).finish(as_json=as_json)


def _callback(name: str) -> Callback:
    callbacks = load_contract().callbacks
    found = callbacks.get(name.removesuffix("_v1"))
    if found is None:
        raise click.BadParameter(f"unknown callback; the names are {', '.join(callbacks)}", param_hint="CALLBACK")
    return found


# Who sends


def _caller(ctx: click.Context, source: KeySource | None, channel_name: str | None, *, needs_port: bool) -> _Caller:
    """Raises `SettingsFault` only where something of the configuration is needed."""
    is_needed = needs_port or channel_name is not None or source in (None, "channel")
    configured = configuration.load(vendors=VENDORS) if is_needed else None
    channel = _channel(ctx, configured, channel_name, source) if configured else None
    match source:
        case "test":
            key = TEST_KEY
        case "stored":
            key = find_key().key
        case "ask":
            key = _asked_key()
        case _:
            assert channel is not None
            key = channel.auth_keys[0]
    return _Caller(key, channel, configured)


def _channel(
    ctx: click.Context, configured: Settings, channel_name: str | None, source: KeySource | None
) -> Channel | None:
    found = [channel for channel in configured.channels if channel_name in (None, channel.name)]
    if len(found) == 1:
        return found[0]
    if channel_name is None and source not in (None, "channel"):
        return None
    if not configured.channels:
        raise click.UsageError("channels.toml: no channel is configured; --key test or --key ask needs none", ctx)
    said = "name one with --channel" if channel_name is None else "there is no such channel"
    names = ", ".join(channel.name for channel in configured.channels)
    raise click.BadParameter(f"{said}; channels.toml has {names}", ctx, param_hint="--channel")


def _asked_key() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Key", hide_input=True, err=True))
    key = sys.stdin.readline().strip()
    if not key:
        raise click.BadParameter("standard input holds no key", param_hint="--key")
    return key


def _doubts(callback: Callback, caller: _Caller, url: str, *, is_default_key: bool) -> list[str]:
    """A real key must not leave for another host unnoticed, nor a sample arrive in production by a slip."""
    reasons = []
    public = caller.settings.public_url if caller.settings else ""
    is_ours = is_loopback(url) or (bool(public) and urlsplit(public)[:2] == urlsplit(url)[:2])
    if is_default_key and not is_ours:
        reasons.append("the channel's own key goes to an address that is neither loopback nor PUBLIC_URL")
    is_production = caller.settings is not None and caller.settings.app_env == "production"
    if callback.name not in READ_ONLY and (is_production or not is_loopback(url)):
        reasons.append(f"{callback.name} is carried out for real, for the key is not the test key")
    return reasons


# What is sent


def _body(callback: Callback, file: BinaryIO | None, caller: _Caller) -> dict[str, Any]:
    body = sample(callback.name)
    if file is not None:
        try:
            body = read_object(file.read())
        except NotAnObject as error:
            raise click.BadParameter(f"{file.name} {error}", param_hint="--from") from None
    body["integration_auth_token"] = caller.key
    if caller.channel is not None:
        client_id, channel_id = caller.channel.pair
        body.update(client_id=client_id, channel_info={"id": channel_id})
    body.setdefault("client_id", 0)
    body.setdefault("channel_info", {"id": 0})
    return body


# What is shown


def _show(verdict: Verdict) -> None:
    out = console()
    out.print(f"POST {verdict.url}")
    _show_json(verdict.request)
    for sentence in verdict.request_problems:
        out.print(f"Note: RetailOps would not send this: {sentence}")
    out.print()
    if verdict.status is not None:
        traced = f", request {verdict.request_id}" if verdict.request_id else ""
        out.print(f"Answer: status {verdict.status} after {verdict.ms} ms{traced}")
    if verdict.answer is not None:
        _show_json(verdict.answer)
    elif verdict.text:
        out.print(verdict.text)
    out.print()
    if verdict.ok:
        out.print("RetailOps would take this answer.")
        return
    if verdict.problems:
        out.print("RetailOps would throw this answer away:")
    for problem in verdict.problems:
        out.print(f"  {problem.message} (rule {problem.rule})")
    if verdict.error:
        out.print(f"Not done: {verdict.error}")


def _show_json(value: Any) -> None:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    console().print(JSON(text), soft_wrap=True)
