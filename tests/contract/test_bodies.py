"""What RetailOps sends is read wide; what cannot be read is refused by place and rule, never by value."""

from __future__ import annotations

import copy
import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from app.channel.request_faults import body_problems
from app.contract import requests
from app.contract.schemas import Callback, Contract, Reading

CANARY = "canary-7f3a"


def callback_of(contract: Contract, file: str) -> Callback:
    names = [name for name in contract.callbacks if file.startswith(name + "_")]
    return contract.callbacks[max(names, key=len)]


def told(reading: Reading) -> list[tuple[int, str, str]]:
    """(status, pointer, rule) of everything that was refused."""
    entries = [problem for found in reading.bad_entries.values() for problem in found]
    return [(400, problem.pointer, problem.rule) for problem in reading.envelope] + [
        (200, problem.pointer, problem.rule) for problem in (*reading.problems, *entries, *reading.lost)
    ]


def test_p1_every_example_is_read_without_a_fault(contract: Contract, fixtures: dict[str, Any]) -> None:
    for name in contract.callbacks:
        assert {f"{name}_v1_ex_1.json", f"{name}_v1_ex_2.json"} <= fixtures.keys()
    for file, body in fixtures.items():
        assert callback_of(contract, file).read(body) == Reading(), file


def test_every_refused_body_names_exactly_its_place_rule_and_class(contract: Contract, refused: dict[str, Any]) -> None:
    counted = dict.fromkeys(contract.callbacks, 0)
    for file, case in refused.items():
        callback = callback_of(contract, file)
        counted[callback.name] += 1
        reading = callback.read(case["body"])
        assert told(reading) == [(case["status"], case["pointer"], case["rule"])], file
        assert (reading.hidden, reading.ignored) == (0, ()), file
    assert min(counted.values()) >= 2, counted


def test_p34_a_field_that_decides_nothing_is_named_and_left_out(contract: Contract, ignored: dict[str, Any]) -> None:
    for file, case in ignored.items():
        body = case["body"]
        reading = callback_of(contract, file).read(body)
        assert [(problem.pointer, problem.rule) for problem in reading.ignored] == [(case["pointer"], case["rule"])], (
            file
        )
        assert (told(reading), reading.hidden, reading.hidden_ignored) == ([], 0, 0), file
        assert reading.mended == without(body, case["pointer"]), file


def without(body: Any, pointer: str) -> Any:
    """The body as it would be had nobody sent what the pointer names."""
    left = copy.deepcopy(body)
    *path, last = pointer.split("/")[1:]
    holder = left
    for part in path:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    del holder[int(last) if isinstance(holder, list) else last]
    return left


def test_null_is_accepted_for_every_optional_field(contract: Contract, fixtures: dict[str, Any]) -> None:
    for file, body in fixtures.items():
        callback = callback_of(contract, file)
        for holder, key, _ in optional(callback.request_schema, mutable := copy.deepcopy(body)):
            kept, holder[key] = holder[key], None
            assert callback.read(mutable).is_clean, f"{file}: {key} is null"
            del holder[key]
            assert callback.read(mutable).is_clean, f"{file}: {key} is absent"
            holder[key] = kept


def optional(schema: dict[str, Any], value: Any) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """Every place of a body that its schema knows and does not require."""
    if isinstance(value, list) and "items" in schema:
        for element in value:
            yield from optional(schema["items"], element)
    if isinstance(value, dict):
        for key, part in schema.get("properties", {}).items():
            if key not in value:
                continue
            # One of the two numbers of an order has to be given, and the examples give the channel's.
            ways = [name for way in schema.get("anyOf", ()) for name in way.get("required", ())]
            if key not in (*schema.get("required", ()), *ways[:1]):
                yield value, key, part
            yield from optional(part, value[key])


@pytest.mark.parametrize("value", [None, "", 0, [], {}, "2", 2, True, "SDK.writeback"])
def test_action_and_version_are_never_a_reason_to_refuse(contract: Contract, value: object) -> None:
    for callback in contract.callbacks.values():
        body = {"client_id": 1, "channel_info": {"id": 1}}
        with_them = callback.read({**body, "action": value, "version": value, "integration_auth_token": value})
        assert told(with_them) == told(callback.read(body))
        assert with_them.envelope == ()


def test_extra_fields_are_legal_everywhere(contract: Contract, fixtures: dict[str, Any]) -> None:
    def with_extras(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: with_extras(inner) for key, inner in node.items()} | {"x/y~z": [{"$ref": None}]}
        return [with_extras(inner) for inner in node] if isinstance(node, list) else node

    for file, body in fixtures.items():
        assert callback_of(contract, file).read(with_extras(body)).is_clean, file


