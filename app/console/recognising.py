"""Recognises who has signed in by the head of a request, before a thread is given to it (P15)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.console.access import Access
from app.console.guard import bearer
from app.console.sessions import Sessions
from app.settings import Settings


def recogniser(configured: Settings) -> Callable[[Sequence[tuple[str, str]]], bool]:
    """What says whether headers, with names in upper case, hold a session of the console or one of its tokens.

    `configured` has channels with the keys of their records.  Without a CONSOLE_TOKEN nobody is signed in.
    """
    if not configured.console_token:
        return lambda headers: False
    access = Access(configured)
    sessions = Sessions(access.roles, is_secure=False)

    def is_signed_in(headers: Sequence[tuple[str, str]]) -> bool:
        found = dict(headers)
        if token := bearer(found.get("AUTHORIZATION", "")):
            return access.role_of(token) is not None
        return sessions.visitor(found.get("COOKIE", "")) is not None

    return is_signed_in
