"""Which lines an entry means, and how its units fall on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.line_matching import allot, named_lines, restated


@dataclass(frozen=True)
class Line:
    refnum: str
    sku: str
    quantity: int = 0


@dataclass(frozen=True)
class Entry:
    line_refnum: str
    sku: str
    quantity: int


LINES = [Line("1", "MUG", 2), Line("2", "TEA", 1), Line("3", "MUG", 2)]


def test_p35_an_exact_name_wins_over_one_that_differs_by_blanks() -> None:
    lines = [Line("1", "SPOON "), Line("2", "SPOON"), Line("3 ", "FORK")]
    assert [line.refnum for line in named_lines(lines, "", "SPOON")] == ["2"]
    assert [line.refnum for line in named_lines(lines, "", "SPOON ")] == ["1"]
    assert [line.refnum for line in named_lines(lines[:1], "", "SPOON")] == ["1"]
    assert [line.refnum for line in named_lines(lines, "3", "SPOON")] == ["3 "]
    assert named_lines(lines, "", "") == named_lines(lines, "9", "KNIFE") == []


def test_p34_units_named_by_sku_alone_fill_its_lines_in_the_orders_order() -> None:
    room = {"1": 2, "2": 1, "3": 2}
    [three, tea] = allot(LINES, [Entry("", "MUG", 3), Entry("", "TEA", 2)], room)
    assert (three.units[0], three.left_over) == ({"1": 2, "3": 1}, 0)
    assert (tea.units[0], tea.left_over) == ({"2": 1}, 1)


def test_p34_an_entry_that_names_its_line_is_served_before_one_that_leaves_it_open() -> None:
    [by_sku, by_line] = allot(LINES, [Entry("", "MUG", 2), Entry("1", "MUG", 2)], {"1": 2, "3": 2})
    assert (by_sku.units[0], by_line.units[0]) == ({"3": 2}, {"1": 2})


@settings(max_examples=300, deadline=None)
@given(
    entries=st.lists(
        st.builds(Entry, st.sampled_from(["", "1", "3", "9"]), st.sampled_from(["", "MUG", "TEA", "X"]),
                  st.integers(0, 5)), max_size=5,
    ),
    stages=st.lists(st.dictionaries(st.sampled_from(["1", "2", "3"]), st.integers(0, 4)), min_size=1, max_size=3),
)  # fmt: skip
def test_p19_no_unit_is_lost_or_counted_twice(entries: list[Entry], stages: list[dict[str, int]]) -> None:
    shares = allot(LINES, entries, *stages)
    for entry, share in zip(entries, shares, strict=True):
        assert sum(sum(part.values()) for part in share.units) + share.left_over == entry.quantity
        assert all(set(part) <= set(share.line_refnums) for part in share.units)
    for at, stage in enumerate(stages):
        taken = sum((Counter(share.units[at]) for share in shares), Counter[str]())
        assert all(taken[refnum] <= stage.get(refnum, 0) for refnum in taken)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=4),
    st.integers(0, 20),
    st.booleans(),
)
def test_what_is_taken_off_comes_from_the_last_line_first(
    stated: list[tuple[int, int]], units: int, have_shipped: bool
) -> None:
    quantities = [quantity for quantity, _ in stated]
    lines = [Line(str(at), "MUG", quantity) for at, quantity in enumerate(quantities)]
    shipped = {str(at): min(stated[at]) for at in range(len(stated))} if have_shipped else {}
    found = restated(lines, units, shipped)
    assert sum(found.values()) == units and list(found) == [line.refnum for line in lines]
    if units >= sum(shipped.values()):
        assert all(found[refnum] >= part for refnum, part in shipped.items()), "what has shipped goes after all others"
    less = [line.refnum for line in lines if found[line.refnum] < line.quantity]
    if less and not have_shipped:
        first = int(less[0])
        assert all(found[str(at)] == 0 for at in range(first + 1, len(lines)))
        assert all(found[str(at)] == quantities[at] for at in range(first))
