"""gunicorn's settings as a module: `gunicorn --config python:app.serving 'app:create_app()'`."""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
from typing import Any

from gunicorn import glogging as _glogging  # type: ignore[import-untyped]

from app import logs as _logs
from app import memory as _memory
from app import settings as _settings
from app.errors import SettingsFault
from app.gateways import VENDORS as _VENDORS
from app.records.database import Database, DatabaseRejects, DatabaseUnavailable

try:
    _configured = _settings.load(vendors=_VENDORS)
except SettingsFault as error:
    raise SystemExit(f"the configuration cannot be used:\n{error}") from None

importlib.import_module("app.composition")  # before the fork, so that the workers share its memory

atexit.register(gc.freeze)  # at its end Python would walk through all that is loaded, for 0.2 s

_memory.keep_flat()  # before the fork, so that every worker has it before its first thread

bind = f"0.0.0.0:{_configured.port}"
workers = _configured.web_concurrency
worker_class = "app.callbacks.worker.Worker"
threads = _configured.web_threads
graceful_timeout = 19
timeout = 60
keepalive = 0 if _configured.app_env == "production" else 5
"""Behind a platform's proxy no connection is kept: kept ones split unevenly between workers and are lost
at a reload.  Verifiers and developers talk to the server directly and profit."""
control_socket_disable = True
accesslog = None
errorlog = "-"
# In detail gunicorn would write every address that is requested, whatever somebody put into it.
loglevel = "info" if _configured.log_level == "DEBUG" else _configured.log_level.lower()


class logger_class(_glogging.Logger):  # type: ignore[misc]
    """The setting of this name: gunicorn's own lines as JSON objects like all others, secrets blotted out."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(_logs.JsonLines(_configured.secrets()))


def on_starting(server: Any) -> None:
    """Before any worker: SQLite migrates itself; a database this version cannot use is a reason not to start.

    One that is away is none: the workers answer 503 until it is back.
    """
    try:
        database = Database(_configured.database_url)
        try:
            database.prepare()
        finally:
            database.close()
    except (SettingsFault, DatabaseRejects) as error:
        raise SystemExit(f"the database cannot be used: {error}") from None
    except DatabaseUnavailable as error:
        server.log.warning("the database is away (%s); callbacks are answered with 503 until it is back", error)


def post_worker_init(worker: Any) -> None:
    """A request leaves no cycles behind, so the collector need not walk what is loaded for good, nor often."""
    worker.most_body_bytes = _configured.max_body
    extensions = getattr(worker.wsgi, "extensions", {})
    worker.senders = extensions.get("senders")
    if (works := extensions.get("works")) is not None:
        worker.on_stopping = works.dispatcher.finish
    # Beside a large body a small request waits this long for the interpreter, three or four times.
    sys.setswitchinterval(0.001)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def worker_exit(server: Any, worker: Any) -> None:
    """The last request is answered: let what runs in the background end, while there is still time to record it."""
    works = getattr(getattr(worker, "wsgi", None), "extensions", {}).get("works")
    if works is not None:
        works.stop()
