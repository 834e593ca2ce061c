"""The first page: how each channel stands, and what waits for a person."""

from __future__ import annotations

from flask import Blueprint, Response

from app.console.desk import Desk
from app.console.rendering import shown


def add_to(console: Blueprint, desk: Desk) -> None:
    """Add the page."""

    @console.get("/", strict_slashes=False, provide_automatic_options=False)
    def overview() -> Response:
        return shown("overview.html", channels=desk.channels)
