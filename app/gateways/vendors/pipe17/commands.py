"""`channel pipe17 ...`: sets up a Pipe17 account before the first order comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import click
import msgspec

from app.deadline import Deadline
from app.domain.facts import Obstacle
from app.domain.stock_levels import facility_key
from app.gateways.calls import Call
from app.gateways.command_context import CommandContext
from app.gateways.vendors.pipe17 import VENDOR, Pipe17Gateway
from app.gateways.vendors.pipe17.connection.connector_settings import definition
from app.gateways.vendors.pipe17.connection.facilities import Place, Step
from app.records import channels, refused
from app.records.database import DatabaseUnavailable
from app.terminal import (
    DONE,
    FAILED,
    Column,
    Group,
    Output,
    end,
    json_option,
    json_or_tables,
    print_json,
    print_table,
    reason_options,
    warn,
)

PATIENCE_S = 60.0
"""How long one command may take, with all its calls."""

LEGACY = (
    "channel '{name}' uses a bare API key (no integration_id), Pipe17's legacy way. It works, but nothing can be "
    "read from Pipe17's pages: no on/off toggle, In/Out ticks or settings (channels.toml alone counts), no channel "
    "SKUs or publishing state of its own on products, no do-not-track of its own, no location that names us, so every "
    "active location is served unless `locations` names some."
)
"""What is lost with the legacy way (contract 1.2)."""

PLACES: Sequence[Column[Place]] = (
    Column("Id", lambda item: item.location_id),
    Column("Name", lambda item: item.name),
    Column("Status", lambda item: item.status),
    Column("3PL integration", lambda item: item.owner, wraps=True),
    Column("Facility", lambda item: item.facility),
    Column("Served", lambda item: "yes" if item.is_served else "no"),
)

STEPS: Sequence[Column[Step]] = (
    Column("Facility", lambda item: item.facility),
    Column("Location", lambda item: item.location),
    Column("Id", lambda item: item.location_id),
    Column("Done", lambda item: item.done),
    Column("To do", lambda item: item.note),
)

ADDRESS = ("address1", "city", "stateOrProvince", "zipCodeOrPostalCode", "country")
"""Parts of an address as Pipe17 names them, in its order."""

channel_option = click.option(
    "--channel", default="", help="Only this channel of channels.toml.  Default: all of them."
)


@click.group(cls=Group)
def commands() -> None:
    """Set up a Pipe17 account.

    Its locations, and the setting fields of our connector.
    """


@commands.command("settings-definition")
@json_or_tables
def settings_definition() -> Output:
    """Print the setting fields to paste into the connector's definition at Pipe17, as JSON.

    Without them (or with a bare API key, Pipe17's legacy way) channels.toml alone says how each channel behaves.
    """
    indented = msgspec.json.format(msgspec.json.encode(definition()), indent=2).decode()
    return Output(definition(), partial(click.echo, indented))


@commands.group()
def locations() -> None:
    """The locations Pipe17 routes to, and the RetailOps facilities they are."""


@locations.command("list")
@channel_option
@json_option
@click.pass_obj
def list_locations(context: CommandContext, channel: str, as_json: bool) -> None:
    """Show every location the key is shown: whose it is, which facility, whether it is served.

    Exit code 1 when a channel serves none.
    """
    found = {name: gateway.facilities.listing(_call()) for name, gateway in _gateways(context, channel)}
    if as_json:
        print_json({"channels": [{"channel": name, "locations": places} for name, places in found.items()]})
    else:
        for name, places in found.items():
            print_table(f"Locations of channel '{name}'", PLACES, places)
    end(DONE if all(any(place.is_served for place in places) for places in found.values()) else FAILED)


@locations.command("sync")
@click.argument("facilities", nargs=-1)
@channel_option
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would be done.")
@click.option("--take-over", "takes_over", is_flag=True, help="Take locations that name another 3PL integration.")
@click.option("--address1", default="", help="Street of locations that have to be created.")
@click.option("--city", default="", help="City of locations that have to be created.")
@click.option("--state", "stateOrProvince", default="", help="State or province, two letters inside the US.")
@click.option("--zip", "zipCodeOrPostalCode", default="", help="Postal code of locations that have to be created.")
@click.option("--country", default="", help="Two-letter country code; needed to create a location.")
@json_option
@click.pass_obj
def sync_locations(
    context: CommandContext,
    /,
    facilities: tuple[str, ...],
    channel: str,
    is_dry: bool,
    takes_over: bool,
    as_json: bool,
    **address: str,
) -> None:
    """Find or create a location for each RetailOps facility and let Pipe17 route to us there.

    Without FACILITIES those that channels.toml names (`locations`, `facilities`) are taken.  A facility is the
    location with its configured id, the one of the same name, or the one of its configured name, in this order.
    Exit code 1 when a facility could not be brought there.
    """
    address["country"] = country = address["country"].upper()
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise click.UsageError("--country must be a two-letter code such as US")
    given = {name: address[name] for name in ADDRESS if address[name]}
    done: dict[str, list[Step]] = {}
    for name, gateway in _gateways(context, channel):
        names = facilities or gateway.facilities.configured
        if not names:
            raise click.UsageError(f"channel '{name}' names no facility; give their names as arguments")
        done[name] = gateway.facilities.sync(names, given, _call(), is_dry=is_dry, takes_over=takes_over)
        if not is_dry:
            _send_refused_stock(context, name, done[name])
    if as_json:
        print_json({"dry_run": is_dry, "channels": [{"channel": name, "steps": item} for name, item in done.items()]})
    else:
        for name, steps in done.items():
            print_table(f"Facilities of channel '{name}'", STEPS, steps)
    end(FAILED if any(step.done == "failed" for steps in done.values() for step in steps) else DONE)


@commands.command("key-replaced")
@click.argument("channel")
@reason_options(needs_reason=True)
@json_option
@click.pass_obj
def key_replaced(context: CommandContext, channel: str, reason: str, by: str, yes: bool, as_json: bool) -> None:
    """Say that the bare api_key of CHANNEL is a new key of the same account.

    For a channel that is set aside because its key changed, where the old key is at hand no more; otherwise name that
    as previous_api_key.  Restart the server then.  Exit code 1 when there is nothing to say.
    """
    is_done = context.keep_account(
        VENDOR.token,
        channel,
        lambda options, before: not options.integration_id and before.startswith("key:"),
        refusal=f"channel '{channel}' has no bare key that was replaced",
        question=f"Is the api_key of channel '{channel}' a key of the same Pipe17 account as the one before?",
        by=by,
        reason=reason,
        yes=yes,
    )
    if as_json:
        print_json({"channel": channel, "is_done": is_done})
    else:
        click.echo(f"Channel '{channel}' goes on with its records. Restart the server.")


def _send_refused_stock(context: CommandContext, channel: str, steps: Sequence[Step]) -> None:
    """Make stock due at once that was refused because these facilities had no location (R13)."""
    database = context.records_if_any(context.settings())
    if database is None:
        return  # Nothing was ever refused here, or the server says what is wrong with its database.
    gone = [
        Obstacle("location", facility_key(step.facility))
        for step in steps
        if step.done in ("ready", "linked", "created")
    ]
    try:
        with database.write() as connection:
            key = channels.names(connection).keys.get(channel, channel)
            refused.obstacles_gone(connection, key, VENDOR.token, gone, database.now())
    except DatabaseUnavailable as error:
        warn(f"stock refused for want of a location waits for its next statement ({error})")
    finally:
        database.close()


def _gateways(context: CommandContext, channel: str) -> Iterator[tuple[str, Pipe17Gateway]]:
    """The gateway of this channel, or of every one with Pipe17; warns of each that uses a bare key."""
    configured, found = context.channels_with(VENDOR.token, channel)
    if not found:
        raise click.UsageError("no channel has pipe17 among its gateways")
    for item in found:
        options: Any = item.vendors[VENDOR.token]
        if not options.integration_id:
            click.echo(LEGACY.format(name=item.name), err=True)
        yield item.name, VENDOR.create(options, context.tools(configured, item.name))


def _call() -> Call:
    return Call(Deadline.in_s(PATIENCE_S), "channel-pipe17", "command")
