"""Stand-ins of RetailOps' servers: the caller of a channel, and the API that certifies one."""

from __future__ import annotations

from app.sandbox.vendors.retailops.caller import CallbackReply, RetailOps, shipment, unshipped
from app.sandbox.vendors.retailops.certifier import API_KEY, VENDOR, Certifier, serve_certifier

__all__ = [
    "API_KEY",
    "VENDOR",
    "CallbackReply",
    "Certifier",
    "RetailOps",
    "serve_certifier",
    "shipment",
    "unshipped",
]
