"""P4: what we answer is what RetailOps' production caller takes, not only its verifier."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from app.contract.caller import Caller
from app.contract.files import SCHEMAS
from app.contract.formats import is_date_time
from app.contract.outgoing import MESSAGE_LENGTH, BadAnswer, mend
from app.contract.problems import compiled
from app.contract.published import NOT_PUBLISHED, published_answer
from app.contract.schemas import Contract

ABSENT = object()


def changed(answer: Any, path: str, value: object) -> Any:
    """A copy of the answer with the value at `path` (a/0/b) replaced, or taken out."""
    answer = copy.deepcopy(answer)
    *way, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    holder = answer
    for part in way:
        holder = holder[part]
    if value is ABSENT:
        del holder[last]
    else:
        holder[last] = value
    return answer


def test_p4_good_answers_are_taken_by_schema_and_caller(contract: Contract, answers: dict[str, Any]) -> None:
    assert set(answers) == set(contract.callbacks)
    for name, answer in answers.items():
        assert contract.callbacks[name].check_answer(answer) == (), name


def paths_of(value: Any, path: str = "") -> Iterator[str]:
    """Every place of an answer, as `changed` names it."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield f"{path}{key}"
        yield from paths_of(part, f"{path}{key}/")


def test_p4_what_is_taken_at_once_keeps_the_schema_and_is_taken_after_a_closer_look(
    contract: Contract, answers: dict[str, Any]
) -> None:
    others = (
        ABSENT, None, "", "x", "null", 0, 1, -1, 1.0, 0.5, True, False, [], [None], ["x"], {}, {"x": 1}, 2**63, 10**30,
        float("nan"), float("inf"), Decimal("1.5"), "2026-01-02", "2026-01-02T03:04:05Z", "2026-02-30T03:04:05Z", b"x",
    )  # fmt: skip
    at_once, all_good = 0, 0
    for name, answer in answers.items():
        caller = Caller(name, contract.callbacks[name].answer_schema)
        schema = compiled(contract.callbacks[name].answer_schema)
        assert caller.takes(answer), name
        assert not caller.takes({}), name
        for path in paths_of(answer):
            for value in others:
                other = changed(answer, path, value)
                is_good = value != b"x" and caller.judge(other) == () and schema.is_valid(other)
                assert is_good or not caller.takes(other), (name, path, value)
                at_once, all_good = at_once + caller.takes(other), all_good + is_good
    assert at_once > all_good / 2, "hardly anything is decided at once"


def test_p4_a_moment_is_taken_at_once_and_nothing_else(contract: Contract, answers: dict[str, Any]) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    caller = Caller("order_pull", contract.callbacks["order_pull"].answer_schema)
    right = ["2024-02-29T00:00:00Z", "2026-01-01T00:00:00-19:59", "2026-01-01T00:00:00.123456789Z"]
    wrong = [
        "0000-01-01T00:00:00Z", "2026-12-31T23:59:60Z", "2026-12-31T24:00:00Z", "2026-02-29T00:00:00Z",
        "2026-01-01t00:00:00z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Z\n", "2026-01-01T00:00:00",
    ]  # fmt: skip
    for _ in range(3000):
        moment = datetime.fromtimestamp(chance.randrange(2**34), UTC)
        offset = timezone(timedelta(minutes=chance.randrange(-1199, 1200)))
        text = chance.choice([moment, moment.astimezone(offset)]).isoformat(timespec="seconds")
        place = chance.randrange(len(text))
        right.append(text)
        wrong.append(text[:place] + chance.choice("0123456789:-+.TtZz ") + text[place + 1 :])
    good = set(right)
    for text in (*right, *wrong):
        is_taken = caller.takes(changed(answers["order_pull"], "orders/0/channel_date_created", text))
        assert is_taken if text in good else is_date_time(text) or not is_taken, text


def test_p4_an_empty_object_is_never_an_answer(contract: Contract) -> None:
    for callback in contract.callbacks.values():
        assert callback.judge({}) != ()
        assert callback.check_answer({}) != ()


def test_p4_good_answers_satisfy_the_published_schemas(answers: dict[str, Any], upstream: Path) -> None:
    for name, answer in answers.items():
        if name != "payment_credit":
            schema = json.loads((upstream / f"{name}_v1.json").read_text())["links"][0]["targetSchema"]
            jsonschema.Draft4Validator(schema).validate(answer)


