"""The pages by what they show; each module adds its own to the blueprint."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint

from app.console.page_context import PageContext
from app.console.pages import (
    callbacks,
    deliveries,
    erasing,
    facts,
    finding,
    gateways,
    hooks,
    orders,
    overview,
    refunds,
    server,
)

PAGES: tuple[Callable[[Blueprint, PageContext], None], ...] = (
    overview.add_to, finding.add_to, orders.add_to, erasing.add_to, callbacks.add_to, hooks.add_to, deliveries.add_to,
    refunds.add_to, facts.add_to, gateways.add_to, server.add_to,
)  # fmt: skip
