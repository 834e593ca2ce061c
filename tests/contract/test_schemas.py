"""P30: the schema files are sound, and two independent validators read them alike."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import msgspec
import pytest

from app.contract.files import SCHEMAS
from app.contract.formats import is_date_time
from app.contract.problems import compiled
from app.contract.schemas import BrokenSchema, Contract, load_contract

CALLBACKS = {
    "catalog_get_config", "catalog_push", "inventory_push", "order_pull", "order_acknowledge", "order_update",
    "order_cancel", "order_shipment_submit", "order_complete", "order_settle_payment", "order_returned",
    "payment_credit",
}  # fmt: skip
FORMATS = jsonschema.FormatChecker(formats=())
FORMATS.checks("date-time")(lambda value: not isinstance(value, str) or is_date_time(value))


def both_sides(contract: Contract) -> Iterator[tuple[str, dict[str, Any]]]:
    for callback in contract.callbacks.values():
        yield f"{callback.name} request", callback.request_schema
        yield f"{callback.name} answer", callback.answer_schema


def parts(schema: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every subschema that stands for a value, with its place."""
    yield place, schema
    for name, inner in schema.get("properties", {}).items():
        yield from parts(inner, f"{place}/{name}")
    if "items" in schema:
        yield from parts(schema["items"], f"{place}[]")


def test_p30_the_folder_holds_the_twelve_callbacks_in_hyper_schema_form(contract: Contract) -> None:
    assert set(contract.callbacks) == CALLBACKS
    for name in CALLBACKS:
        document = json.loads((SCHEMAS / f"{name}_v1.json").read_text())
        assert document["$schema"] == "http://json-schema.org/draft-04/hyper-schema"
        assert document["title"] == f"{name}_v1"
        assert set(document["links"][0]) == {
            "title", "description", "href", "method", "rel", "schema", "targetSchema",
        }  # fmt: skip


def test_p30_every_file_has_definitions_without_which_the_sdks_tool_refuses_it(contract: Contract) -> None:
    """It writes them into the schemas it cuts out, and null where there are none, which its validator refuses."""
    for name in contract.callbacks:
        assert json.loads((SCHEMAS / f"{name}_v1.json").read_text()).get("definitions") == {}, name


def test_p30_every_schema_compiles_as_draft_4_in_both_validators(contract: Contract) -> None:
    for place, schema in both_sides(contract):
        jsonschema.Draft4Validator.check_schema(schema)
        assert compiled(schema).is_valid({}) is False, f"{place} takes an empty object"


def test_p30_shared_blocks_are_equal_wherever_they_stand(contract: Contract) -> None:
    seen: dict[str, tuple[str, Any]] = {}
    for place, schema in both_sides(contract):
        for where, part in parts(schema, place):
            if "title" not in part:
                continue
            # A block may be null in one callback and needed in another, and is described by its role.
            block = {key: value for key, value in part.items() if key not in ("description", "type", "x-newer")}
            first, expected = seen.setdefault(part["title"], (where, block))
            assert block == expected, f"{where} differs from {first}"


def test_p30_what_comes_in_is_spelled_in_few_ways(contract: Contract) -> None:
    spellings: dict[str, str] = {}
    for callback in contract.callbacks.values():
        for where, part in parts(callback.request_schema, callback.name):
            if "enum" not in part and not {"properties", "items"} & part.keys():
                spelling = json.dumps({key: part[key] for key in part if key != "description"}, sort_keys=True)
                spellings.setdefault(spelling, where)
    # anything, object, text, short text, date, number id, client id, units, stock, amount, wanted amount, text id, key
    assert len(spellings) == 13, sorted(spellings.values())


def test_p30_no_field_is_one_that_nothing_can_satisfy(contract: Contract) -> None:
    for place, schema in both_sides(contract):
        for where, part in parts(schema, place):
            verdict = jsonschema_rs.canonicalize(part, draft=jsonschema_rs.Draft4, offline=True).satisfiability()
            assert verdict != jsonschema_rs.canonical.Satisfiability.NO, where


