"""The catalogue is state: absent fields stay, only what changed is owed, and a product goes with its variants (R13)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event

from app.domain.catalogue import Item, Product, ProductSent, Refusal
from app.records import catalogue, catalogue_batches, catalogue_sync, cataloguing
from app.records.cataloguing import Statement
from app.records.database import Database

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 2, 3, 12, tzinfo=UTC)
STREAM = ("first", "rally")


def push(database: Database, *statements: Statement) -> list[Item]:
    with database.write() as connection:
        return [one.item for one in cataloguing.accept(connection, "first", ["rally"], statements, NOW).displaced]


def one(product_id: int, parent: int | None = None, **fields: object) -> Statement:
    return Statement(f"product:{product_id}", {"product_id": str(product_id), **fields}, parent)


def bare(sku: str, **fields: object) -> Statement:
    return Statement("", {"sku": sku, **fields})


def claim(database: Database, now: datetime = NOW, limit: int = 50) -> catalogue_batches.Batch | None:
    with database.write() as connection:
        return catalogue_batches.claim(connection, *STREAM, token="t", limit=limit, now=now, lease_s=30)


def hear(database: Database, *refused: str) -> list[tuple[str, list[str]]]:
    """Take everything owed as a vendor would; the products as SKU and variants' SKUs."""
    told: list[tuple[str, list[str]]] = []
    while batch := claim(database):
        told += [_shown(change.product) for change in batch.changes]
        sent = [ProductSent(change.key, b"1", tuple(Refusal("no", sku) for sku in refused)) for change in batch.changes]
        with database.write() as connection:
            assert catalogue_batches.record(connection, batch, sent)
    return sorted(told)


def _shown(product: Product | None) -> tuple[str, list[str]]:
    return ("gone", []) if product is None else (product.item.sku, [item.sku for item in product.variants])


def unit(database: Database, sku: str) -> Item:
    with database.read() as connection:
        return catalogue.of_skus(connection, "first", [sku])[sku][1]


def test_p27_absent_fields_stay_and_only_what_changed_is_owed(database: Database) -> None:
    push(database, one(1, sku="P", title="Mug", price=Decimal("12.50")), one(2, 0, sku="P-1"), one(3, 0, sku="P-2"))
    assert hear(database) == [("P", ["P-1", "P-2"])]
    push(database, one(1, sku="P", price=Decimal("12.5")), one(2, 0, sku="P-1"))
    assert hear(database) == [], "the same again is no change"
    push(database, one(2, sku="P-1", price=Decimal("13.00")))
    assert hear(database) == [("P", ["P-1", "P-2"])], "a variant by itself still belongs to its product"
    assert (unit(database, "P-1").price, unit(database, "P-1").title) == (Decimal("13.00"), "Mug")
    assert (unit(database, "P-2").price, unit(database, "P-2").number) == (Decimal("12.50"), 3)
    push(database, one(1, is_enabled=False))
    assert hear(database) and unit(database, "P-2").is_enabled is False


def test_variants_that_come_before_their_product_join_it_by_its_sku(database: Database) -> None:
    push(database, bare("P-1", parent_sku="P"), bare("P-2", parent_sku="P"))
    assert hear(database) == [("P-1", []), ("P-2", [])]
    push(database, bare("P", title="Mug"))
    assert hear(database) == [("P", ["P-1", "P-2"]), ("gone", []), ("gone", [])]


def test_an_object_keeps_its_row_when_its_sku_changes_and_a_sku_has_one_object(database: Database) -> None:
    push(database, bare("A", title="Tea"))
    known = unit(database, "A")
    push(database, one(7, sku="A"))
    assert (unit(database, "A").key, unit(database, "A").title) == (known.key, "Tea"), "known by SKU, now by id"
    push(database, one(7, sku="B"))
    assert unit(database, "B").key == known.key
    displaced = push(database, one(8, sku="B"))
    assert [item.product_id for item in displaced] == ["7"] and unit(database, "B").product_id == "8"


