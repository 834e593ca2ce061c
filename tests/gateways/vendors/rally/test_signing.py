"""Rally's signature: the contract's vectors, the query rule, several keys, and what a wrong one gets (1.3, R30)."""

from __future__ import annotations

import random

import pytest

from app.gateways.vendors.rally.signing import message_of, own_header, sign, signer
from app.sandbox.vendors.rally.signing import signed_message

KEY = "rk_sandbox_demo_1"


@pytest.mark.parametrize(
    ("body", "query", "expected"),
    [
        (b"", "", "KbNaaOVhaJeyB5hN7jBw9OGbkON86+bHReaIEWfCcCg="),
        (b'{"method":"get"}', "", "zRySSrzUWHRD8Qrw0AnUuGWYTVqn45wbXuMnAelsSwE="),
        (b'{"external_id":"ord-1001","status":"completed"}', "", "/7Em/nETZTWi82KS3i03iSo5YLOFBEEms2BkbmHJuF0="),
        (b"", "per_page=20&current_page=1", "sNeo1k0s4APt8cdF1bSDqmg0cU0tPtqIBCWl0aOOMZ8="),
    ],
)
def test_the_contracts_vectors_hold(body: bytes, query: str, expected: str) -> None:
    assert sign(KEY, message_of(body, query)) == expected
    assert own_header((KEY, "old"), body, query) == {"X-HMAC-SHA256": expected}
    assert signer((KEY,), body, query, expected) == KEY


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("b=2&a=1", b'{"b":"2","a":"1"}'),
        ("path=a/b&at=x%2Fy", b'{"path":"a\\/b","at":"x\\/y"}'),
        ("name=Zo%C3%AB+%F0%9F%98%80", b'{"name":"Zo\\u00eb \\ud83d\\ude00"}'),
        ("empty=&bare&q=%22", b'{"empty":"","bare":"","q":"\\""}'),
        ("a=1&a=2", b'{"a":"2"}'),
        ("&&", b""),
    ],
)
def test_a_query_is_signed_as_php_would_write_it(query: str, message: bytes) -> None:
    assert message_of(b"", query) == message
    assert message_of(b"x", query) == b"x", "a body is signed alone"


def test_the_sandboxs_own_signing_agrees(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(300):
        names = chance.sample(["per_page", "current_page", "q", "a.b"], chance.randint(1, 4))
        query = "&".join(f"{name}={chance.choice(['20', '%2F', 'a/b', '%C3%A9', '+', '%E2%82%AC'])}" for name in names)
        assert message_of(b"", query) == signed_message(b"", query)


def test_any_configured_key_verifies_and_the_one_that_signed_is_named() -> None:
    assert signer(("new", "old"), b"x", "", sign("old", b"x")) == "old"
    assert signer(("new", "old"), b"x", "", sign("new", b"x")) == "new"


@pytest.mark.parametrize("wrong", ["", "x", "é" * 44, "=" * 44, "\udcff", sign("other", b"x"), sign(KEY, b"y")])
def test_anything_else_is_no_signature(wrong: str) -> None:
    assert signer((KEY,), b"x", "", wrong) is None
