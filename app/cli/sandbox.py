"""`channel sandbox`: the vendors' stand-ins in the foreground, for developing without an account."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from app.cli.terminal import console, json_option, new_table, print_json, stop_signal
from app.sandbox.faults import RunningServer
from app.sandbox.vendors import pipe17, rally, retailops, retailrocket

POLL_EVERY_S = 15.0
"""How often Retail Rocket's stand-in fetches the feed; the vendor pauses 15 minutes to 2 hours."""


class Account(msgspec.Struct, frozen=True):
    """A public key of a sandbox, the integration it belongs to, and what it stands for."""

    key: str
    integration_id: str | None
    meaning: str


class Running(msgspec.Struct, frozen=True):
    """One vendor's stand-in as the user needs to know it."""

    vendor: str
    base_url: str
    admin_url: str
    accounts: list[Account]


def _start_pipe17(port: int, shipments: int, seed: int, state: Path | None) -> tuple[RunningServer, Running]:
    server = pipe17.serve_pipe17(port, shipments=shipments, seed=seed, state_file=state)
    accounts = [
        Account(pipe17.INTEGRATION_KEY, pipe17.INTEGRATION_ID, "a fulfilling integration, which is what we are"),
        Account(pipe17.LEGACY_KEY, None, "a bare API key, which may do everything"),
        Account(pipe17.SELLING_KEY, pipe17.SELLING_INTEGRATION_ID, "a selling integration, which brings orders"),
    ]
    return server, Running("pipe17", server.url + pipe17.BASE_PATH, f"{server.url}/sandbox/", accounts)


def _start_rally(port: int, shipments: int, seed: int, state: Path | None) -> tuple[RunningServer, Running]:
    """Rally has nothing of its own to grow: its catalogue and its orders come from the connector."""
    server = rally.serve_rally(port, state_file=state)
    accounts = [
        Account(merchant.api_keys[0], merchant.organization_id, f"{merchant.name}, client id {merchant.client_id}")
        for merchant in rally.default_merchants()
    ]
    return server, Running("rally", server.url + rally.BASE_PATH, f"{server.url}/sandbox/", accounts)


def _start_retailops(port: int, shipments: int, seed: int, state: Path | None) -> tuple[RunningServer, Running]:
    """RetailOps' own API, which only certification uses; it registers nothing beyond its own life."""
    server, _ = retailops.serve_certifier(port)
    accounts = [Account(retailops.API_KEY, None, "the API key for `channel certify --retailops-url`")]
    return server, Running("retailops", server.url, f"{server.url}/sandbox/state", accounts)


def _start_retailrocket(port: int, shipments: int, seed: int, state: Path | None) -> tuple[RunningServer, Running]:
    """It polls the feed that `PUT /sandbox/settings {"feed_url": ...}` names."""
    server = retailrocket.serve_retailrocket(port, state_file=state, poll_every_s=POLL_EVERY_S)
    accounts = [
        Account(retailrocket.API_KEY, retailrocket.PARTNER_ID, "api_key and partner_id of a store"),
        Account(retailrocket.SECOND_API_KEY, retailrocket.SECOND_PARTNER_ID, "those of another store"),
    ]
    return server, Running("retailrocket", server.url, f"{server.url}/sandbox/", accounts)


SANDBOXES: dict[str, Callable[[int, int, int, Path | None], tuple[RunningServer, Running]]] = {
    "pipe17": _start_pipe17,
    "rally": _start_rally,
    "retailops": _start_retailops,
    "retailrocket": _start_retailrocket,
}


@click.command()
@click.argument("vendor", type=click.Choice([*SANDBOXES, "all"]), default="all")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on loopback; 0 (default) takes a free one."
)
@click.option(
    "--shipments", type=click.IntRange(min=0), default=12, help="Pipe17: shipping requests waiting.  Default 12."
)
@click.option("--seed", type=int, default=17, help="Pipe17: number the made-up data grows from.  Default 17.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that keeps the state over restarts; with `all` one for each vendor, its name in front.",
)
@json_option
def sandbox(vendor: str, port: int, shipments: int, seed: int, state: Path | None, as_json: bool) -> None:
    """Run a vendor's stand-in on loopback until SIGINT or SIGTERM.

    It prints its addresses and its test keys, which are public and open nothing else.
    """
    stopping = stop_signal()
    chosen = list(SANDBOXES) if vendor == "all" else [vendor]
    with ExitStack() as started:
        running = []
        for position, name in enumerate(chosen):
            own_port = port + position if port else 0
            # Two vendors in one file would read each other's state.
            own_state = state.with_name(f"{name}-{state.name}") if state and len(chosen) > 1 else state
            try:
                server, shown = SANDBOXES[name](own_port, shipments, seed, own_state)
            except OSError as error:
                raise click.ClickException(f"--port or --state: {name} cannot start: {error.strerror}") from error
            except (ValueError, LookupError, TypeError) as error:
                raise click.ClickException(f"--state: {name} cannot read that file; it is none of its own") from error
            started.enter_context(server)
            running.append(shown)
        _show(running, as_json)
        stopping.wait()


def _show(running: list[Running], as_json: bool) -> None:
    if as_json:
        print_json({"sandboxes": running})
        return
    out = console()
    for shown in running:
        table = new_table(f"{shown.vendor}: {shown.base_url}", "Key", "Integration", "Stands for")
        for account in shown.accounts:
            table.add_row(account.key, account.integration_id or "none", account.meaning)
        out.print(table)
        out.print(f"State, faults and the vendor's people: {shown.admin_url} (no key)\n")
    out.print("Running until Ctrl-C.")
    out.file.flush()
