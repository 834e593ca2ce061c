"""Makes the keys that RetailOps and a channel share."""

from __future__ import annotations

import base64
import secrets


def new_key() -> str:
    """As the SDK's tool makes it: 24 random bytes in standard base64, so 32 characters without an underscore."""
    return base64.b64encode(secrets.token_bytes(24)).decode()
