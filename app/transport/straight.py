"""Requests of our own tools, most of them to servers of this machine: a proxy of the environment is for others."""

from __future__ import annotations

from typing import Any

import requests

from app.addresses import is_loopback


def session_to(url: str) -> requests.Session:
    """A session for this server, which takes a proxy of the environment only where it is not on loopback."""
    session = requests.Session()
    session.trust_env = not is_loopback(url)
    return session


def request(method: str, url: str, **options: Any) -> requests.Response:
    """One request without a proxy or a password of the environment, with `requests.request`'s options.

    Raises `requests.RequestException`.
    """
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, **options)
