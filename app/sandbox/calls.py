"""Calls that a vendor makes to its customer's server: a webhook, a feed."""

from __future__ import annotations

from collections.abc import Mapping

import requests

from app.transport import straight


def call(
    method: str, url: str, *, patience_s: float, data: bytes | None = None, headers: Mapping[str, str] | None = None
) -> requests.Response:
    """The answer as it is: straight from there whatever proxy this machine names, and never a redirected one.

    Raises `requests.RequestException` where there is none within `patience_s` of silence.
    """
    return straight.request(method, url, data=data, headers=headers, timeout=patience_s, allow_redirects=False)
