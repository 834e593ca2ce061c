"""Sessions of the console: a signed cookie that says who came in with which token, and the tokens of its forms."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from flask import Request, Response
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.http import parse_cookie

from app.console.access import Role

SESSION_COOKIE: Final = "channel_console"
LOGIN_COOKIE: Final = "channel_console_login"
"""Ties the form of the login page to the browser it was sent to."""

LASTS_S: Final = 12 * 3600
"""How long a session lasts."""

NAME_LENGTH: Final = 60
"""Longest name of a person."""

PATH: Final = "/console"


@dataclass(frozen=True)
class Visitor:
    """Who sends the present request.  `nonce` is the session's, "" for one that brings the token itself (Bearer)."""

    who: str
    role: Role
    nonce: str = ""

    @property
    def form_token(self) -> str:
        """What each form of this session has to bring back; "" where no cookie is involved."""
        return _sealed(self.role.session_key, "form", self.nonce) if self.nonce else ""

    def has_sent(self, form_token: str) -> bool:
        """Whether a form comes from a page of this session."""
        return hmac.compare_digest(self.form_token.encode(), form_token.encode("utf-8", "surrogatepass"))


class Sessions:
    """Opens, recognises and ends sessions."""

    def __init__(self, roles: Iterable[Role], *, is_secure: bool) -> None:
        """`roles`: the operator's first.  `is_secure`: cookies are sent over https alone."""
        self._serializers = [(role, _serializer(role.session_key)) for role in roles]
        self._login_key = self._serializers[0][0].session_key
        self._is_secure = is_secure

    def visitor(self, cookies: str) -> Visitor | None:
        """Whose session a request's Cookie header holds; None without one, and for one that has ended."""
        cookie = _cookie(cookies, SESSION_COOKIE)
        for role, serializer in self._serializers if cookie else ():
            try:
                held = serializer.loads(cookie, max_age=LASTS_S)
            except BadData:
                continue
            return Visitor(str(held["who"]), role, str(held["nonce"]))
        return None

    def open(self, reply: Response, who: str, role: Role) -> None:
        """Begin a session of this person with the reply."""
        [serializer] = [serializer for known, serializer in self._serializers if known is role]
        cookie = serializer.dumps({"who": who, "nonce": secrets.token_urlsafe(16)})
        self._set(reply, SESSION_COOKIE, cookie if isinstance(cookie, str) else cookie.decode())
        self._remove(reply, LOGIN_COOKIE)

    def end(self, reply: Response) -> None:
        """The browser forgets its session."""
        self._remove(reply, SESSION_COOKIE)

    def begin_login(self, request: Request, reply: Response) -> str:
        """The form token of a login page; the browser gets the cookie that belongs to it."""
        nonce = _cookie(request.headers.get("Cookie", ""), LOGIN_COOKIE) or secrets.token_urlsafe(16)
        self._set(reply, LOGIN_COOKIE, nonce)
        return _sealed(self._login_key, "login", nonce)

    def is_login_form(self, request: Request, form_token: str) -> bool:
        """Whether the form comes from a login page that was sent to this browser."""
        nonce = _cookie(request.headers.get("Cookie", ""), LOGIN_COOKIE)
        due = _sealed(self._login_key, "login", nonce)
        return bool(nonce) and hmac.compare_digest(due.encode(), form_token.encode("utf-8", "surrogatepass"))

    def _set(self, reply: Response, name: str, value: str) -> None:
        reply.set_cookie(name, value, max_age=LASTS_S, path=PATH, httponly=True, samesite="Lax", secure=self._is_secure)

    def _remove(self, reply: Response, name: str) -> None:
        reply.delete_cookie(name, path=PATH, httponly=True, samesite="Lax", secure=self._is_secure)


def _cookie(header: str, name: str) -> str:
    """The value of a cookie, "" for none; a header that is no UTF-8 is none of ours and holds none."""
    try:
        return parse_cookie(header).get(name, "")
    except UnicodeDecodeError:
        return ""


def _serializer(key: bytes) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="session", signer_kwargs={"digest_method": hashlib.sha256})


def _sealed(key: bytes, what: str, nonce: str) -> str:
    return hmac.new(key, f"{what}\0{nonce}".encode(), hashlib.sha256).hexdigest()