def test_p6_no_problem_repeats_a_value(contract: Contract, fixtures: dict[str, Any]) -> None:
    problems = 0
    for file, body in fixtures.items():
        callback = callback_of(contract, file)
        for wrong in (CANARY, [CANARY], {CANARY: CANARY}, [[CANARY]]):
            mutable = copy.deepcopy(body)
            for holder, key in leaves(mutable):
                kept, holder[key] = holder[key], wrong
                reading = callback.read(mutable)
                assert CANARY not in repr(reading), f"{file}: {key}"
                problems += len(told(reading)) + len(reading.ignored)
                holder[key] = kept
    assert problems > 1000


def test_p20_a_place_names_fields_of_the_contract_alone(contract: Contract, fixtures: dict[str, Any]) -> None:
    def invented(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: invented(inner) for key, inner in node.items()} | {CANARY: {CANARY: [None]}}
        return [invented(inner) for inner in node] if isinstance(node, list) else {CANARY: node}

    problems = 0
    for file, body in fixtures.items():
        callback = callback_of(contract, file)
        known = set(names_of(callback.request_schema))
        kept = body_problems(callback.read(invented(body)))
        assert CANARY not in repr(kept), file
        for problem in kept.listed:
            parts = problem.pointer.split("/")[1:]
            assert all(part.isdecimal() or part in known for part in parts), (file, problem)
        problems += len(kept.listed)
        assert len(kept.listed) <= 60, "bounded, whatever is wrong"
    assert problems > 100


def names_of(schema: dict[str, Any]) -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        yield name
        yield from names_of(part)
    yield from names_of(schema["items"]) if "items" in schema else ()


def test_p6_no_problem_of_an_answer_repeats_a_value(contract: Contract, answers: dict[str, Any]) -> None:
    problems = 0
    for name, answer in answers.items():
        for wrong in (CANARY, [CANARY], {CANARY: CANARY}, [[CANARY]]):
            mutable = copy.deepcopy(answer)
            for holder, key in leaves(mutable):
                kept, holder[key] = holder[key], wrong
                found = contract.callbacks[name].check_answer(mutable)
                assert CANARY not in repr(found), f"{name}: {key}"
                problems += len(found)
                holder[key] = kept
    assert problems > 100