JUDGED = ("type", "enum", "required", "format", "minLength", "maxLength", "minItems", "maxItems", "minimum", "pattern")


def test_p3_the_published_rules_are_those_of_the_published_schemas(contract: Contract, upstream: Path) -> None:
    def rules(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, str, str]]:
        for rule in JUDGED:
            if rule in schema:
                words = schema[rule] if isinstance(schema[rule], list) else [schema[rule]]
                yield place, rule, json.dumps(sorted(words))
        for name, part in schema.get("properties", {}).items():
            yield from ((f"{place}/{name}", "known", ""), *rules(part, f"{place}/{name}"))
        yield from rules(schema["items"], f"{place}/*") if "items" in schema else ()

    for name in set(contract.callbacks) - NOT_PUBLISHED:
        theirs, ours = (
            json.loads((folder / f"{name}_v1.json").read_text())["links"][0]["targetSchema"]
            for folder in (upstream, SCHEMAS)
        )
        assert set(rules(published_answer(name, ours))) == set(rules(theirs)), name


REFUSED_BY_THE_CALLER = [
    ("catalog_get_config", "sku_fanout", ABSENT, "/sku_fanout", "enum"),
    ("catalog_get_config", "sku_fanout", "", "/sku_fanout", "enum"),
    ("catalog_push", "events", ABSENT, "/events", "type"),
    ("catalog_push", "events", None, "/events", "type"),
    ("inventory_push", "events", {}, "/events", "type"),
    ("inventory_push", "events/0/event_type", ABSENT, "/events/0/event_type", "enum"),
    ("inventory_push", "events/0/code", 404, "/events/0/code", "type"),
    ("inventory_push", "events/0/associations", {}, "/events/0/associations", "type"),
    ("inventory_push", "events/0/diagnostic_data", ["trace"], "/events/0/diagnostic_data", "type"),
    ("inventory_push", "events/0/associations/0/identifier_type", ABSENT,
     "/events/0/associations/0/identifier_type", "enum"),
    ("inventory_push", "events/0/associations/0/identifier", 7,
     "/events/0/associations/0/identifier", "type"),
    ("order_cancel", "status", ABSENT, "/status", "enum"),
    ("order_cancel", "status", "error", "/status", "enum"),
    ("order_complete", "status", None, "/status", "enum"),
    ("order_pull", "orders/0/order_items/0/item_type", ABSENT, "/orders/0/order_items/0/item_type", "enum"),
    ("order_pull", "orders/0/currency_code", ABSENT, "/orders/0/currency_code", "enum"),
    ("order_pull", "orders/0/currency_code", "SEK", "/orders/0/currency_code", "enum"),
    ("order_pull", "orders/0/ship_service_code", ABSENT, "/orders/0/ship_service_code", "minLength"),
    ("order_pull", "orders/0/ship_service_code", "", "/orders/0/ship_service_code", "minLength"),
    ("order_pull", "orders/0/channel_date_created", ABSENT, "/orders/0/channel_date_created", "format"),
    ("order_pull", "orders/0/channel_date_created", "2024-11-27", "/orders/0/channel_date_created", "format"),
    ("order_pull", "orders/0/channel_date_created", "2024-11-27T10:00:00", "/orders/0/channel_date_created",
     "format"),
    ("order_pull", "orders/0/channel_date_created", "2024-11-31T10:00:00Z", "/orders/0/channel_date_created",
     "format"),
    ("order_pull", "orders/0/channel_date_created", "2024-11-27T10:00:00+0100",
     "/orders/0/channel_date_created", "format"),
    ("order_pull", "orders/0/payment_transactions/0/transaction_type", ABSENT,
     "/orders/0/payment_transactions/0/transaction_type", "enum"),
    ("order_pull", "orders/0/payment_transactions/0/payment_processing_type", ABSENT,
     "/orders/0/payment_transactions/0/payment_processing_type", "enum"),
    ("order_pull", "orders/0/attributes/0/value", "x", "/orders/0/attributes/0/value", "minLength"),
    ("order_pull", "orders/0/attributes/0/handle", "x" * 101, "/orders/0/attributes/0/handle", "maxLength"),
    ("order_pull", "orders/0/tags", ["x"] * 101, "/orders/0/tags", "maxItems"),
    ("order_pull", "orders/0/order_items/0/quantity", "4", "/orders/0/order_items/0/quantity", "type"),
    ("order_pull", "orders/0/order_items/0/quantity", 4.0, "/orders/0/order_items/0/quantity", "type"),
    ("order_pull", "orders/0/cancel", 0, "/orders/0/cancel", "type"),
    ("order_pull", "orders", {}, "/orders", "type"),
    ("order_pull", "next_page_token", "A" * 36, "/next_page_token", "maxLength"),
    ("payment_credit", "status", ABSENT, "/status", "enum"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "pointer", "rule"), REFUSED_BY_THE_CALLER)
