"""Large bodies: whoever has no key fills nothing, two are in hand, and channels have their turns alternately."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
from typing import Any

import pytest

from app.callbacks import body
from app.callbacks.key_search import MOST_TRIED, KeySearch
from app.callbacks.large_bodies import IN_HAND, LargeBodies
from app.channel.routing import wrong_key
from app.deadline import Deadline
from app.domain.json_values import has_more_values
from app.errors import Rejected
from app.settings import LONGEST_KEY
from tests.conftest import eventually

KEY = 'a"b\\c/d+' + "0" * 24
LIMIT = 32 * 1024 * 1024
NAME = "integration_auth_token"


def holder_of(key: str) -> str:
    return {KEY: "first", "k" * LONGEST_KEY: "longest"}.get(key, "")


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(letter):04X}" for letter in text)


SPELLINGS = {
    "plain": f'"{NAME}":{json.dumps(KEY)}',
    "slashes": f'"{NAME}": {json.dumps(KEY)}'.replace("/", r"\/"),
    "escaped-key": f'"{NAME}" : "{escaped(KEY)}"',
    "escaped-name": f'"{escaped(NAME)}":{json.dumps(KEY)}',
    "one-escape-each": r'"int\u0065gration_auth_token":' + json.dumps(KEY).replace("+", r"\u002b"),
    "blanks": f'"{NAME}"' + " " * 3000 + ":" + " \n" * 3000 + json.dumps(KEY),
    "decoy": f'"channel_info":{{"{NAME}":"wrong"}},"{NAME}":7,"{NAME}":{json.dumps(KEY)}',
    "name-in-a-text": f'"note":"{NAME}","{NAME}":{json.dumps(KEY)}',
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_p46_the_key_is_found_however_json_writes_it_and_wherever_a_piece_ends(spelling: str) -> None:
    raw = ('{"client_id":1,' + SPELLINGS[spelling] + ',"x":["\\u00e9\\u0069"]}').encode()
    assert holder_of(json.loads(raw)[NAME]) == "first"
    for size in (1, 2, 7, 64, 1000, len(raw)):
        search = KeySearch(holder_of)
        found = [search.feed(raw[at : at + size]) for at in range(0, len(raw), size)]
        assert "first" in found, size


def test_p46_the_longest_key_is_found_with_every_character_escaped() -> None:
    raw = f'{{"{escaped(NAME)}":"{escaped("k" * LONGEST_KEY)}"}}'.encode()
    search = KeySearch(holder_of)
    assert "longest" in [search.feed(raw[at : at + 100]) for at in range(0, len(raw), 100)]


def test_p46_a_search_compares_a_bounded_number_of_keys() -> None:
    asked: list[str] = []
    search = KeySearch(lambda key: asked.append(key) or "")  # type: ignore[func-returns-value]
    for _ in range(50):
        search.feed(f'"{NAME}":"wrong","\\u0069{NAME[1:]}":"wrong",'.encode() * 1000)
    assert 0 < len(asked) <= MOST_TRIED


def received(raw: bytes, *, packed: bool = False, declared: bool = True, rewinds: bool = True) -> body.Body:
    sent = gzip.compress(raw, 1) if packed else raw
    stream: Any = io.BytesIO(sent)
    environ = {"wsgi.input": stream if rewinds else _ReadOnce(stream)}
    if declared:
        environ["CONTENT_LENGTH"] = str(len(sent))
    if packed:
        environ["HTTP_CONTENT_ENCODING"] = "gzip"
    return body.receive(environ, LIMIT, holder_of)


class _ReadOnce:
    """What a server gives that keeps no body."""

    def __init__(self, stream: io.BytesIO) -> None:
        self.read = stream.read


@pytest.mark.parametrize("rewinds", [True, False], ids=["kept", "read-once"])
@pytest.mark.parametrize("declared", [True, False], ids=["length", "chunked"])
@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("size", [10, body.SEARCHED, body.LARGE + 1, 3 * body.LARGE])
def test_a_body_of_any_size_and_encoding_is_read_whole(size: int, packed: bool, declared: bool, rewinds: bool) -> None:
    for raw in (
        json.dumps({NAME: KEY, "text": "x" * size}).encode(),
        json.dumps({"text": "x" * size, NAME: KEY}).encode(),
    ):
        found = received(raw, packed=packed, declared=declared, rewinds=rewinds)
        assert found.is_large == (len(raw) > body.LARGE)
        assert found.holder == ("first" if found.is_large else "")
        assert found.read() == raw
        found.close()


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("size", [body.SEARCHED, 2 * body.LARGE, 8 * body.LARGE])
def test_p2_p46_a_larger_body_without_a_key_is_the_one_401_and_is_not_parsed(size: int, packed: bool) -> None:
    for key in ("wrong", KEY[:-1], KEY + " ", 7, None):
        raw = json.dumps({NAME: key, "text": KEY, "list": "LIST"}).replace('"LIST"', "[{}" + ",{}" * (size // 3) + "]")
        with pytest.raises(Rejected) as refused:
            received(raw.encode(), packed=packed)
        known = wrong_key()
        assert (refused.value.status, refused.value.code, refused.value.message) == (401, known.code, known.message)


def test_p46_a_large_body_has_no_more_values_than_one_of_the_allowed_size_can_need() -> None:
    allowed = 4 * body.LARGE
    rows = b",".join([b'{"sku":"A","quantity_available":1,"quantity_detail":[]}'] * 60_000)
    found = received(b'{"%s":%s,"rows":[%s]}' % (NAME.encode(), json.dumps(KEY).encode(), rows))
    assert len(body.parse_large(found, allowed)["rows"]) == 60_000
    for element in (b"{}", b"0", b'{"a":[1]}'):
        rows = b",".join([element] * (2 * body.LARGE // len(element)))
        found = received(b'{"%s":%s,"rows":[%s]}' % (NAME.encode(), json.dumps(KEY).encode(), rows))
        with pytest.raises(Rejected, match="values") as refused:
            body.parse_large(found, allowed)
        assert (refused.value.status, refused.value.code) == (413, "TOO_MANY_VALUES")


def test_values_are_counted_outside_texts_only() -> None:
    assert not has_more_values(json.dumps(["{[," * 1000, '"{[,\\' * 1000]).encode(), 2)
    assert has_more_values(b'["",1,2,3]', 3) and not has_more_values(b'["",1,2,3]', 4)
    assert has_more_values(b"[" * 9 + b"]" * 9, 8) and not has_more_values(b"[" * 9 + b"]" * 9, 9)
    assert not has_more_values(b'["' + b"," * 100, 3), "what is no JSON is refused by the parser"


def test_r14_two_large_bodies_are_in_hand_and_channels_take_turns() -> None:
    bodies = LargeBodies()
    order: list[str] = []
    in_hand = most = 0
    lock = threading.Lock()
    one_may_go = threading.Semaphore(0)

    def request(holder: str) -> None:
        nonlocal in_hand, most
        with bodies.turn(holder, Deadline.in_s(30)) as turn:
            with lock:
                in_hand += 1
                most = max(most, in_hand)
                order.append(holder)
            one_may_go.acquire(timeout=30)
            with lock:
                in_hand -= 1
            turn.leave()
            turn.leave()  # harmless

    threads = []
    for holder in [*"AAAAAA", *"BB"]:
        threads.append(threading.Thread(target=request, args=(holder,)))
        threads[-1].start()
        time.sleep(0.05)  # they arrive in this order
    assert order == ["A"] * IN_HAND
    begun = time.monotonic()
    with pytest.raises(Rejected) as refused, bodies.turn("C", Deadline.in_s(0.2)):
        raise AssertionError("two are in hand")
    assert (refused.value.status, refused.value.retry_after_s) == (503, 10) and time.monotonic() - begun < 5
    for done in range(1, len(threads) + 1):  # one after the other, so that nothing depends on who wakes up first
        one_may_go.release()
        eventually(lambda: len(order) == min(done + IN_HAND, len(threads)))  # noqa: B023 - asked at once
    for thread in threads:
        thread.join(30)
    assert most == IN_HAND == 2
    assert sorted(order) == [*"AAAAAABB"] and order.index("B") <= IN_HAND + 1, "B does not wait for all of A"
    with bodies.turn("A", Deadline.in_s(0)), bodies.turn("B", Deadline.in_s(0)):
        pass  # whoever gave up left no gap


def test_p15_a_large_body_has_left_its_place_before_its_vendor_is_waited_for() -> None:
    from app.channel.desk import Asked

    bodies = LargeBodies()
    unused: Any = None
    with bodies.turn("A", Deadline.in_s(1)) as one, bodies.turn("A", Deadline.in_s(1)):
        asked = Asked(unused, {}, unused, unused, "id", Deadline.in_s(1), one.leave)
        asked.call("question")
        with bodies.turn("B", Deadline.in_s(0)):
            pass
