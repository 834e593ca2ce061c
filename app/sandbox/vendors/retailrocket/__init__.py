"""A stand-in of Retail Rocket that speaks real HTTP, so that all of it can be seen without an account."""

from __future__ import annotations

from app.sandbox.vendors.retailrocket.api import API_PATH, CDN_PATH, TRACKING_PATH
from app.sandbox.vendors.retailrocket.app import VENDOR, serve_retailrocket
from app.sandbox.vendors.retailrocket.state import API_KEY, PARTNER_ID, SECOND_API_KEY

__all__ = [
    "API_KEY",
    "API_PATH",
    "CDN_PATH",
    "PARTNER_ID",
    "SECOND_API_KEY",
    "TRACKING_PATH",
    "VENDOR",
    "serve_retailrocket",
]