def test_p30_the_two_validators_agree_on_verdict_place_and_keyword(
    contract: Contract, fixtures: dict[str, Any], answers: dict[str, Any]
) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    cases = [(name.split("_v1")[0], "request_schema", body) for name, body in fixtures.items()]
    cases += [(name, "answer_schema", body) for name, body in answers.items()]
    verdicts = {True: 0, False: 0}
    for name, side, body in cases:
        schema = getattr(contract.callbacks[name], side)
        fast = compiled(schema)
        slow = jsonschema.Draft4Validator(schema, format_checker=FORMATS)
        for _ in range(40):
            mutant = mutated(body, dice)
            ours = {(_place(error.instance_path), error.kind.name) for error in fast.iter_errors(mutant)}
            theirs = {(_place(error.absolute_path), error.validator) for error in slow.iter_errors(mutant)}
            assert ours == theirs, f"{name}: {mutant}"
            assert fast.is_valid(mutant) is (not ours)
            verdicts[not ours] += 1
    assert min(verdicts.values()) > 100, verdicts


VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 0.5, -0.0, 24.5, 2**53, 2**53 + 1, 2**64, 10**29, 10**31, 1e16, -1e16,
    1e300, 1e-300, "", " ", "0", "1", "24", " 24 ", "24.0", "24.5", "-24", "null", "true", "x",
    "x" * 101, "x" * 256, "é🎁", "a\x00b", "2016-01-01", "2016-01-01T00:00:00", "2016-01-01T00:00:00Z",
    "2016-02-30T00:00:00Z",
    [], [None], [[]],
    {}, {"id": 1}, "success", "error", "1e-5", "1e5", ".5", "5.", "٣", "\u2003",
]  # fmt: skip


def mutated(body: Any, dice: random.Random) -> Any:
    """The body with one to three places replaced, dropped or doubled."""
    mutant = copy.deepcopy(body)
    for _ in range(dice.randint(1, 3)):
        places = list(_places(mutant))
        if not places:
            break
        holder, key = dice.choice(places)
        match dice.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case _:
                holder[key] = copy.deepcopy(dice.choice(VALUES))
    return mutant


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from _places(node[key])


def _place(path: Any) -> tuple[str, ...]:
    return tuple(str(part) for part in path)


def test_numbers_survive_or_are_refused_but_never_change(contract: Contract) -> None:
    cancel = contract.callbacks["order_cancel"]

    def faults(number: str) -> list[tuple[str, str]]:
        body = msgspec.json.decode(
            '{"client_id": 1, "channel_info": {}, "order": {"channel_order_refnum": "4",'
            f' "retailops_order_id": {number}}}}}'
        )
        return [(problem.pointer, problem.rule) for problem in cancel.read(body).problems]

    for good in (
        "9007199254740993",
        "18446744073709551616",
        "5.0",
        "9007199254740991.0",
        '"9007199254740993"',
        '"+5"',
    ):
        assert faults(good) == [], good
    for inexact in ("9007199254740992.0", "-9007199254740992.0", "1e16", "1e300", "1" * 40):
        assert faults(inexact) == [("/order/retailops_order_id", "anyOf")], inexact
    assert faults("5.5") == [("/order/retailops_order_id", "multipleOf")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "links must be"),
        ('{"links": [{"href": "/other_v1"}]}', "links[0].href must be /order_cancel_v1"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "order_cancel_v1.json").write_text(content)
    with pytest.raises(BrokenSchema) as caught:
        load_contract(tmp_path)
    assert str(caught.value).startswith("order_cancel_v1.json: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("side", "change", "words"),
    [
        ("schema", {"type": "objekt"}, "must be a schema of type object"),
        ("schema", {"required": []}, "cannot be compiled as draft 4"),
        ("targetSchema", {"definitions": {"x": {"$ref": "#/y"}}}, "must not use $ref"),
        ("targetSchema", {"properties": None}, "must name its properties"),
    ],
)
def test_a_schema_that_cannot_be_used_is_named(tmp_path: Path, side: str, change: dict[str, Any], words: str) -> None:
    document = json.loads((SCHEMAS / "order_cancel_v1.json").read_text())
    document["links"][0][side].update(change)
    (tmp_path / "order_cancel_v1.json").write_text(json.dumps(document))
    with pytest.raises(BrokenSchema, match=r"^order_cancel_v1\.json: ") as caught:
        load_contract(tmp_path)
    assert words in str(caught.value)


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(BrokenSchema, match="holds no"):
        load_contract(tmp_path)