def test_p4_the_caller_refuses_what_the_verifier_lets_pass(
    contract: Contract, answers: dict[str, Any], name: str, path: str, value: object, pointer: str, rule: str
) -> None:
    # One more field, so that an answer of one field that is taken out is not merely empty.
    answer = {**answers[name], "unknown": 1}
    found = contract.callbacks[name].judge(changed(answer, path, value))
    assert [(problem.pointer, problem.rule) for problem in found] == [(pointer, rule)]


def test_p4_a_page_of_101_orders_is_refused(contract: Contract, answers: dict[str, Any]) -> None:
    order = answers["order_pull"]["orders"][0]
    pull = contract.callbacks["order_pull"]
    assert pull.judge({"next_page_token": "", "orders": [order] * 100}) == ()
    found = pull.judge({"next_page_token": "", "orders": [order] * 101})
    assert [(problem.pointer, problem.rule) for problem in found] == [("/orders", "maxItems")]


def test_p4_the_order_of_the_contract_is_refused_for_its_four_reasons(contract: Contract) -> None:
    order = {"channel_order_refnum": "1", "order_items": [{"sku": "S1", "quantity": 1}]}
    found = contract.callbacks["order_pull"].judge({"orders": [order]})
    assert {problem.pointer for problem in found} == {
        "/orders/0/currency_code",
        "/orders/0/ship_service_code",
        "/orders/0/channel_date_created",
        "/orders/0/order_items/0/item_type",
    }


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("order_pull", "orders/0/tags", None),
        ("order_pull", "orders/0/attributes", ABSENT),
        ("order_pull", "orders/0/gift_message", None),
        ("order_pull", "orders/0/payment_transactions/0/status", ABSENT),
        ("order_pull", "orders/0/payment_transactions/0/transaction_type", "giftcard"),
        ("order_pull", "orders/0/payment_transactions/0/payment_processing_type", "authorize.net"),
        ("order_pull", "orders/0/unknown", {"a": [None]}),
        ("order_pull", "next_page_token", ABSENT),
        ("inventory_push", "events", None),
        ("inventory_push", "events/0/associations", None),
        ("order_update", "values", ABSENT),
    ],
)
def test_what_the_caller_takes_from_others_is_not_refused(
    contract: Contract, answers: dict[str, Any], name: str, path: str, value: object
) -> None:
    # Set first, so that a field which is absent anyway can be taken out too.
    answer = changed(answers[name], path, None)
    assert contract.callbacks[name].judge(changed(answer, path, value)) == ()


REFUSED_BY_US = [
    ("order_pull", "orders/0/tags", None, "/orders/0/tags", "type"),
    ("order_pull", "orders/0/order_items", [], "/orders/0/order_items", "minItems"),
    ("order_pull", "orders/0/billing_address", ABSENT, "/orders/0/billing_address", "required"),
    ("order_pull", "orders/0/customer_info/phone_number", ABSENT,
     "/orders/0/customer_info/phone_number", "required"),
    ("order_pull", "orders/0/order_items/0/currency_values/unit_tax_pct", 19,
     "/orders/0/order_items/0/currency_values", "not"),
    ("order_pull", "orders/0/payment_transactions/0/refnum", ABSENT,
     "/orders/0/payment_transactions/0/refnum", "required"),
    ("order_pull", "orders/0/payment_transactions/0/transaction_type", "giftcard",
     "/orders/0/payment_transactions/0/transaction_type", "enum"),
    ("order_pull", "orders/0/channel_order_refnum", " ", "/orders/0/channel_order_refnum", "pattern"),
    ("order_pull", "next_page_token", "a+b", "/next_page_token", "pattern"),
    ("inventory_push", "events/0/associations", ABSENT, "/events/0/associations", "required"),
    ("order_returned", "payment_transactions/0/transaction_type", "charge",
     "/payment_transactions/0/transaction_type", "enum"),
    ("order_returned", "return/channel_store_credit_amount", ABSENT, "/return/channel_store_credit_amount",
     "required"),
    ("payment_credit", "refnum", ABSENT, "/refnum", "required"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "pointer", "rule"), REFUSED_BY_US)
