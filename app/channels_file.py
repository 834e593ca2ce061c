"""Reads channels.toml: each [[channel]] with its vendors' tables, and the rules that hold between channels.

Every fault is found, each with the place and the rule, never a value.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from app.channel_settings import FIXTURE_PAIRS, Channel, Vendors, key_rules
from app.options import read_table


def read_channels(
    text: str, place: str, env: Mapping[str, str], vendors: Vendors, faults: list[str]
) -> tuple[Channel, ...]:
    """The channels that the text of channels.toml describes; adds to `faults` the place and the rule of each fault.

    `place` is what faults call the text, `env` what `${NAME}` in it is looked up in.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{place}: not TOML: {error}")
        return ()
    except RecursionError:
        faults.append(f"{place}: its lists or tables are nested too deeply")
        return ()
    tables = document.pop("channel", [])
    faults.extend(f"{place}: unknown top-level key '{key}'; only [[channel]] is known" for key in document)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(f"{place}: channels are written as [[channel]] tables")
        return ()
    channels = [
        channel
        for position, table in enumerate(tables, 1)
        if (channel := _channel(table, position, place, env, vendors, faults)) is not None
    ]
    faults.extend(_collisions(channels, place, vendors))
    return tuple(channels)


def _channel(
    table: dict[str, Any], position: int, place: str, env: Mapping[str, str], vendors: Vendors, faults: list[str]
) -> Channel | None:
    name = table.get("name")
    here = f"{place}: channel '{name}'" if isinstance(name, str) else f"{place}: channel number {position}"
    found: list[str] = []
    unset: list[str] = []
    table = _expanded(table, here, env, found, unset)
    missing = len(found)
    own = {key: value for key, value in table.items() if key not in vendors}
    channel = read_table(Channel, own, here, found)
    if channel is not None:
        found.extend(f"{here}.auth_keys: {rule}" for key in channel.auth_keys for rule in key_rules(key))
        if channel.pair in FIXTURE_PAIRS and not channel.allow_fixture_pair:
            found.append(
                f"{here}: client_id and channel_id are those of the SDK's fixtures, which certification sends with "
                "the real key; use the real numbers or set allow_fixture_pair = true"
            )
    tables = _vendor_tables(table, here, vendors, found)
    # What a variable that is not set left empty breaks further rules, which are not worth saying.
    of_unset = tuple(place + end for place in unset for end in ":.")
    faults.extend(found[:missing] + [fault for fault in found[missing:] if not fault.startswith(of_unset)])
    if found or channel is None:
        return None
    return replace(
        channel,
        auth_keys=tuple(channel.auth_keys),
        gateways=tuple(channel.gateways),
        former_name=tuple(dict.fromkeys(channel.former_name)),
        former_account=tuple(dict.fromkeys(channel.former_account)),
        not_sold_words=tuple(" ".join(word.split()).casefold() for word in channel.not_sold_words),
        vendors=tables,
        order_source=next((token for token, options in tables.items() if vendors[token].brings_orders(options)), ""),
        set_aside=tuple(_not_carried(tables, here, vendors)),
    )


def _not_carried(tables: Mapping[str, Any], here: str, vendors: Vendors) -> Iterator[str]:
    """Settings of the order source that make orders RetailOps can never take (R33)."""
    for token, options in tables.items():
        vendor = vendors[token]
        if vendor.brings_orders(options):
            yield from (f"{here}.{token}.{rule}" for rule in vendor.not_carried(options))


def _vendor_tables(table: Mapping[str, Any], here: str, vendors: Vendors, faults: list[str]) -> dict[str, Any]:
    """The options of every gateway the channel names, even where the channel's own keys are at fault."""
    named = table.get("gateways")
    tokens = [token for token in named if isinstance(token, str)] if isinstance(named, list) else []
    tables: dict[str, Any] = {}
    sources: list[str] = []
    if len(set(tokens)) < len(tokens):
        faults.append(f"{here}.gateways: a gateway is named twice")
    for token in dict.fromkeys(tokens):
        if token not in vendors:
            faults.append(f"{here}.gateways: unknown gateway '{token}'; known: {', '.join(vendors)}")
            continue
        try:
            vendor = vendors[token]
        except ImportError as error:
            faults.append(f"{here}.gateways: gateway '{token}' cannot be loaded: {type(error).__name__}")
            continue
        given = table.get(token, {})
        options = read_table(vendor.options, given, f"{here}.{token}", faults) if isinstance(given, dict) else None
        if options is None:
            continue
        tables[token] = options
        faults.extend(f"{here}.{token}: {rule}" for rule in vendor.faults(options))
        if vendor.brings_orders(options):
            sources.append(token)
    if len(sources) > 1:
        faults.append(
            f"{here}.gateways: {' and '.join(sources)} both bring orders; one order source per channel "
            "(set orders = false in the other's table)"
        )
    for token in vendors:
        if token in table and token not in tokens and isinstance(named, list):
            faults.append(f"{here}: table '{token}' is given but gateways does not name it")
        elif token in table and not isinstance(table[token], dict):
            faults.append(f"{here}.{token}: must be a table")
    return tables


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NEARLY_A_VARIABLE = re.compile(r"\$\{|\A(\$[A-Z_][A-Z0-9_]*|%[A-Z_][A-Z0-9_]*%)\Z")


def _expanded(
    value: Any, place: str, env: Mapping[str, str], faults: list[str], unset: list[str], owner: str = ""
) -> Any:
    """`${NAME}` in any text of the table becomes the variable; a missing one is a fault, and its place is in `unset`.

    `owner` is the channel, where `place` lies deeper.
    """
    owner = owner or place
    if isinstance(value, dict):
        return {key: _expanded(item, f"{place}.{key}", env, faults, unset, owner) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, place, env, faults, unset, owner) for item in value]
    if not isinstance(value, str):
        return value
    if _NEARLY_A_VARIABLE.search(_VARIABLE.sub("", value)):
        form = "${NAME}, of letters, digits and underscores"
        faults.append(f"{place}: a variable is written as {form}; a text that only looks like one belongs in one")
        unset.append(place)

    def variable(match: re.Match[str]) -> str:
        name = match.group(1)
        if not env.get(name):
            faults.append(f"{owner} names ${{{name}}}, which is not set")
            unset.append(place)
        return env.get(name, "")

    return _VARIABLE.sub(variable, value)


def _collisions(channels: list[Channel], place: str, vendors: Vendors) -> list[str]:
    """R5: whatever says which channel or account is meant must say it once."""
    faults = []
    owners: dict[tuple[str, Any], Channel] = {}
    for channel in channels:
        marks: list[tuple[str, Any]] = [("name", channel.name), ("client_id and channel_id", channel.pair)]
        for token, options in channel.vendors.items():
            marks.extend((f"{token} account", mark) for mark in vendors[token].account_marks(options))
        for kind, mark in dict.fromkeys(marks):
            other = owners.setdefault((kind, mark), channel)
            if other is not channel:
                faults.append(f"{place}: channels '{other.name}' and '{channel.name}' have the same {kind}")
    former: dict[str, Channel] = {}
    names = {channel.name for channel in channels}
    for channel in channels:
        for name in channel.former_name:
            here = f"{place}: channel '{channel.name}'.former_name"
            if name in names:
                faults.append(f"{here}: '{name}' is the name of a channel now; it cannot be a former one as well")
            if former.setdefault(name, channel) is not channel:
                faults.append(f"{here}: '{name}' is also a former name of channel '{former[name].name}'")
    return sorted(set(faults))