def test_r7_p47_what_was_kept_under_another_spelling_of_its_id_stays_the_row_of_its_object(database: Database) -> None:
    def stated(title: str, spelling: str = "") -> list[Statement]:
        group = one(7, title=title, source_type="product")
        goods = [one(8, 0, sku="T-1", source_type="product"), one(9, sku="B", source_type="product")]
        return [replace(group, spelled=spelling and f"product:{spelling}"), *goods]

    push(database, *stated("Tea"))
    hear(database)
    with database.write() as connection:
        for number, spelling in ((7, "007"), (8, "8.0"), (9, "+9")):
            kept = f"update catalogue set identity = 'product:{spelling}' where identity = 'product:{number}'"
            connection.exec_driver_sql(kept)
    keys = {sku: unit(database, sku).key for sku in ("T-1", "B")}
    assert push(database, *stated("Green tea", "007")) == [], "no SKU changes hands"
    assert {sku: unit(database, sku).key for sku in keys} == keys
    assert unit(database, "T-1").title == "Green tea" and hear(database) == [("", ["T-1"])]
    with database.read() as connection:
        kept_now = connection.exec_driver_sql("select identity from catalogue order by number").scalars().all()
    assert list(kept_now) == ["product:007", "product:8.0", "product:+9"], "processes of before find them"


def test_a_number_is_its_skus_for_ever_whichever_record_has_it(database: Database) -> None:
    push(database, one(1, sku="A"), one(2, sku="B"), one(3, sku="C"))
    numbers = {sku: unit(database, sku).number for sku in "ABC"}
    push(database, one(4, sku="A"))
    assert unit(database, "A").number == numbers["A"], "another record took it over"
    push(database, one(2, sku="D"))
    assert unit(database, "D").number not in numbers.values(), "another SKU has another number"
    push(database, one(5, sku="B"), one(3, sku="E"), one(2, sku="C"))
    assert {sku: unit(database, sku).number for sku in "ABC"} == numbers
    push(database, one(6, sku="D"), bare("NEW"))
    given = [unit(database, sku).number for sku in ("A", "B", "C", "D", "E", "NEW")]
    assert len(set(given)) == len(given)


def test_a_number_nobody_has_leads_to_the_record_that_had_it_last(database: Database) -> None:
    push(database, one(1, sku="P"), one(2, 0, sku="P-1", title="Small"))
    number = unit(database, "P-1").number
    push(database, one(2, sku="P-2"))
    with database.read() as connection:
        product, record = catalogue.of_numbers(connection, "first", [number])[number]
        assert (product.item.sku, record.sku, record.title, record.number) == ("P", "P-2", "Small", number)
        assert catalogue.former_numbers(connection, "first", product.units) == {record.key: [number]}
    push(database, one(3, sku="P-1", title="Other"))
    with database.read() as connection:
        assert catalogue.of_numbers(connection, "first", [number])[number][1].title == "Other"
        assert catalogue.former_numbers(connection, "first", product.units) == {}


def test_p28_a_whole_catalogue_is_owed_in_pieces(database: Database) -> None:
    push(database, *(one(number, sku=f"S{number}") for number in range(1, 6)))
    assert len(hear(database)) == 5 and hear(database) == []
    after, pieces = "", 0
    while after or not pieces:
        with database.write() as connection:
            after = cataloguing.owe_page(connection, *STREAM, after, 2, forgets_notes=True)
        batch = claim(database)
        assert batch and len(batch.changes) <= 2 and all(change.sent is None for change in batch.changes)
        with database.write() as connection:
            assert catalogue_batches.record(
                connection, batch, [ProductSent(change.key, b"2") for change in batch.changes]
            )
        pieces += 1
    assert pieces == 3 and hear(database) == []


