"""Stand-ins of RetailOps' servers: the caller of a channel, and the API that certifies one."""

from __future__ import annotations

from app.sandbox.vendors.retailops.caller import ACTIONS, CallbackReply, RetailOps, shipment, unshipped
from app.sandbox.vendors.retailops.certifier import (
    API_KEY,
    CERTIFY_PATH,
    VENDOR,
    Certifier,
    serve_certifier,
)

__all__ = [
    "ACTIONS",
    "API_KEY",
    "CERTIFY_PATH",
    "VENDOR",
    "CallbackReply",
    "Certifier",
    "RetailOps",
    "serve_certifier",
    "shipment",
    "unshipped",
]
