"""`channel init`: the two files a server needs, for the vendors somebody wants, filled in for the sandboxes."""

from __future__ import annotations

import io
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click
from dotenv import dotenv_values

from app import gateways
from app.cli.env_file import ENV_FILE
from app.cli.verify.keys import new_key
from app.errors import SettingsFault
from app.gateways import VENDORS
from app.options import read_table
from app.terminal import Output, json_or_tables

CHANNELS_FILE = Path("channels.toml")

FIRST_PAIR = (1201, 31)
"""RetailOps' numbers in the first [[channel]]: made up, and none of the SDK's fixtures (R4)."""

_HEAD = """\
# One [[channel]] for each RetailOps channel this server answers for.  `channel settings` explains every key.
# ${NAME} is a variable of the environment (.env while you develop), so no secret stands in this file.
"""

_CHANNEL = """
[[channel]]
name = "$name"
client_id = $client_id            # RetailOps' client_id: put your account's number here before going live
channel_id = $channel_id             # RetailOps' channel_info.id, likewise
auth_keys = ["$${$variable}"]
gateways = [$tokens]

$tables"""

_ENV = """\
# Variables for `channel` commands and for flask.  Variables that are set already win.  gunicorn does not read this
# file: on a host, set the same names there.  It holds secrets: keep it out of version control.

APP_ENV=development
# Where vendors reach this server (Rally's hooks, Retail Rocket's feed).
PUBLIC_URL=http://127.0.0.1:5000

# The secret for the operator's pages at /console, and for /metrics.
CONSOLE_TOKEN=$console_token

$variables"""

_VARIABLES = """\
# What RetailOps sends as integration_auth_token.  `channel auth-key generate` makes another one.
$keys
$vendors"""


NEXT = {
    "channel sandbox all": "the vendors' stand-ins",
    "channel serve": "this server",
    "channel verify": "is it right?",
    "channel check": "what is missing, and what mends it",
}
"""The commands that come next, and what they are for."""


@click.command()
@click.option(
    "--vendor",
    "vendors",
    multiple=True,
    type=click.Choice(sorted(gateways.REGISTRY)),
    help="A vendor to talk to; may be given several times.  Default: rally.",
)
@json_or_tables
def init(vendors: tuple[str, ...]) -> Output:
    """Write channels.toml and .env into this folder, with comments, and never over a file that is there.

    They are filled in for the vendors' stand-ins of `channel sandbox all`, so that `channel serve` runs at
    once; the secrets are made anew.  What you replace before going live is said in both files.
    """
    for file in (CHANNELS_FILE, ENV_FILE):
        if file.exists():
            raise click.ClickException(f"{file} is there already, and nothing was written; take it away first")
    chosen = list(dict.fromkeys(vendors)) or ["rally"]
    env = Template(_ENV).substitute(console_token=secrets.token_urlsafe(24), variables=variables_text(chosen))
    _write(ENV_FILE, env, mode=0o600)
    _write(CHANNELS_FILE, _HEAD + channels_text(chosen), mode=0o644)
    names = [_name(tokens) for tokens in _channels(chosen)]
    return Output(
        {"files": [str(CHANNELS_FILE), str(ENV_FILE)], "channels": names, "next": list(NEXT)},
        f"Wrote {CHANNELS_FILE} with {' and '.join(names)}, and {ENV_FILE} with their secrets.\n",
        "Next, each in a terminal of its own:",
        *(f"  {command:<22}{meaning}" for command, meaning in NEXT.items()),
    )


def example(token: str, kind: str) -> str:
    """The vendor's own `example.toml` or `example.env`, from its folder."""
    return _example_file(token, kind).read_text(encoding="utf-8")


def has_example(token: str) -> bool:
    """Whether a vendor of this name is known, and what it needs in both files."""
    return token in gateways.REGISTRY and _example_file(token, "toml").is_file()


def _example_file(token: str, kind: str) -> Traversable:
    """Looked for below the folder of all vendors: to look in the vendor's own would import it."""
    return files(gateways.vendors) / token / f"example.{kind}"


def channels_text(vendors: list[str], ports: Mapping[int, int] | None = None) -> str:
    """A [[channel]] for each order source among these vendors, filled in for the sandboxes.

    `ports` names the sandboxes that listen elsewhere than the examples say: port of the example to port in use.
    """
    text = "".join(_channel_text(number, tokens) for number, tokens in enumerate(_channels(vendors))) if vendors else ""
    return re.sub(r"(?<=//127\.0\.0\.1:)\d+", lambda found: str((ports or {}).get(int(found[0]), found[0])), text)


def variables_text(vendors: list[str]) -> str:
    """The variables that `channels_text` names, as .env has them, with new keys for RetailOps."""
    if not vendors:
        return ""
    return Template(_VARIABLES).substitute(
        keys="".join(f"{_variable(tokens)}={new_key()}\n" for tokens in _channels(vendors)),
        vendors="\n".join(example(token, "env") for token in vendors),
    )


def _channels(vendors: list[str]) -> list[list[str]]:
    """The vendors of each channel: one order source each (R17); those that bring no orders join the first (R5)."""
    if len(vendors) == 1:
        return [vendors]  # whatever it brings: to find that out would import the vendor
    sources = [[token] for token in vendors if _brings_orders(token)] or [[]]
    sources[0] += [token for token in vendors if not _brings_orders(token)]
    return sources


def _brings_orders(token: str) -> bool:
    """Whether the vendor is an order source as its example configures it."""
    values = {name: value or "" for name, value in dotenv_values(stream=io.StringIO(example(token, "env"))).items()}
    table = tomllib.loads(Template(example(token, "toml")).substitute(values))["channel"][token]
    faults: list[str] = []
    vendor = VENDORS[token]
    options = read_table(vendor.options, table, f"example.toml of {token}", faults)
    if faults:
        raise SettingsFault(faults)
    return vendor.brings_orders(options)


def _name(tokens: list[str]) -> str:
    return f"{tokens[0]}-shop"


def _variable(tokens: list[str]) -> str:
    return f"{tokens[0].upper()}_SHOP_KEY"


def _channel_text(number: int, tokens: list[str]) -> str:
    client_id, channel_id = FIRST_PAIR
    return Template(_CHANNEL).substitute(
        name=_name(tokens),
        client_id=client_id,
        channel_id=channel_id + number,
        variable=_variable(tokens),
        tokens=", ".join(f'"{token}"' for token in tokens),
        tables="\n".join(example(token, "toml") for token in tokens),
    )


def _write(file: Path, text: str, mode: int) -> None:
    """Make the file; never over one that is there."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as made:
        made.write(text)
