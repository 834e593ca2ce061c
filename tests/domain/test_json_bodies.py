"""One value that cannot be represented costs its own field, whatever the body around it (P34)."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest

from app.domain import json_bodies
from app.domain.json_bodies import JsonReader, NotJson
from app.domain.texts import UNREADABLE as BAD

read = JsonReader().read


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (rb'"\ud83d"', BAD), (rb'"a\udc00b"', f"a{BAD}b"), (rb'"\ud83d\ud83d\ude00"', f"{BAD}😀"),
        (rb'"\ude00\ud83d"', BAD + BAD), (rb'"\\ud83d\ud83d"', rf"\ud83d{BAD}"), (rb'"\\\ud83d\n"', f"\\{BAD}\n"),
        (rb'"\\ud83d\ude00"', rf"\ud83d{BAD}"), (rb'"\uD83Dx \uD83D\uDE00 \u00e9"', f"{BAD}x 😀 é"),
        (b'"\xed\xa0\xbd"', BAD), (b'"\xed\xa0\xbd \xed\x9f\xbf"', f"{BAD} \ud7ff"),
        (b"1e999", BAD), (b"-1e999", BAD), (b"1E+400", BAD), (b"1e-999", 0.0), (b"NaN", BAD), (b"-Infinity", BAD),
        (b"inf", BAD), (b"1" * 5000, BAD), (b"-" + b"1" * 5000, BAD), (b"1" * 5000 + b".5e1", BAD),
        (b"1." + b"0" * 5000, 1.0), (b"0e-" + b"0" * 5000, 0.0),
    ],
)  # fmt: skip
def test_p34_what_cannot_be_represented_costs_itself(written: bytes, value: Any) -> None:
    body = b'{"before": [1, "NaN, 1e999"], "here": %s, "\\"behind\\\\": {"n": 9007199254740993, "f": 1.5}}' % written
    found, is_mended = read(body)
    assert found == {"before": [1, "NaN, 1e999"], "here": value, '"behind\\': {"n": 9007199254740993, "f": 1.5}}
    assert is_mended is (BAD in str(value))


def test_p34_what_looks_like_a_number_inside_a_text_stays() -> None:
    digits = "1" * 5000
    body = {"text": f', {digits}, "NaN", [Infinity, \\"{digits}\\"', "bad": "\ud83d", "nan": [None, {"inf": "inf"}]}
    found, is_mended = read(json.dumps(body).encode())
    assert found == {**body, "bad": BAD}
    assert is_mended


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"a":}', b'{"a": NaNa}', b'{"a": nope}', b"\xff\xfe", b'{"a":"\xff"}', b'{"a":"\\ud83"}',
            b'{"a":"\\ud83d', b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a": 1e}', b'{"a": "\x01"}']
)  # fmt: skip
def test_what_is_no_json_stays_none(raw: bytes) -> None:
    with pytest.raises(NotJson):
        read(raw)


def test_p34_every_good_body_reads_as_the_fast_path_reads_it(seed: int) -> None:
    roll = random.Random(seed)
    alphabet = ["a", "\\", '"', "\ud83d", "\ude00", "é", "😀", "\n", "u", "d83d", "NaN", "\u0000"]
    for _ in range(3000):
        text = "".join(roll.choices(alphabet, k=roll.randint(0, 8)))
        expected = "".join(BAD if "\ud800" <= sign <= "\udfff" else sign for sign in _joined(text))
        assert read(json.dumps([text]).encode())[0] == [expected], ascii(text)


def _joined(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def test_p34_amounts_stay_exact_beside_one_that_is_none() -> None:
    exact = JsonReader(Decimal).read
    assert exact(b'{"a": 0.10, "t": "\\ud83d"}') == ({"a": Decimal("0.10"), "t": BAD}, True)
    found, _ = exact(b'{"a": 0.10, "b": 1e99999999999999999999}')
    assert found == {"a": Decimal("0.10"), "b": BAD}


def test_p34_what_lies_across_windows_of_the_search_is_found_whole(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    roll = random.Random(seed)
    parts = [
        b'"a"', b'"', b"\\", rb"\ud83d", rb"\ude00", rb"\ud83d\ude00", rb"\"", b"NaN", b"nano", b"Infinity", b"-inf",
        b"1" * 4299, b"1" * 4300, b"-" + b"2" * 5000 + b".5e10", b"3", b".", b"e", b"-", b" " * 50, b",",
        b"\xed\xa0\x80", b"x" * 700, b"[{:}]", b"\\" * 333,
    ]  # fmt: skip
    for _ in range(300):
        monkeypatch.setattr(json_bodies, "_WINDOW", roll.randint(4400, 9000))
        weights = [roll.random() ** 3 for _ in parts]
        raw = b"".join(roll.choices(parts, weights, k=roll.randint(5, 200)))
        for pattern in (json_bodies._ESCAPES, json_bodies._TOKENS):
            found = [match.span() for match in json_bodies._matches(pattern, raw)]
            assert found == [match.span() for match in pattern.finditer(raw)], json_bodies._WINDOW
        for pattern in (json_bodies._HAS_HALF, json_bodies._HAS_NO_NUMBER):
            assert json_bodies._has(pattern, raw) == bool(pattern.search(raw))


def test_p15_a_long_body_is_read_as_any_other(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_bodies, "_LONG_BYTES", 8)
    monkeypatch.setattr(json_bodies, "AT_ONCE", 3)
    roll = random.Random(seed)
    values = [
        b"1", b" 2.5 ", b'"a"', b"null", b'{"a": [1, 2, 3, 4, 5]}', b"[ ]", b"[1, 2,3 ,4, [5,6,7,8]]",
        b'[{"b": 1}, {}]', rb'"\ud83d"', b"1e999", b"NaN", b'"\xff"', b"1" * 5000, b"nope", b"[1,]", b"",
    ]  # fmt: skip
    weights = [9] * 8 + [1] * 8
    long = JsonReader().read_long
    for _ in range(2000):
        rows = [roll.choices([b'{"b": 1}', b'{"a": [1, 2, 3, 4, 5]}'], k=roll.randrange(3)) for _ in range(3)]
        others = [roll.choices(values, weights, k=roll.randrange(9)) for _ in range(3)]
        lists = [b"[%b]" % b",".join([*first, *more]) for first, more in zip(rows, others, strict=True)]
        deep = [b'{"in": %b, "on": {"in": %b}}' % (lists[0], lists[1])]
        stated = zip(b"xyz", roll.choices([*lists, *deep, *values[:8]], k=3), strict=True)
        members = [b'"%c": %b' % member for member in stated]
        raw = roll.choice([b"{%b}", b"{%b}", b" { %b }\n", b"[%b]", b"{%b", b"%b"]) % b", ".join(members)
        found: list[Any] = []
        for reader in (read, long):
            try:
                found.append(reader(raw))
            except NotJson:
                found.append(NotJson)
        assert found[0] == found[1], raw


def test_p15_other_threads_have_their_turn_while_a_body_is_mended() -> None:
    raw = b"[" + b"1.2345678901," * 1_000_000 + b"NaN]"
    is_over = threading.Event()
    gaps: list[float] = []

    def look() -> None:
        seen_s = time.process_time()  # while the machine runs something else nobody here keeps others waiting
        while not is_over.wait(0.002):
            gaps.append((now_s := time.process_time()) - seen_s)
            seen_s = now_s

    looking = threading.Thread(target=look)
    looking.start()
    begun = time.process_time()
    with contextlib.suppress(NotJson):
        read(raw)
    took_s = time.process_time() - begun
    is_over.set()
    looking.join()
    print(f"{took_s:.2f} s, others waited {max(gaps):.2f} s at most")
    assert max(gaps) < took_s / 5


MANY = 1_000_000
HOSTILE = {
    "halves": b'"' + rb"\ud83d" * MANY + b'"',
    "backslashes": b'["' + rb"\\" * 3 * MANY + rb"\ud83d" + b'"]',
    "parted backslashes": b'["' + rb"\\a" * 2 * MANY + rb"\ud83d" + b'"]',
    "raw halves": b'["' + b"\xed\xa0\xbd" * 2 * MANY + b'"]',
    "digits": b"[" + b"1" * 6 * MANY + b"]",
    "many digits": b"[" + (b"1" * 5000 + b",") * 1200 + b"1]",
    "nearly too many digits": b"[NaN," + (b"1" * 4299 + b",") * 1400 + b"1]",
    "short texts": b"[NaN," + b'"",' * 2 * MANY + b'""]',
    "exponents": b"[" + b"1e999," * MANY + b"1]",
    "open quotes": b"[NaN," + b'"\\' * 3 * MANY,
    "signs": b"[NaN," + b"-" * 6 * MANY,
    "blanks": b"[" + b" " * 6 * MANY + b"NaN",
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=list(HOSTILE))
def test_p34_a_hostile_body_costs_bounded_time_and_memory(raw: bytes) -> None:
    begun = time.process_time()
    with contextlib.suppress(NotJson):
        read(raw)
    took_s = time.process_time() - begun
    tracemalloc.start()
    with contextlib.suppress(NotJson):
        read(raw[: len(raw) // 20])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{took_s:.2f} s for {len(raw) / 1e6:.0f} MB, {peak / len(raw) * 20:.1f} bytes a byte")
    assert took_s < 3
    assert peak < 12 * len(raw) / 20