def test_what_a_vendor_refused_waits_for_the_next_change_and_a_lost_sender_is_followed(database: Database) -> None:
    push(database, bare("A"))
    assert hear(database, "A") == [("A", [])] and hear(database) == []
    push(database, bare("A", title="new"))
    assert claim(database) is not None and claim(database) is None, "one sender at a time"
    batch = claim(database, NOW + timedelta(seconds=31))
    assert batch and batch.changes[0].sent == b"1"


def test_products_are_found_by_number_and_by_title_whatever_its_case(database: Database) -> None:
    push(database, one(1, sku="P", title="Große Tasse 50%"), one(2, 0, sku="P-1"), bare("Q", categories=("A", "A > B")))
    number = unit(database, "P-1").number
    keys = [unit(database, sku).key for sku in ("P-1", "Q")]
    with database.read() as connection:
        assert [item.item.sku for item in catalogue.search(connection, "first", "GROSSE", 10)] == ["P"]
        assert catalogue.search(connection, "first", "0_", 10) == [] == catalogue.search(connection, "other", "a", 10)
        assert [item.item.sku for item in catalogue.search(connection, "first", "", 10)] == ["P", "Q"]
        assert [item.item.sku for item in catalogue.search(connection, "first", "", 1)] == ["P"]
        assert catalogue.of_numbers(connection, "first", [number, 999])[number][0].item.sku == "P"
        by_key = catalogue.of_keys(connection, "first", [*keys, "unknown"])
        assert {key: product.item.sku for key, product in by_key.items()} == dict(zip(keys, ("P", "Q"), strict=True))
        assert {product.item.sku for product in catalogue.walk(connection, "first")} == {"P", "Q"}
        assert list(catalogue.category_numbers(connection, "first")) == ["A", "A > B"]


def test_p27_random_pushes_leave_what_a_plain_dictionary_would_hold(database: Database, seed: int) -> None:
    rng = random.Random(seed)
    expected: dict[str, dict[str, object]] = {}
    for _ in range(30):
        statements = []
        for sku in rng.sample("ABCDEFGH", rng.randint(1, 6)):
            fields = {
                name: value
                for name, value in (("title", rng.choice("xyz")), ("price", Decimal(rng.randint(1, 3))))
                if rng.random() < 0.6
            }
            statements.append(bare(sku, **fields))
            expected.setdefault(sku, {}).update(fields)
        push(database, *statements)
        if rng.random() < 0.3:
            hear(database)
    hear(database)
    for sku, fields in expected.items():
        held = unit(database, sku)
        assert {name: getattr(held, name) for name in fields} == fields, sku


def test_a_variant_that_stands_before_its_product_in_one_push_joins_it(database: Database) -> None:
    push(database, bare("KID", parent_sku="LATE"), bare("LATE"), bare("ALONE", parent_sku="NOWHERE"))
    assert hear(database) == [("ALONE", []), ("LATE", ["KID"])], "a push is one statement: it was never by itself"
    push(database, bare("NOWHERE"))
    assert hear(database) == [("NOWHERE", ["ALONE"]), ("gone", [])]


def test_no_statement_of_a_push_reads_the_whole_catalogue(database: Database) -> None:
    if not database.is_sqlite:
        return  # there the benchmark tells; its plans follow what it has counted
    push(database, *(one(number, sku=f"S{number}") for number in range(1, 60)))
    seen: list[tuple[str, object]] = []
    with database.write() as connection:
        event.listen(connection, "before_cursor_execute", lambda _, __, sql, values, *___: seen.append((sql, values)))
        cataloguing.accept(connection, "first", ["rally"], [one(7, sku="S7"), bare("NEW", parent_sku="S8")], NOW)
        looks = [(sql, values) for sql, values in seen if sql.startswith("SELECT") and "FROM catalogue" in sql]
        plans = [
            row[3] for sql, values in looks for row in connection.exec_driver_sql(f"explain query plan {sql}", values)
        ]
    # Whether any row waits for a SKU, or names a parent, one step in an index of those rows alone tells.
    seldom = ("ix_catalogue_waits_for (channel=?)", "ix_catalogue_parent_sku (channel=?)")
    assert len(looks) == 6
    assert all("(channel=? AND " in plan or plan.endswith(seldom) for plan in plans), "\n".join(plans)


