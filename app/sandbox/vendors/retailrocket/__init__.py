"""A stand-in of Retail Rocket that speaks real HTTP, so that all of it can be seen without an account."""

from __future__ import annotations

from app.sandbox.vendors.retailrocket.api import API_PATH, CDN_PATH, TRACKING_PATH
from app.sandbox.vendors.retailrocket.app import VENDOR
from app.sandbox.vendors.retailrocket.state import API_KEY, PARTNER_ID, SECOND_API_KEY

serve_retailrocket = VENDOR.serve

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
