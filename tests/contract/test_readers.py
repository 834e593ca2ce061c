"""R7: the many spellings become one type, and no number changes on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.reading import (
    amount,
    entries,
    identifier,
    mapping,
    moment,
    optional_amount,
    text,
    whole,
)
from app.contract.schemas import Contract


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""), ("", ""), ("  S-1 ", "S-1"), ("a\x00b", "a\ufffdb"), (5, "5"), (5.0, "5"), (5.5, "5.5"),
        (1e-05, "0.00001"), (-0.0, "0"), (2**70, str(2**70)), (True, "true"), (False, "false"),
        ([], ""), ({}, ""), ("5.0", "5.0"), (Decimal("5.50"), "5.50"),
    ],
)  # fmt: skip
def test_text_is_the_shortest(value: object, expected: str) -> None:
    assert text(value) == expected


@pytest.mark.parametrize("value", [None, "", " ", 0, 0.0, "0", "0.0", "null", "NULL", " null ", [], {}])
def test_an_id_of_zero_is_no_id(value: object) -> None:
    assert identifier(value) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, "7"), ("00", "00"), ("nullable", "nullable"), (9007199254740993, "9007199254740993")],
)
def test_an_id_is_text(value: object, expected: str) -> None:
    assert identifier(value) == expected


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_a_whole_number_reads_alike_in_every_spelling(number: int) -> None:
    assert whole(number) == whole(str(number)) == whole(f" {number}.00 ") == number
    assert text(number) == str(number)
    assert identifier(number) == identifier(str(number))


@given(st.decimals(min_value=-(10**11), max_value=10**11, places=2))
def test_an_amount_is_exact_after_a_journey_through_json(sum_: Decimal) -> None:
    plain = format(sum_, "f")
    assert amount(msgspec.json.decode(plain)) == amount(plain) == amount(sum_) == sum_
    assert optional_amount(f" {plain} ") == sum_


@pytest.mark.parametrize("value", [None, "", "  "])
def test_nothing_given_is_the_default(value: object) -> None:
    assert whole(value) == 0
    assert whole(value, default=3) == 3
    assert amount(value) == Decimal(0)
    assert optional_amount(value) is None


@pytest.mark.parametrize("value", ["x", "NaN", "Infinity", "1,5", True, [], {}, float("nan")])
def test_what_is_no_number_is_an_error_that_does_not_say_it(value: object) -> None:
    for reader in (amount, whole, optional_amount):
        with pytest.raises(ValueError, match=r"^not a number$"):
            reader(value)


def test_a_fraction_is_never_cut_to_a_whole_number() -> None:
    for value in (24.5, "24.5", "1e-5"):
        with pytest.raises(ValueError, match="whole"):
            whole(value)


def test_zero_has_one_form() -> None:
    assert [str(amount(value)) for value in ("-0.00", -0.0, 0, "0E-9")] == ["0"] * 4


def test_null_lists_and_objects_are_empty() -> None:
    assert entries(None) == []
    assert entries([None]) == [None]
    assert mapping(None) == {}
    assert mapping({"a": 1}) == {"a": 1}


FIVE = datetime(2016, 4, 8, 21, 13, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2016-04-08T21:13:11Z", FIVE), ("2016-04-08T21:13:11+00:00", FIVE),
        ("2016-04-08T17:13:11-0400", FIVE),
        ("2016-04-08 21:13:11", FIVE), (" 2016-04-08T23:13:11+02:00 ", FIVE), (1460149991, FIVE),
        ("1460149991", FIVE), (1460149991.0, FIVE), ("2016-04-08", FIVE.replace(hour=0, minute=0, second=0)),
        ("2016-04-08T21:13:11.123456789Z", FIVE.replace(microsecond=123456)),
        (None, None), ("", None), (0, None), ("0", None), ("string", None), ("28.11.2024", None),
        (True, None), ("2016-02-30", None), (1e300, None), ("9999-12-31T23:59:59-10:00", None), ([], None),
        ("0000000000", None), ("000000000.0", None), ("1770122500000", None), ("202602031011", None),
        ("0001-01-01T00:00+05:00", None), ("0001-01-01T00:00:00Z", None),
    ],
)  # fmt: skip
def test_a_moment_is_read_tolerantly(value: object, expected: datetime | None) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize("callback", ["order_shipment_submit", "order_complete"])
def test_p34_a_date_is_read_or_named(callback: str, contract: Contract) -> None:
    """No date is lost without a word: what `moment` cannot read is a problem, unless it says that there is none."""
    none = ["", " ", "0", "null", "0001-01-01T00:00:00Z", None, 0]
    read = ["2016-04-08T21:13:11Z", "2016-04-08 21:13:11", "2016-04-08T17:13:11-0400", "20160408T211311Z", "1460149991",
            "2016-02-29", "2016-04-08T21:13:11.123456789Z", "2016-04-08T21:13", 1460149991, 1460149991.5]  # fmt: skip
    lost = ["11/20/2026", "2016-12-31T23:59:60Z", "2016-04-08T24:00:00Z", "2015-02-29", "2016-04-31", "2016-13-01",
            "28.11.2024", "yesterday", "2016-04-08T21:60:00Z", "2016-04-08T21:13:11+25:00", "12",
            "1460149991000", 1460149991000, 20160408, -5, 1e300]  # fmt: skip
    for value in (*none, *read, *lost):
        package = {"retailops_package_id": 1, "tracking_number": "1Z", "date_shipped": value}
        shipment = {"retailops_shipment_id": 1, "packages": [package]}
        body: dict[str, object] = {
            "client_id": 1,
            "channel_info": {"id": 1},
            "channel_order_refnum": "1",
            "shipment": shipment,
        }
        if callback == "order_complete":
            body["order"] = {"channel_order_refnum": "1", "shipments": [shipment]}
        ignored = [problem.pointer for problem in contract.callbacks[callback].read(body).ignored]
        is_named = any(pointer.endswith("/date_shipped") for pointer in ignored)
        assert (is_named, moment(value) is not None) == (value in lost, value in read), value


OFFSETS = st.integers(min_value=-14 * 60, max_value=14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9999, 12, 30), timezones=OFFSETS))
def test_a_moment_keeps_its_instant(instant: datetime) -> None:
    found = moment(instant.isoformat())
    assert found == instant
    assert found is not None
    assert found.tzinfo is UTC


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()))
def test_no_reader_of_text_fails(value: object) -> None:
    if isinstance(value, float) and value != value:
        return
    if value in (float("inf"), float("-inf")):
        return
    assert "\x00" not in text(value)
    assert identifier(value) in ("", text(value))
    assert moment(value) is None or moment(value).tzinfo is UTC  # type: ignore[union-attr]
