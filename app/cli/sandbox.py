"""`channel sandbox`: the vendors' stand-ins in the foreground, for developing without an account."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from app.cli.init import channels_text, has_example, variables_text
from app.cli.stopping import stop_signal
from app.sandbox import vendors
from app.sandbox.host import Account, Options
from app.sandbox.server import RunningServer
from app.terminal import console, json_option, print_cells, print_json

FIRST_PORT = 5100
"""Where `channel init` expects the first sandbox."""


class Running(msgspec.Struct, frozen=True):
    """One vendor's stand-in as the user needs to know it."""

    vendor: str
    title: str
    base_url: str
    admin_url: str
    accounts: list[Account]
    places: dict[str, str]


class Shown(msgspec.Struct, frozen=True):
    """Everything the command prints: the sandboxes, and the two files that make a server use them."""

    sandboxes: list[Running]
    channels_toml: str
    env: str


@click.command()
@click.argument("vendor", type=click.Choice([*vendors.names(), vendors.EXAMPLE, "all"]), default="all")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port on loopback, with `all` the first one; 0 takes free ones.  Default: 5100 for Pipe17, 5101 for Rally,"
    " 5102 for RetailOps, 5103 for Retail Rocket, as `channel init` expects them.",
)
@click.option(
    "--shipments", type=click.IntRange(0, 10_000), default=12, help="Pipe17: shipping requests waiting.  Default 12."
)
@click.option("--seed", type=int, default=17, help="Pipe17: number the made-up data grows from.  Default 17.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that keeps the state over restarts; with `all` one for each vendor, its name in front.",
)
@json_option
def sandbox(vendor: str, port: int | None, shipments: int, seed: int, state: Path | None, as_json: bool) -> None:
    """Run a vendor's stand-in (default: all) on loopback until SIGINT or SIGTERM.

    It prints a [[channel]] that uses them, their test keys, which are public and open nothing else, and the
    address of each one's page: what it holds, faults to switch on, a checkout to play, the requests it got.
    """
    stopping = stop_signal()
    chosen = vendors.names() if vendor == "all" else [vendor]
    with ExitStack() as started:
        running: list[Running] = []
        ports: dict[str, int] = {}
        for name in chosen:
            # Two vendors in one file would read each other's state.
            own_state = state.with_name(f"{name}-{state.name}") if state and len(chosen) > 1 else state
            server = _start(name, _port(name, port, is_alone=len(chosen) == 1), Options(own_state, shipments, seed))
            started.enter_context(server)
            found = vendors.vendor(name)
            ports[name] = server.port
            running.append(
                Running(
                    name,
                    found.title,
                    server.url + found.base_path,
                    f"{server.url}/sandbox/",
                    list(found.accounts),
                    {what: server.url + path for what, path in found.places.items()},
                )
            )
        configured = [name for name in chosen if has_example(name)]
        moved = {FIRST_PORT + vendors.vendor(name).port_offset: ports[name] for name in configured}
        _show(Shown(running, channels_text(configured, moved), variables_text(configured)), as_json)
        stopping.wait()


def _port(name: str, port: int | None, *, is_alone: bool) -> int:
    """With one vendor `--port` is its own; with all of them it is the first one, and each keeps its distance."""
    if port == 0 or (port is not None and is_alone):
        return port
    return (FIRST_PORT if port is None else port) + vendors.vendor(name).port_offset


def _start(name: str, port: int, options: Options) -> RunningServer:
    try:
        return vendors.vendor(name).start(port, options)
    except OverflowError as error:
        raise click.ClickException(f"--port: {name} would need port {port}; the last one is 65535") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(
                f"port {port} of {name} is in use: end what listens there (an earlier `channel sandbox`?), or choose"
                " others with --port N (--port 0 takes free ones)"
            ) from error
        raise click.ClickException(f"--port or --state: {name} cannot start: {error.strerror}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise click.ClickException(f"--state: {name} cannot read that file; it is none of its own") from error


def _show(shown: Shown, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    out = console()
    if shown.channels_toml:
        out.print("# ---- channels.toml, as `channel init` writes it for these addresses ----", style="bold")
        click.echo(shown.channels_toml)
        out.print("# ---- and in .env ----", style="bold")
        click.echo(shown.env)
    for running in shown.sandboxes:
        columns = ("Key", "Belongs to", "Stands for") if running.accounts else ("",)
        rows = [(account.key, account.integration_id or "none", account.meaning) for account in running.accounts]
        print_cells(f"{running.title}: {running.base_url}", columns, rows)
        for what, address in running.places.items():
            out.print(f"{what}: {address}")
        out.print(f"Its page (also /sandbox/state, JSON): {running.admin_url}\n")
    out.print("Running until Ctrl-C.  In another terminal: `channel init` where there is")
    out.print("no channels.toml yet, then `channel serve`.")
    out.file.flush()