def leaves(node: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(node) if isinstance(node, dict) else range(len(node))
    for key in keys:
        if isinstance(node[key], dict | list) and node[key]:
            yield from leaves(node[key])
        else:
            yield node, key


def inventory(rows: list[Any]) -> dict[str, Any]:
    return {"client_id": 1, "channel_info": {"id": 1}, "inventory_updates": rows}


def test_bad_rows_are_named_and_the_others_stay(contract: Contract) -> None:
    rows: list[Any] = [{"sku": f"S{index}", "quantity_available": index} for index in range(100)]
    details: list[Any] = [{"total_quantity": "x"}, {"po": [], "available_quantity": 3}, "none"]
    rows[7] = {"sku": "S7", "quantity_available": "many", "quantity_detail": details}
    rows[8] = {"sku": "S8", "quantity_available": 8, "quantity_detail": details}
    rows[60] = None
    body = inventory(rows)
    reading = contract.callbacks["inventory_push"].read(body)
    assert list(reading.bad_entries) == [7, 60]
    assert [(problem.pointer, problem.rule) for problem in reading.bad_entries[7]] == [
        ("/inventory_updates/7/quantity_available", "pattern"),
    ]
    assert reading.bad_entries[7][0].message == (
        "/inventory_updates/7/quantity_available: must be a whole number of at most 15 digits"
    )
    assert [(problem.pointer, problem.rule) for problem in reading.lost] == [
        (f"/inventory_updates/{row}/quantity_detail/{detail}{field}", rule)
        for row in (7, 8)
        for detail, field, rule in ((0, "/total_quantity", "pattern"), (2, "", "type"))
    ]
    assert [problem.message for problem in reading.ignored] == [
        "/inventory_updates/8/quantity_detail/1/po: must be text, a number or null; the field was ignored"
    ]
    mended = {"sku": "S8", "quantity_available": 8, "quantity_detail": [{"available_quantity": 3}]}
    assert reading.mended == inventory([*rows[:8], mended, *rows[9:]])
    assert body == inventory(rows), "the body itself stays as it came"
    assert (reading.envelope, reading.problems, reading.hidden) == ((), (), 0)


def test_p15_many_rows_are_judged_as_few_are(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    read = contract.callbacks["inventory_push"].read
    good: list[Any] = [{"sku": f"S{number}", "quantity_available": number} for number in range(11)]
    bodies = [inventory(good), {**inventory(good), "client_id": None}, {**inventory(good), "channel_info": 5}]
    for place in range(11):
        bodies += [
            inventory([*good[:place], row, *good[place + 1 :]]) for row in (5, {"sku": None}, {"sku": "x" * 999})
        ]
    few = [read(body) for body in bodies]
    monkeypatch.setattr(requests, "AT_ONCE", 3)
    assert [read(body) for body in bodies] == few
    assert sum(reading.is_clean for reading in few) == 1


def test_twenty_problems_are_told_and_the_rest_is_counted(contract: Contract) -> None:
    reading = contract.callbacks["inventory_push"].read(inventory([{"sku": ""}] * 50))
    assert len(told(reading)) == 20
    assert (len(reading.bad_entries), reading.bad_entries[49], reading.hidden) == (50, (), 30)
    order = {"channel_order_refnum": "4", "unshipped_items": [{"unshipped_quantity": -1.5}] * 15}
    body = {"client_id": 1, "channel_info": {}, "order": order}
    reading = contract.callbacks["order_complete"].read(body)
    # Ten lines of two problems each fill the twenty; each of the other five counts as one.
    assert (len(reading.lost), reading.hidden, reading.closes_nothing) == (20, 5, True)
    unread = {**order, "unshipped_items": [], "order_items": [{"quantity": -1.5}] * 30}
    reading = contract.callbacks["order_complete"].read({**body, "order": unread})
    assert (told(reading), len(reading.ignored), reading.hidden_ignored, reading.hidden) == ([], 20, 10, 0)
    both = {**order, "order_items": [{"quantity": -1.5}] * 30}
    reading = contract.callbacks["order_complete"].read({**body, "order": both})
    assert (len(reading.lost), len(reading.ignored), reading.hidden_ignored) == (20, 0, 30), "faults first"


def test_a_fault_of_the_envelope_is_never_hidden_behind_others(contract: Contract) -> None:
    bad = dict.fromkeys(("product_amt", "subtotal_amt", "discount_amt", "shipping_amt", "tax_amt", "refund_amt"), "?")
    order = {
        "grand_total": "?",
        "retailops_order_id": "?",
        "order_items": [{"quantity": -1}] * 50,
        "shipments": 1,
    }
    body = {"client_id": 1, "channel_info": {}, "order": order, "return": {**bad, "items": "?"}}
    reading = contract.callbacks["order_returned"].read(body)
    assert [problem.pointer for problem in reading.envelope] == ["/order/shipments", "/return/items"]
    assert len(reading.problems) == 20


def test_a_body_of_bad_rows_costs_bounded_time_and_memory(contract: Contract) -> None:
    rows = 200_000
    bodies = {
        "inventory_push": inventory([{"quantity_available": -1, "quantity_detail": 5}] * rows),
        "order_acknowledge": {"client_id": 1, "channel_info": {}, "orders": [5] * rows},
        "order_complete": {
            "client_id": 1,
            "channel_info": {},
            "order": {
                "channel_order_refnum": "4",
                "shipments": [{"packages": [{"package_items": [0] * rows}]}],
            },
        },
    }
    for name, body in bodies.items():
        tracemalloc.start()
        begun = time.thread_time()
        reading = contract.callbacks[name].read(body)
        took_s = time.thread_time() - begun
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(told(reading)) == 20
        assert reading.hidden >= rows - 20
        assert took_s < 5, f"{name}: {took_s:.1f} s"
        assert peak < 40e6, f"{name}: {peak / 1e6:.0f} MB"


def test_p5_deep_nesting_gives_a_verdict_and_no_error(contract: Contract, fixtures: dict[str, Any]) -> None:
    deep: Any = "bottom"
    for level in range(900):
        deep = [deep] if level % 2 else {"order": deep}
    for file, body in fixtures.items():
        callback = callback_of(contract, file)
        mutable = {**copy.deepcopy(body), "unknown": deep}
        assert callback.read(mutable).is_clean
        for holder, key in leaves(mutable):
            if holder is not deep:
                kept, holder[key] = holder[key], deep
                callback.read(mutable)
                holder[key] = kept


def test_what_upstream_publishes_as_example_is_read(contract: Contract, upstream: Path) -> None:
    files = sorted((upstream / "tests").glob("*.json"))
    assert len(files) == 11
    for file in files:
        assert callback_of(contract, file.name).read(json.loads(file.read_text())).is_clean, file.name


def test_our_first_two_examples_satisfy_the_published_request_schemas(upstream: Path, fixtures: dict[str, Any]) -> None:
    # From the third on they show what old callers send beside the contract.
    for file, body in fixtures.items():
        name, number = file.removesuffix(".json").split("_v1_ex_")
        if int(number) <= 2 and name != "payment_credit":
            schema = json.loads((upstream / f"{name}_v1.json").read_text())["links"][0]["schema"]
            # `removed` is unsatisfiable upstream outside order_update, so no example carries it there.
            jsonschema.Draft4Validator(schema).validate(body)
