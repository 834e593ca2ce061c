"""What the SDK's tool never tries, once for each callback: spellings of a key, other methods, broken bodies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.cli.verify.bodies import written

WRONG_KEY = "KDS_SPOLIATER"
"""What the SDK's tool sends to see a 401."""

_ABSENT = object()


@dataclass(frozen=True)
class Probe:
    """A request that must not be served.  `name` stands in messages after "for"; `why` says what is at stake."""

    name: str
    why: str
    is_expected: Callable[[int], bool]
    expected: str
    method: str = "POST"
    _token: Callable[[str], Any] | None = None
    _cut: Callable[[bytes], bytes] = lambda raw: raw

    def body(self, fixture: dict[str, Any], key: str) -> bytes | None:
        """What is sent; None is no body at all."""
        if self.method == "GET":
            return None
        token = key if self._token is None else self._token(key)
        rest = {name: value for name, value in fixture.items() if name != "integration_auth_token"}
        return self._cut(written(rest if token is _ABSENT else {**rest, "integration_auth_token": token}))


def _key(name: str, token: Callable[[str], Any], why: str) -> Probe:
    return Probe(name, why, lambda status: status == 401, "401", _token=token)


def _is_refusal(status: int) -> bool:
    return 400 <= status < 500 or status == 501


WITH_A_WRONG_KEY = _key("a wrong key", lambda _: WRONG_KEY, "anybody could call this server")

ONCE_PER_CALLBACK = (
    _key("no key", lambda _: _ABSENT, "a request without a key must be refused like one with a wrong key"),
    _key("null as key", lambda _: None, "a key that is not text is a wrong key"),
    _key("a number as key", lambda _: 12345, "a key that is not text is a wrong key"),
    _key("a list that holds the key", lambda key: [key], "a key that is not text is a wrong key"),
    _key("an empty key", lambda _: "", "an empty key must not equal a key that is not configured"),
    _key("the key with a blank before it", lambda key: " " + key, "the key must be compared as it is, not trimmed"),
    _key("the key with a blank behind it", lambda key: key + " ", "the key must be compared as it is, not trimmed"),
    _key("the key in the other case", str.swapcase, "keys that differ in case are different keys"),
    _key("the key without its end", lambda key: key[:-1], "a part of the key must not be enough"),
    _key("the key behind !!!", lambda key: "!!!" + key, "certification sends this and counts an answer as a failure"),
    Probe(
        "GET",
        "callbacks are POST only, and a GET carries no key",
        _is_refusal,
        "405 or another 4xx",
        method="GET",
    ),
    Probe(
        "a body that breaks off",
        "what is not JSON holds no key",
        _is_refusal,
        "400 or another 4xx",
        _cut=lambda raw: raw[: len(raw) // 2],
    ),
    Probe(
        "a list as body",
        "the body must be one JSON object",
        _is_refusal,
        "400 or another 4xx",
        _cut=lambda _: b"[]",
    ),
)
"""In the order they are sent."""
