"""`channel auth-key`: a key RetailOps can carry, kept where the SDK's tool and `channel verify` look for it."""

from __future__ import annotations

import sys

import click

from app.channel_settings import key_rules
from app.cli.verify.keys import PLACES, NoKey, NothingStored, find_key, new_key, store_key, unseen_home
from app.terminal import Group, Output, json_or_tables, warn

_ROTATION = f"""
    The key is what RetailOps sends with every callback, in the body field integration_auth_token.  It is kept
    in ~/{PLACES[0]}, readable by its owner only; ~/{PLACES[1]} is read too.

    \b
    To replace a key without losing a callback:
      1. `channel auth-key generate --replace` makes a new one; the old one still stands in channels.toml.
      2. Give the channel both: auth_keys = ["${{NEW_KEY}}", "${{OLD_KEY}}"]; restart the server.
      3. `channel certify` sends RetailOps the new key.
      4. When RetailOps calls with the new key, take the old one out of auth_keys and restart.

    RetailOps registers name and key together; whether a second certification replaces the first is not
    documented, so ask its support to remove the old registration.
"""


@click.group("auth-key", cls=Group, help="Make, show or keep the key of a channel.\n" + _ROTATION)
def auth_key() -> None:
    """The text above is the help."""


@auth_key.command()
@click.option("--replace", is_flag=True, help="Put the new key in the place of one that is stored already.")
@json_or_tables
def generate(replace: bool) -> Output:
    """Make a new random key and store it.

    It is 24 random bytes in base64, as the SDK's tool makes it: 32 characters and never an underscore, at which
    RetailOps would cut it.  The key is not shown; `channel auth-key show` does that.
    """
    _refuse_to_overwrite(replace)
    return _stored(new_key())


@auth_key.command()
@click.option("--replace", is_flag=True, help="Put the key in the place of one that is stored already.")
@click.argument("key", required=False, metavar="[KEY]")
@json_or_tables
def install(replace: bool, key: str | None) -> Output:
    """Store a key that exists already.

    Without KEY it is read from standard input, where neither the shell's history nor the list of processes
    shows it: `channel auth-key install < file`.  The key is not shown again.
    """
    if key is None:
        key = click.prompt("Key", hide_input=True) if sys.stdin.isatty() else sys.stdin.read(10_000)
    faults = key_rules(key.strip())
    if faults:
        raise click.BadParameter("; ".join(faults) + ".", param_hint="KEY")
    _refuse_to_overwrite(replace, key.strip())
    return _stored(key.strip())


@auth_key.command()
@json_or_tables
def show() -> Output:
    """Print the stored key, alone on standard output.

    A shell can take it from there: `export NEW_KEY="$(channel auth-key show)"`.
    """
    stored = find_key()
    stored.warn_if_exposed()
    for fault in key_rules(stored.key):
        warn(f"{stored.file}: {fault}")
    return Output({"key": stored.key, "file": str(stored.file)}, stored.key)


def _refuse_to_overwrite(replace: bool, key: str = "") -> None:
    """A key that is gone cannot be given back to RetailOps.  Raises `NoKey`."""
    if replace:
        return
    try:
        stored = find_key()
    except NothingStored:
        return
    if stored.key != key:
        raise NoKey(f"{stored.file} holds a key already; --replace puts the new one in its place")


def _stored(key: str) -> Output:
    file, elsewhere = store_key(key).file, unseen_home()
    return Output(
        {"file": str(file)},
        f"The key is stored in {file}, readable by you only.",
        f"The SDK's own tool does not ask HOME; it would look below {elsewhere}." if elsewhere is not None else "",
        'Give it to the channel: `export CHANNEL_KEY="$(channel auth-key show)"`, `auth_keys = ["${CHANNEL_KEY}"]`.',
    )
