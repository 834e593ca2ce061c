"""gunicorn's settings as a module: `gunicorn --config python:app.serving 'app:create_app()'`."""

from __future__ import annotations

import gc
from typing import Any

from app import settings as _settings

_configured = _settings.load()

bind = f"0.0.0.0:{_configured.port}"
workers = _configured.web_concurrency
worker_class = "gthread"
threads = _configured.web_threads
graceful_timeout = 18
timeout = 60
keepalive = 0 if _configured.app_env == "production" else 5
"""Behind a platform's proxy no connection is kept: kept ones split unevenly between workers and are lost
at a reload.  Verifiers and developers talk to the server directly and profit."""
no_control_socket = True
accesslog = None
errorlog = "-"
loglevel = _configured.log_level.lower()


def post_worker_init(worker: Any) -> None:
    """A request leaves no cycles behind, so the collector need not walk what is loaded for good, nor often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
