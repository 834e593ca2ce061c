"""`channel serve`: the real server on this machine, with the settings one develops with."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import click
from flask import Flask

from app import settings
from app.cli.env_file import ENV_FILE, read_env_file, set_variable
from app.cli.server_process import CHANNEL_SERVER, ServerProcess
from app.cli.stopping import stop_signal
from app.errors import SettingsFault
from app.gateways import VENDORS, inbound
from app.records.private_files import posix_locks
from app.settings import Settings
from app.terminal import console, print_cells, warn

LOOK_S = 0.5
"""How often the files are looked at with --reload."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  Default: PORT, else 5000.")
@click.option("--reload", is_flag=True, help="Begin anew when channels.toml or .env has changed and can be used.")
def serve(host: str, port: int | None, reload: bool) -> None:
    """Run the real server (gunicorn) in the foreground until Ctrl-C.

    It reads .env and channels.toml of this folder.  Where APP_ENV is not set it is `development`: SQLite in
    instance/channel.db, and the SDK's public test key is accepted as a dry run.  On a host use the commands of
    the Procfile.
    """
    posix_locks()  # raises a fault in words where there are none
    stopping = stop_signal()
    watched = _Watched()
    configured = _configured(port)
    _look_for_room(host, configured.port)
    url = _url(host, configured)
    server = _started(url)
    try:
        if not server.answers(f"{url}/healthz", stopping) and not stopping.is_set():
            raise click.ClickException("the server did not start; its last lines above say why")
        _show(url, configured)
        while not stopping.wait(LOOK_S) and server.is_running():
            if reload and watched.have_changed() and (changed := _sound(port)) is not None:
                click.echo("The configuration changed: the server begins anew.", err=True)
                server.stop()
                server = _started(_url(host, changed))
    finally:
        server.stop()
    if not stopping.is_set():
        raise click.ClickException("the server ended by itself; its last lines above say why")


def _look_for_room(host: str, port: int) -> None:
    """Raises `click.ClickException` where the port cannot be had: gunicorn would try for seconds, and what listens
    there would be taken for the server meanwhile."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET  # As gunicorn does: a name is IPv4 to it.
        _, kind, protocol, _, address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(
                f"port {port} is in use: end what listens there (an earlier `channel serve`?), or choose another with"
                " --port N"
            ) from error
        raise click.ClickException(f"--host or --port: {error.strerror}") from error


def _url(host: str, configured: Settings) -> str:
    return f"http://[{host}]:{configured.port}" if ":" in host else f"http://{host}:{configured.port}"


def _started(url: str) -> ServerProcess:
    return ServerProcess(*CHANNEL_SERVER, "--bind", url.removeprefix("http://"), own_session=True)


class _Watched:
    """The files that say how the server is configured, as they were when last looked at."""

    def __init__(self) -> None:
        self._seen = self._state()

    def have_changed(self) -> bool:
        now = self._state()
        before, self._seen = self._seen, now
        return now != before

    @staticmethod
    def _state() -> list[tuple[int, int] | None]:
        return [_stamp(file) for file in (ENV_FILE, settings.channels_file())]


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _configured(port: int | None) -> Settings:
    """The settings a developer's server runs with; the process that is started finds them in its environment.

    Raises `SettingsFault`.
    """
    set_variable("APP_ENV", "development")
    if port is not None:
        set_variable("PORT", str(port), overrides=True)
    return settings.load(vendors=VENDORS)


def _sound(port: int | None) -> Settings | None:
    """The changed settings, or None, with every fault said, while they cannot be used."""
    try:
        read_env_file()
        return _configured(port)
    except SettingsFault as error:
        for fault in error.faults:
            warn(f"{fault}: the server goes on as it was")
        return None


def _show(url: str, configured: Settings) -> None:
    out = console()
    out.print(f"\nServing {_channels_of(configured)} on {url} ({configured.app_env})\n")
    print_cells("", ("", ""), _addresses(url, configured))
    out.print("\nNext, in another terminal of this folder:")
    for command in _next_commands(url, configured):
        out.print(f"  {command}")
    out.print("\nCtrl-C ends it.\n")
    out.file.flush()


def _channels_of(configured: Settings) -> str:
    names = [channel.name for channel in configured.channels]
    if not names:
        return "no channel (there is no channels.toml here; `channel init` writes one)"
    return f"channel{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _addresses(url: str, configured: Settings) -> list[tuple[str, str]]:
    """What the server answers, with the addresses of the channels at hand."""
    found = [
        (f"{url}/api/channel/<callback>_v1", "RetailOps"),
        (f"{url}/healthz  /readyz  /openapi.json", "platform, developers"),
    ]
    if configured.docs:
        found.append((f"{url}/docs", "everybody: the documentation, with search"))
    if configured.console_token:
        found.append((f"{url}/console/", "you, with a name and CONSOLE_TOKEN"))
        found.append((f"{url}/metrics", "Prometheus, with CONSOLE_TOKEN as Bearer"))
    tokens = dict.fromkeys(token for channel in configured.channels for token in channel.gateways)
    return found + [(url + path, token) for token in tokens if (path := _inbound_path(token))]


def _inbound_path(token: str) -> str:
    """The address below which this vendor calls or fetches, "" where it does neither."""
    blueprint = inbound(token, {}, ())
    if blueprint is None:
        return ""
    bare = Flask(token, static_folder=None)
    bare.register_blueprint(blueprint)
    return os.path.commonpath([rule.rule for rule in bare.url_map.iter_rules()])


def _next_commands(url: str, configured: Settings) -> list[str]:
    is_usual = configured.port == settings.Settings.port
    verify = "channel verify" if is_usual else f"channel verify --base-url {url}/api/channel"
    if not configured.channels:
        return [verify, "channel init"]
    to = "" if is_usual else f" --to {url}/api/channel"
    named = f" --channel {configured.channels[0].name}" if len(configured.channels) > 1 else ""
    sent = [f"channel send {callback}{named}{to}" for callback in ("catalog_push", "inventory_push", "order_pull")]
    width = len(verify) + 2
    checks = [(verify, "is it right?"), ("channel check", "what is missing, and the command that mends it")]
    return [*(f"{command:<{width}}# {meaning}" for command, meaning in checks), *sent]
