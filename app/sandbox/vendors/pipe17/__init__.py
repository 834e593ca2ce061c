"""A stand-in of Pipe17 that speaks real HTTP, so that the whole loop can be shown without an account."""

from __future__ import annotations

from app.sandbox.vendors.pipe17.app import BASE_PATH, VENDOR, serve_pipe17
from app.sandbox.vendors.pipe17.samples import FOREIGN_INTEGRATION_ID, INTEGRATION_ID, INTEGRATION_KEY, LEGACY_KEY
from app.sandbox.vendors.pipe17.state import DEFAULT_KEYS

__all__ = [
    "BASE_PATH",
    "DEFAULT_KEYS",
    "FOREIGN_INTEGRATION_ID",
    "INTEGRATION_ID",
    "INTEGRATION_KEY",
    "LEGACY_KEY",
    "VENDOR",
    "serve_pipe17",
]
