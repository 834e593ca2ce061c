"""A stand-in of Rally that speaks real HTTP, so that a shopper's way can be shown without any account.

What it serves, to connectors, shoppers and tests, stands in `README.md` beside this file.
"""

from __future__ import annotations

from app.sandbox.vendors.rally.app import BASE_PATH, VENDOR
from app.sandbox.vendors.rally.state import (
    API_KEY,
    ORGANIZATION_ID,
    SAMPLES,
    SECOND_API_KEY,
    SECOND_ORGANIZATION_ID,
    STOREFRONT_KEY,
)

serve_rally = VENDOR.serve

__all__ = [
    "API_KEY",
    "BASE_PATH",
    "ORGANIZATION_ID",
    "SAMPLES",
    "SECOND_API_KEY",
    "SECOND_ORGANIZATION_ID",
    "STOREFRONT_KEY",
    "VENDOR",
    "serve_rally",
]
