"""A PostgreSQL server of the test run's own, so that several processes can be tried on what they will meet."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.real_server import free_port

MEMORY = Path("/dev/shm")
"""A file system in memory: a copy of a database is hundreds of files, which a disk takes several times as long for."""

MEMORY_FREE = 2**30
"""Bytes that have to be free there; containers often have 64 MB."""

PREFIX, LOCK, YOUNG_S = "channel-postgres-", "lock", 10.0
"""The folder of a server, and in it a file that is locked while its run lives."""

PACKAGE = ["postgresql"]
"""Debian's package; it carries initdb and postgres of the release's version."""


class NoPostgres(Exception):
    """No server binary is installed; the message says what would mend it."""


def binaries() -> Path:
    """The folder of `initdb` and `postgres`.

    A run with CI=true installs Debian's package when it is missing, for there nothing may be skipped.
    Raises `NoPostgres`.
    """
    found = _installed()
    if found is None and os.environ.get("CI") == "true" and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], check=False, env=quiet)
        subprocess.run(["apt-get", "install", "-qy", "--no-install-recommends", *PACKAGE], check=True, env=quiet)
        found = _installed()
    if found is None:
        raise NoPostgres("no PostgreSQL server is installed; on Debian: apt-get install postgresql")
    return found


def _installed() -> Path | None:
    """Debian keeps the binaries out of the PATH, one folder per version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name.zfill(4))
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).resolve().parent)
    usable = [path for path in folders if (path / "initdb").exists() and (path / "postgres").exists()]
    return usable[-1] if usable else None


class PostgresServer:
    """One server on a loopback port, in a folder of its own; it can be stopped and started again.

    `is_durable` keeps fsync on, for measurements; tests do without, for only our processes are killed.
    """

    def __init__(self, folder: Path, *, is_durable: bool = False) -> None:
        self._bin = binaries()
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._is_durable = is_durable
        # PostgreSQL refuses to run as root.
        self._user = _unprivileged() if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._administrator: psycopg.Connection | None = None
        self._numbers = count(1)
        self._version = 0
        self._run(
            "initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
        )

    def start(self) -> None:
        """Returns when it takes connections."""
        settings = ["-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        settings += ["-c", "max_connections=200", "-c", "shared_buffers=128MB", "-c", "jit=off"]
        if not self._is_durable:
            settings += ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                # Should the run itself be killed, the server goes with it.
                ["setpriv", "--pdeathsig", "INT", str(self._bin / "postgres"), "-D", str(self._data), *settings],
                stdout=log, stderr=log, cwd=self._data, **self._as_user(),
            )  # fmt: skip
        give_up_at = time.monotonic() + 30
        while True:
            try:
                self._administrator = psycopg.connect(self.url("postgres"), connect_timeout=2, autocommit=True)
                self._version = self._administrator.info.server_version
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > give_up_at:
                    raise RuntimeError(f"PostgreSQL did not start: {self._log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def stop(self, *, is_crash: bool = False) -> None:
        """End it and every connection; a crash leaves the recovery to the next start."""
        if self._administrator is not None:
            self._administrator.close()
            self._administrator = None
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if is_crash else signal.SIGINT)
            self._process.wait(30)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing is answered inside the block although every connection stays open."""
        assert self._process is not None
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, text=True, check=True
        )
        family = [self._process.pid, *map(int, children.stdout.split())]
        for process in family:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in family:
                os.kill(process, signal.SIGCONT)

    def url(self, database: str) -> str:
        """In the form platforms hand out."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """The address of a database that ends with the block: a copy of `template`, which nobody may be using."""
        name = f"test_{next(self._numbers)}"
        # Copying files needs a checkpoint, which costs little in memory.  Before 15 there was no other way.
        copying = " strategy file_copy" if self._version >= 150_000 and not self._is_durable else ""
        self._administer("create database {} template {}" + copying, name, template)
        try:
            yield self.url(name)
        finally:
            if self._process is not None:
                self._administer("drop database {} with (force)", name)

    def _administer(self, statement: str, *names: str) -> None:
        assert self._administrator is not None
        self._administrator.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _run(self, program: str, *args: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *args], capture_output=True, text=True, cwd="/", **self._as_user()
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr[-2000:]}")

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


@contextmanager
def running_postgres(*, is_durable: bool = False) -> Iterator[PostgresServer]:
    """A server for the length of the block.  Raises `NoPostgres`."""
    place = None if is_durable else _in_memory()
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place) as name, open(Path(name) / LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = PostgresServer(Path(name), is_durable=is_durable)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def limited_role(url: str, connections: int) -> Iterator[str]:
    """The address of the same database as a role that is no superuser and may have so many connections."""
    role = sql.Identifier(f"limited_{url.rpartition('/')[2]}")
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute(sql.SQL("create role {} login connection limit {}").format(role, connections))
        administrator.execute(sql.SQL("grant all on all tables in schema public to {}").format(role))
        administrator.execute(sql.SQL("grant all on all sequences in schema public to {}").format(role))
    try:
        yield url.replace("postgres@", f"limited_{url.rpartition('/')[2]}@")
    finally:
        with psycopg.connect(url, autocommit=True) as administrator:
            administrator.execute(sql.SQL("drop owned by {}").format(role))
            administrator.execute(sql.SQL("drop role {}").format(role))


def _in_memory() -> Path | None:
    """Where files need no disk; None where there is no such place with room.  What killed runs left there goes."""
    if not MEMORY.is_dir():
        return None
    for folder in MEMORY.glob(f"{PREFIX}*"):
        # Its run has the lock as long as it lives, and takes it in the first moment.
        with suppress(OSError), open(folder / LOCK) as lock:
            if time.time() - os.fstat(lock.fileno()).st_mtime > YOUNG_S:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
    return MEMORY if shutil.disk_usage(MEMORY).free >= MEMORY_FREE else None


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
