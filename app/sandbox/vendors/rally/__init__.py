"""A stand-in of Rally that speaks real HTTP, so that a shopper's way can be shown without any account.

What it serves, to connectors, shoppers and tests, stands in `README.md` beside this file.
"""

from __future__ import annotations

from app.sandbox.vendors.rally.app import BASE_PATH, VENDOR, serve_rally
from app.sandbox.vendors.rally.signing import HEADER, is_signed, sign, signed_message
from app.sandbox.vendors.rally.state import (
    API_KEY,
    ORGANIZATION_ID,
    SAMPLES,
    SECOND_API_KEY,
    SECOND_ORGANIZATION_ID,
    STOREFRONT_KEY,
    Merchant,
    Settings,
    State,
)

__all__ = [
    "API_KEY",
    "BASE_PATH",
    "HEADER",
    "ORGANIZATION_ID",
    "SAMPLES",
    "SECOND_API_KEY",
    "SECOND_ORGANIZATION_ID",
    "STOREFRONT_KEY",
    "VENDOR",
    "Merchant",
    "Settings",
    "State",
    "is_signed",
    "serve_rally",
    "sign",
    "signed_message",
]
