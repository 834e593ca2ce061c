"""The program that prints the figures: what each verdict is, and what its exit code says of all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import FIGURES, Measure, exit_code, measured
from tests.benchmarks.rounds import Row, Skipped

EXPLAIN = Path(__file__).parents[1] / "app" / "docs" / "explain"


def fast(rounds: int, folder: Path) -> Iterator[Row]:
    assert rounds == 2 and folder.is_dir()
    yield "T1", 0.9, ">= 0.85"
    yield "T1 lost", 0.0, "== 0"


def slow() -> Iterator[Row]:
    yield "T2", 1.3, "<= 1.2"


def without_a_database() -> Iterator[Row]:
    yield "T3 SQLite", 1.0, "<= 1.2"
    raise Skipped("PostgreSQL is not installed")


def broken() -> Iterator[Row]:
    raise AssertionError("an answer was no 200")
    yield "never", 1.0, "<= 1.0"


def test_the_program_of_the_figures_ends_as_the_worst_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    def run(*measures: Measure) -> tuple[list[str], int]:
        offered = {"rounds": 2, "seconds": 1.0, "scale": 1.0}
        results = [line for measure in measures for line in measured("T", measure, offered)]
        return [line.verdict for line in results], exit_code(results)

    assert run(fast) == (["reached", "reached"], 0)
    assert run(fast, without_a_database) == (["reached"] * 3 + ["skipped: PostgreSQL is not installed"], 3)
    assert run(slow, without_a_database) == (["MISSED", "reached", "skipped: PostgreSQL is not installed"], 1)
    assert run(broken, fast) == (["FAILED: AssertionError", "reached", "reached"], 1)
    assert "an answer was no 200" in capsys.readouterr().err


def test_p43_every_figure_has_its_section_and_says_what_it_measures() -> None:
    figures, rules, promises = (
        set(re.findall(r"^### (\w+)$", (EXPLAIN / page).read_text(encoding="utf-8"), re.MULTILINE))
        for page in ("figures.md", "rules.md", "promises.md")
    )
    assert figures <= set(FIGURES) <= figures | rules | promises
    assert all(measure.__doc__ for measure in FIGURES.values())
