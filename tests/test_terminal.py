"""The result of a command for programs and for people; in a window of 80 columns no name or title is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import click
from click.testing import CliRunner

from app import terminal
from app.terminal import Column, Output


def test_a_title_is_as_wide_as_the_window_however_narrow_its_table(shown_at_80: Callable[[], list[str]]) -> None:
    title = "Locations of channel 'pipe17-shop-of-the-whole-company'"
    terminal.print_cells(title, ["Id"], [(7,)])
    assert shown_at_80() == [title, "Id", " 7"]


ORDERS: Sequence[Column[dict[str, Any]]] = (
    Column("Id", itemgetter("id")),
    Column("Order", itemgetter("order"), narrow=lambda row: terminal.shortened(row["order"], 9)),
    Column("Channel", itemgetter("channel"), rank=1),
    Column("Vendor", itemgetter("vendor"), rank=2),
    Column("Why", itemgetter("why"), wraps=True),
    Column("Request", itemgetter("request")),
)

ROW = {"id": 7, "order": "0123456789abcdef", "channel": "shop", "vendor": "rally", "why": "-", "request": "4f1c"}


def test_a_table_shows_as_many_whole_columns_as_the_window_has_room_for(shown_at_80: Callable[[], list[str]]) -> None:
    def head(**values: Any) -> list[str]:
        terminal.print_table("", ORDERS, [ROW | values])
        lines = shown_at_80()
        assert len(lines) == 2, lines
        return lines[0].split() + lines[1].split()[1:2]

    everything = ["Id", "Order", "Channel", "Vendor", "Why", "Request"]
    assert head() == [*everything, "0123456789abcdef"]
    assert head(channel="c" * 40) == [*everything, "0123…cdef"], "first the values that can be shortened are"
    assert head(channel="c" * 44) == ["Id", "Order", "Channel", "Why", "Request", "0123…cdef"]
    assert head(channel="c" * 70) == ["Id", "Order", "Why", "Request", "0123…cdef"]


def test_one_column_wraps_between_words_and_numbers_stand_below_one_another(
    shown_at_80: Callable[[], list[str]],
) -> None:
    why = "somebody counted the shelf in Dallas by hand and typed the figure there"
    terminal.print_table("", ORDERS, [ROW | {"why": why}, ROW | {"id": 12345}])
    assert shown_at_80() == [
        "   Id  Order      Channel  Vendor  Why                                   Request",
        "    7  0123…cdef  shop     rally   somebody counted the shelf in Dallas  4f1c",
        "                                   by hand and typed the figure there",
        "12345  0123…cdef  shop     rally   -                                     4f1c",
    ]


def test_what_does_not_fit_in_any_way_is_folded_and_never_cut(shown_at_80: Callable[[], list[str]]) -> None:
    terminal.print_table("", ORDERS, [ROW | {"id": "7" * 200, "request": "f" * 200}])
    text = "".join(shown_at_80())
    assert (text.count("7"), text.count("f")) == (200, 201)


SENTENCE = "what was kept of the person is erased, " * 5 + "and the ids and amounts stay."


@click.command()
@click.option("--fails", is_flag=True)
@terminal.json_or_tables
def looked(fails: bool) -> Output:
    """A command with a table, a sentence, and what may have failed."""
    rows = [(7, "shop")] if not fails else []
    columns = [Column("Id", itemgetter(0)), Column("Where", itemgetter(1))]
    failures = ["9: there is none"] if fails else []
    return Output({"rows": rows}, terminal.table("", columns, rows, none="None."), "", SENTENCE, failures=failures)


def test_a_commands_result_is_json_for_programs_and_for_people_tables_and_sentences() -> None:
    found = CliRunner().invoke(looked)
    assert (found.exit_code, found.stderr) == (0, "")
    assert [line.split() for line in found.stdout.splitlines()[:2]] == [["Id", "Where"], ["7", "shop"]]
    assert found.stdout.splitlines()[2:] == [SENTENCE], "a pipe has no width, and an empty part is left out"
    assert CliRunner().invoke(looked, ["--json"]).stdout == '{"rows":[[7,"shop"]]}\n'
    failed = CliRunner().invoke(looked, ["--fails"])
    assert (failed.exit_code, failed.stderr) == (1, "9: there is none\n")
    assert failed.stdout.startswith("None.\n")
    assert CliRunner().invoke(looked, ["--fails", "--json"]).exit_code == 1


def test_a_sentence_is_broken_between_words_in_a_window(shown_at_80: Callable[[], list[str]]) -> None:
    terminal.print_lines("", (SENTENCE,))
    lines = [line.rstrip() for line in shown_at_80()]
    assert len(lines) == 3 and " ".join(lines) == SENTENCE


def test_a_command_in_a_sentence_is_on_one_line_for_people_copy_it(shown_at_80: Callable[[], list[str]]) -> None:
    command = "`channel deliveries drop 17 --reason TEXT`"
    for before in range(10, 80):
        terminal.print_lines("", ("x" * before + " " + command, "y " * (before // 2) + command + ", or leave it."))
        printed = shown_at_80()
        assert len([line for line in printed if command in line]) == 2, before


def test_p20_no_text_commands_the_terminal_or_turns_round_what_stands_there(
    shown_at_80: Callable[[], list[str]],
) -> None:
    terminal.print_cells(
        "Order \x1b[2J", ["Id"], [("\x1b]0;x\x1b\\A",), ("\u202eRTL",), ("B\u009b1m",), ("\u0645 \U0001f6cd",)]
    )
    terminal.print_lines("", ("Order A\rB", "its 1\ttry"), ("two\nlines",))
    printed = "\n".join(shown_at_80())
    assert printed.replace("\n", "").isprintable() and "[U+001B]]0;x[U+001B]\\A" in printed
    for whole in ("Order [U+001B][2J", "[U+202E]RTL", "B[U+009B]1m", "\u0645 \U0001f6cd", "two\nlines"):
        assert whole in printed, whole