def test_our_own_rules_are_narrower_than_the_callers(
    contract: Contract, answers: dict[str, Any], name: str, path: str, value: object, pointer: str, rule: str
) -> None:
    found = contract.callbacks[name].check_answer(changed(answers[name], path, value))
    assert [(problem.pointer, problem.rule) for problem in found] == [(pointer, rule)]


def test_amounts_may_be_decimals(contract: Contract, answers: dict[str, Any]) -> None:
    def exact(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: exact(inner) for key, inner in node.items()}
        if isinstance(node, list):
            return [exact(inner) for inner in node]
        return Decimal(repr(node)) if isinstance(node, float) else node

    for name, answer in answers.items():
        assert contract.callbacks[name].check_answer(exact(answer)) == ()


@pytest.mark.parametrize("answer", [None, [], "", 0, True])
def test_only_an_object_is_an_answer(contract: Contract, answer: object) -> None:
    for callback in contract.callbacks.values():
        assert [problem.rule for problem in callback.judge(answer)] == ["type"]


def test_one_bad_order_never_costs_the_page(contract: Contract, answers: dict[str, Any]) -> None:
    page = answers["order_pull"]
    good = page["orders"][0]
    bad = changed(good, "order_items/0/item_type", ABSENT) | {"channel_order_refnum": 4711}
    worse = changed(good, "currency_code", "SEK") | {"channel_order_refnum": " S-1\u00a0"}
    sent, held = mend(contract.callbacks["order_pull"], {**page, "orders": [bad, good, None, worse, good]})
    assert sent == {**page, "orders": [good, good]}
    assert [entry.refnum for entry in held] == ["4711", "", " S-1\u00a0"], "numbers are kept with their blanks"
    assert {(problem.pointer, problem.rule) for problem in held[0].problems} == {
        ("/channel_order_refnum", "type"),
        ("/order_items/0/item_type", "required"),
        ("/order_items/0/item_type", "enum"),
    }
    assert held[2].problems[0].message.startswith("/currency_code: must be AUD")


def test_every_bad_order_of_a_page_is_found(contract: Contract, answers: dict[str, Any]) -> None:
    bad = changed(answers["order_pull"]["orders"][0], "currency_values", None)
    sent, held = mend(contract.callbacks["order_pull"], {"next_page_token": "", "orders": [bad] * 100})
    assert (sent, len(held)) == ({"next_page_token": "", "orders": []}, 100)


def test_a_good_answer_is_sent_as_it_is(contract: Contract, answers: dict[str, Any]) -> None:
    for name, answer in answers.items():
        sent, held = mend(contract.callbacks[name], answer)
        assert sent is answer
        assert held == []


def test_events_are_mended_in_form_only(contract: Contract) -> None:
    event = {
        "event_type": "error",
        "code": 404,
        "message": "m" * 5000,
        "diagnostic_data": None,
        "associations": None,
    }
    order = {"identifier_type": "order_id", "identifier": 550123}
    sent, _ = mend(
        contract.callbacks["inventory_push"],
        {"events": [event, {**event, "message": "short", "associations": [order]}]},
    )
    first, second = sent["events"]
    assert first["code"] == "404"
    assert len(first["message"]) == MESSAGE_LENGTH
    assert first["associations"] == []
    assert "diagnostic_data" not in first
    assert second["associations"] == [{"identifier_type": "order_id", "identifier": "550123"}]
    assert event["code"] == 404, "the answer given is left as it was"


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        (
            "inventory_push",
            {"events": [{"event_type": "fatal", "code": "X", "message": "x", "associations": []}]},
        ),
        ("inventory_push", {"events": None}),
        ("order_cancel", {"status": "maybe", "events": []}),
        ("order_pull", {"next_page_token": "x" * 36, "orders": []}),
        ("order_pull", {"next_page_token": "", "orders": None}),
    ],
)
def test_what_cannot_be_mended_is_a_fault_of_ours(contract: Contract, name: str, answer: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer) as caught:
        mend(contract.callbacks[name], answer)
    assert caught.value.problems
