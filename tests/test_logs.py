"""Log lines: what may stand in them."""

from __future__ import annotations

import json
from urllib.parse import quote

from app import logs


def test_p20_a_secret_that_json_has_to_escape_is_blotted_out_too() -> None:
    secret = 'key"with\\both+of+them'
    line = logs.JsonLines([secret]).format_fields({"message": f"the key is {secret}"})
    assert json.dumps(secret)[1:-1] not in line


def test_p20_a_secret_is_blotted_out_where_it_stands_in_json_or_in_an_address() -> None:
    secret = 'key"with+both/of@them'
    for form in (secret, json.dumps({"key": secret}), f"https://x.example/?key={quote(secret, safe='')}"):
        line = logs.JsonLines([secret]).format_fields({"message": form})
        assert "with" not in line and "***" in line


def test_what_happens_ten_thousand_times_has_a_line_at_each_power_of_ten() -> None:
    tally = logs.Tally()
    told = [count for _ in range(10_000) if (count := tally.add("one kind"))]
    assert told == [1, 10, 100, 1000, 10_000] and tally.add("another") == 1