# Sent again although nothing changed (R13)


def test_p33_a_refused_product_is_owed_again_when_it_is_stated_again_and_an_accepted_one_is_not(
    database: Database,
) -> None:
    push(database, bare("A"), bare("B"))
    batch = claim(database)
    assert batch
    said_no = {change.key for change in batch.changes if change.product and change.product.item.sku == "B"}
    sent = [
        ProductSent(change.key, b"1", (Refusal("no"),) if change.key in said_no else ()) for change in batch.changes
    ]
    with database.write() as connection:
        assert catalogue_batches.record(connection, batch, sent)
    push(database, bare("A"), bare("B"))
    assert hear(database) == [("B", [])]
    push(database, bare("A"), bare("B"))
    assert hear(database) == []
    with database.write() as connection:
        catalogue_sync.note_lost(connection, *STREAM, dict.fromkeys([change.key for change in batch.changes], "gone"))
    push(database, bare("A"), bare("B"))
    lost = claim(database)
    assert lost and [change.is_uncertain for change in lost.changes] == [True, True]


def test_p33_changed_products_go_before_refused_ones_that_are_stated_again(database: Database) -> None:
    push(database, bare("A"), bare("B"), bare("C"))
    hear(database, "A")
    push(database, bare("A"), bare("B"), bare("C"))
    push(database, bare("C", title="Mug"))
    batch = claim(database, limit=1)
    assert batch and batch.changes[0].product and batch.changes[0].product.item.sku == "C"


def test_p33_a_gateway_that_is_added_later_is_owed_a_product_that_is_stated_again(database: Database) -> None:
    push(database, bare("A"))
    hear(database)
    with database.write() as connection:
        cataloguing.accept(connection, "first", ["pipe17", "rally"], [bare("A")], NOW)
        later = catalogue_batches.claim(connection, "first", "pipe17", token="t", limit=9, now=NOW, lease_s=30)
    assert later and len(later.changes) == 1 and hear(database) == []


def test_p33_p44_after_an_attempt_nobody_knows_the_end_of_a_product_is_sent_once_more_after_settle(
    database: Database,
) -> None:
    push(database, bare("A"))
    assert claim(database), "nobody learns how this ended"
    second = claim(database, NOW + timedelta(seconds=31))
    assert second and second.changes[0].is_uncertain
    with database.write() as connection:
        sent = [ProductSent(second.changes[0].key, b"1")]
        assert catalogue_batches.record(connection, second, sent, now=NOW + timedelta(seconds=32), settle_s=60)
    assert claim(database, NOW + timedelta(seconds=91)) is None
    third = claim(database, NOW + timedelta(seconds=93))
    assert third and third.changes[0].is_uncertain, "an equal product is sent all the same"
    with database.write() as connection:
        assert catalogue_batches.record(connection, third, sent, now=NOW + timedelta(seconds=94), settle_s=60)
    assert claim(database, NOW + timedelta(days=1)) is None


def test_p33_a_person_can_have_products_sent_again_after_seeing_which_those_would_be(database: Database) -> None:
    push(database, one(1, sku="P"), one(2, 0, sku="P-1"), bare("A"))
    hear(database)
    with database.write() as connection:
        dry = catalogue_sync.send_again(connection, *STREAM, ["P-1", "X"], is_dry_run=True)
    assert (dry.owed, dry.unknown) == (("P-1",), ("X",)) and hear(database) == []
    with database.write() as connection:
        assert catalogue_sync.send_again(connection, *STREAM, ["P-1", "X"], is_dry_run=False) == dry
    assert hear(database) == [("P", ["P-1"])]
    with database.write() as connection:
        assert catalogue_sync.send_again(connection, *STREAM, None, is_dry_run=False).owed == ("A", "P", "P-1")
    assert hear(database) == [("A", []), ("P", ["P-1"])]
