"""The operator's pages at /console: what happened, what waits for a person, and the acts that change it.

Each page asks `app.operations`, as the commands do, and shows what it answers; nothing here knows a table, a vendor or
what an act changes.  The pages work without JavaScript.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flask import Blueprint

from app.console import failures, guard, login
from app.console.access import Access
from app.console.page_context import PageContext
from app.console.pages import PAGES
from app.console.rendering import add_assets
from app.console.sessions import PATH, Sessions
from app.operations.vendor_limits import Limit
from app.records.database import Database
from app.settings import Settings


def create_console(
    configured: Settings,
    database: Database,
    gateways: Mapping[tuple[str, str], Any],
    callbacks: Sequence[str],
    limits: Collection[Limit],
) -> Blueprint:
    """All pages of the console, for whoever has one of its tokens.

    `configured` has a CONSOLE_TOKEN, and channels with the keys of their records, by which `gateways` are kept;
    `callbacks` are the names of all callbacks; `limits` those of the gateways, as they are when a page is made.
    """
    console = Blueprint("console", __name__, url_prefix=PATH)
    access = Access(configured)
    is_https = configured.public_url.startswith("https:")
    has_to_be = configured.app_env == "production" and not configured.public_url
    sessions = Sessions(access.roles, is_secure=is_https or has_to_be)
    context = PageContext(configured, database, gateways, callbacks, limits)
    guard.install(console, access, sessions, configured, database.clock)
    add_assets(console)
    login.add_to(console, access, sessions)
    for add_to in PAGES:
        add_to(console, context)

    failures.add_to(console)
    return console
