"""The pages by what they show; each module adds its own to the blueprint."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint

from app.console.desk import Desk
from app.console.pages import overview

PAGES: tuple[Callable[[Blueprint, Desk], None], ...] = (overview.add_to,)
