"""Makes pages of templates: every value escaped, every name that is missing an error, what each page has filled in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from flask import Blueprint, Response, abort, g, request
from jinja2 import Environment, PackageLoader, StrictUndefined

from app.assets import KEPT, Assets
from app.console import choosing, showing
from app.console.acting import notice
from app.console.meanings import meanings
from app.console.sessions import PATH, Visitor
from app.console.states import chip_of
from app.domain.body_problems import EFFECTS

ASSETS: Final = Assets(Path(__file__).parent / "static", f"{PATH}/static")

NAVIGATION: Final = (
    (("Overview", ""), ("Orders", "orders"), ("Callbacks", "callbacks"), ("Hooks", "hooks")),
    (("Deliveries", "deliveries"), ("Refunds", "refunds"), ("Stock", "stock"), ("Catalogue", "catalogue")),
    (("Health", "health"), ("Check", "check"), ("Settings", "settings"), ("Operations", "operations")),
)
"""Titles and addresses below /console/ of the pages, in groups."""


@cache
def environment() -> Environment:
    """The templates' environment."""
    made = Environment(
        loader=PackageLoader("app.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= showing.FILTERS
    made.filters["segment"] = segment
    made.filters["meaning"] = lambda state: chip_of(state).meaning
    made.globals |= {
        "navigation": NAVIGATION,
        "address": choosing.address,
        "asset": ASSETS.address,
        "chip_of": chip_of,
        "effects": EFFECTS,
        "meanings": meanings,
        "root": PATH,
    }
    return made


def page(template: str, **values: Any) -> str:
    """The HTML of a page.  `values` are what the template names beside what is given to all."""
    found: Visitor | None = g.get("visitor")
    given = {
        "visitor": found,
        "may_act": found is not None and found.role.may_act,
        "name_of": found.role.scope.name if found is not None else str,
        "here": request.path,
        "now": g.now,
        "query": request.args.get("q", "") if found is not None else "",
        "notice": notice() if found is not None else "",
        "unread": choosing.unread() if found is not None else (),
    }
    return environment().get_template(template).render(**given, **values)


def shown(template: str, status: int = 200, **values: Any) -> Response:
    """The reply that holds a page."""
    return Response(page(template, **values), status, content_type="text/html; charset=utf-8")


def segment(text: object) -> str:
    """An id as one part of an address, a slash of it included."""
    return quote(str(text), safe="")


def add_assets(console: Blueprint) -> None:
    """Serve our files; a browser keeps them, for a changed one has another address."""

    @console.get("/static/<name>", provide_automatic_options=False)
    def static(name: str) -> Response:
        if (content := ASSETS.content(name)) is None:
            abort(404)
        return Response(content, content_type=ASSETS.media_type(name), headers={"Cache-Control": KEPT})
