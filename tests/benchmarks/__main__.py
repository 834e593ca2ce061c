"""`python -m tests.benchmarks [S1 S3 ...] [--rounds 3] [--seconds 3]`: each figure as a ratio, with its goal.

The exit code is 0 when every goal is reached, 1 when one is missed or a figure failed, and 3 when none is missed and
something could not be measured here.
"""

from __future__ import annotations

import argparse
import inspect
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import (
    bodies,
    busy_shop,
    callbacks,
    calls,
    catalogue,
    commands,
    database_load,
    durable,
    fairness,
    growth,
    hooks,
    idle,
    pages,
    peers,
    pulls,
    pushes,
    restating,
    scaling,
    slow_clients,
    starting,
    syncing,
)
from tests.benchmarks.bench import scratch
from tests.benchmarks.rounds import Row, Skipped

Measure = Callable[..., Iterable[Row]]

FIGURES: dict[str, Measure] = {
    "S1": callbacks.s1_s2,
    "S1b": peers.s1b,
    "S2": callbacks.s1_s2,
    "S3": pushes.s3,
    "S4": durable.s4,
    "S5": pushes.s5,
    "S5b": bodies.s5b,
    "S6": callbacks.s6,
    "S7": calls.s7,
    "S8": durable.s8,
    "S9": durable.s9,
    "S10": callbacks.s10,
    "S11": callbacks.s11,
    "S12": starting.s12,
    "S13": pulls.s13,
    "S14": syncing.s14,
    "S15": commands.s15,
    "S16": pages.p40,
    "S17": hooks.s17,
    "S18": growth.s18,
    "S19": scaling.s19,
    "S20": idle.s20,
    "S20b": busy_shop.s20b,
    "B1": durable.b1,
    "C1": catalogue.c1,
    "D5": slow_clients.d5,
    "D6": bodies.d6,
    "D6b": bodies.dear,
    "L1": database_load.l1,
    "P15": fairness.p15,
    "P40": pages.p40,
    "R13": restating.r13,
    "V1": starting.v1,
}
"""What measures each figure.  A measure takes by name what it needs of the options and `folder`, an empty directory;
the first line of its docstring says what it measures.  One that stands here under two names runs once."""


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table: what one figure, or one part of it, came to."""

    label: str
    ratio: float | None
    goal: str
    verdict: str

    @classmethod
    def of(cls, row: Row) -> Result:
        label, ratio, goal = row
        sign, bound = goal.split()
        is_reached = {">=": ratio >= float(bound), "<=": ratio <= float(bound), "==": ratio == float(bound)}[sign]
        return cls(label, ratio, goal, "reached" if is_reached else "MISSED")

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return f"{self.label:32} {ratio:>9}  {self.goal:9}  {self.verdict}"


def measured(name: str, measure: Measure, offered: Mapping[str, Any]) -> Iterator[Result]:
    """The lines of one figure, each printed as soon as it is there; one that fails ends in a line that says so."""
    print(f"{name}: {inspect.getdoc(measure)}", flush=True)
    taken = {key: value for key, value in offered.items() if key in inspect.signature(measure).parameters}
    try:
        with scratch() as folder:
            taken |= {"folder": folder} if "folder" in inspect.signature(measure).parameters else {}
            for row in measure(**taken):
                print(f"    {row[0]}: ratio {row[1]:.2f}, goal {row[2]}", flush=True)
                yield Result.of(row)
    except Skipped as reason:
        print(f"    skipped: {reason}", flush=True)
        yield Result(name, None, "", f"skipped: {reason}")
    except Exception as error:
        traceback.print_exc()
        yield Result(name, None, "", f"FAILED: {type(error).__name__}")


def exit_code(results: Iterable[Result]) -> int:
    """As the first lines of this module say."""
    verdicts = {result.verdict.partition(":")[0] for result in results}
    return 1 if verdicts & {"MISSED", "FAILED"} else 3 if "skipped" in verdicts else 0


def _chosen(names: Iterable[str]) -> dict[Measure, str]:
    """What has to run for these figures, with the names it goes by."""
    called: dict[Measure, list[str]] = {}
    for name in names:
        called.setdefault(FIGURES[name], []).append(name)
    return {measure: ", ".join(of_it) for measure, of_it in called.items()}


def _listing() -> str:
    wrapper = textwrap.TextWrapper(78, initial_indent="  ", subsequent_indent=" " * 12)
    first_lines = ((names, (measure.__doc__ or "").partition("\n")[0]) for measure, names in _chosen(FIGURES).items())
    lines = [f"{names:9} {line}" for names, line in first_lines]
    return "figures:\n" + "\n".join(map(wrapper.fill, lines))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        epilog=_listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a figure of those below; none: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each side runs in a round")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the rows of P40, S14, S17 and S18, to try them"
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(FIGURES):
        parser.error(f"no figure is called {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    chosen = _chosen(name for name in FIGURES if not options.names or name in options.names)
    offered = {"rounds": options.rounds, "seconds": options.seconds, "scale": options.scale}
    results = [line for measure, names in chosen.items() for line in measured(names, measure, offered)]
    print(f"\n{'figure':32} {'ratio':>9}  {'goal':9}  verdict")
    for result in results:
        print(result)
    return exit_code(results)


if __name__ == "__main__":
    raise SystemExit(main())
