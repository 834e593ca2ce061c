"""The RetailOps channel server.  Whoever needs one room imports only that: all are composed by `create_app`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings


def create_app(configured: Settings | None = None) -> Flask:
    """The web application of one process: see `app.composition.create_app`."""
    from app import composition

    return composition.create_app(configured)
