"""Shows a run: for people by causes and, if requested, line by line; for build servers as JUnit XML."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import wrap
from xml.etree import ElementTree

from rich import progress
from rich.console import Console
from rich.text import Text

from app.cli.verify.causes import in_brief, in_short, in_words
from app.cli.verify.plan import Plan
from app.cli.verify.report import Cause, Check, Group, Report, Result

FIRST_LINES = 40
"""Within so many lines of 80 columns every cause has been named, whatever else there is."""

_HEAD_LINES = 4
"""Address, totals, and either in a second line."""

_REST_LINES = 3
"""Lines in which the causes of a group are named for which there is no room."""

_BULLET = " * "

_TITLES = {
    Group.FAILED: "The server fails, or gives no answer:",
    Group.THROWN_AWAY: "RetailOps would throw the whole answer away:",
    Group.KEYS: "Keys that are not refused as they have to be, or that come back:",
    Group.REST: "What else has to be mended:",
}


class Progress:
    """Prints a run: what is tried, then the causes of what failed, the worst first.

    While it goes on a terminal shows how far it is, and nothing of that stays.
    """

    def __init__(self, out: Console, plan: Plan, title: str) -> None:
        """`title` names what is tried, and the key by its name, never itself; on a quiet console nothing is shown."""
        self._out = out
        self._width = max((len(case.fixture.name) for case in plan.cases), default=0)
        self._bar = progress.Progress(
            progress.TextColumn("{task.completed} of {task.total} tests"), progress.BarColumn(), console=out,
            transient=True, disable=out.quiet or not out.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=len(plan.cases))
        self._line("channel verify " + re.sub(r"//[^/]*@", "//***@", title))

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def count(self, _: Result) -> None:
        """A test has ended."""
        self._bar.advance(self._task)

    def _show(self, result: Result) -> None:
        verdict = Text(f"{'ok' if result.ok else 'FAILED':<6}", "green" if result.ok else "bold red")
        slowest_ms = max((check.ms for check in result.checks), default=0)
        numbers = f"{result.status or '-':>6}  {len(result.checks):>8}  {result.ms:>6}  {slowest_ms:>7}"
        self._out.print(Text.assemble(f"{result.fixture:<{self._width}}  ", verdict, f"  {numbers}"), soft_wrap=True)
        faults = [problem for check in result.checks for problem in check.problems]
        for unsent in [] if faults else result.problems:
            self._line(f"    {unsent.message}  [{unsent.rule}]")
        for check in result.checks:
            if check.problems:
                self._line(f"    {check.name}: {check.method} {check.path} -> {_status(check)}, {check.ms} ms")
            for problem in check.problems:
                self._line(f"        {problem.message}  [{problem.rule}]")
        if result.untried:
            more = "1 more request" if result.untried == 1 else f"{result.untried} more requests"
            self._line(f"    not sent, as no answer came: {more} of this test")

    def sum_up(self, report: Report, *, is_whole: bool = False, hint: str = "") -> None:
        """The causes, within `FIRST_LINES` together with the head, then what else there is to say.

        `is_whole`: every test and every request that failed as well; `hint` says how to see those.
        """
        totals = report.totals
        causes = report.causes
        self._line(
            f"{totals.tests} tests, {totals.requests} requests in {totals.ms / 1000:.2f} s, "
            f"the slowest {totals.slowest_ms} ms"
            + (f"; {totals.failed} failed, of {len(causes)} cause{'s' if len(causes) > 1 else ''}" if causes else "")
        )
        if causes:
            self._causes(causes, len({result.callback for result in report.results}))
        if is_whole:
            self._line(f"{'test':<{self._width}}  result  status  requests      ms  slowest")
            for result in report.results:
                self._show(result)
        for note in report.notes:
            self._line(note)
        for event in report.events:
            times = f"in {event.tests} test{'s' if event.tests > 1 else ''}"
            self._line(f"the server says {times}: {event.event_type} {event.code}: {event.message}")
        if causes and hint:
            self._line(hint)
        self._line(verdict_of(totals.failed))

    def _causes(self, causes: list[Cause], callbacks: int) -> None:
        """By group, each cause in full; if that needs too much room, in brief; the rest by its places alone."""
        groups = {group: [cause for cause in causes if cause.group == group] for group in Group}
        groups = {group: members for group, members in groups.items() if members}
        room = FIRST_LINES - _HEAD_LINES - len(groups)
        for words in (in_words, in_brief):
            lines = {group: [words(cause, callbacks) for cause in members] for group, members in groups.items()}
            needs = {group: sum(map(self._height, lines[group])) for group in groups}
            if sum(needs.values()) <= room:
                break
        else:
            needs = _shares(needs, room - _REST_LINES * len(groups))
        for group, members in groups.items():
            self._out.print(Text(_TITLES[group], "bold"), soft_wrap=True)
            left = needs[group]
            for position, line in enumerate(lines[group]):
                left -= self._height(line)
                if left < 0:
                    self._item(self._rest(members[position:]))
                    break
                self._item(line)

    def _rest(self, causes: list[Cause]) -> str:
        short = f"and {len(causes)} more: {'; '.join(map(in_short, causes))}"
        most = _REST_LINES * (self._columns() - 20)
        return short if len(short) <= most else short[:most] + "..."

    def _columns(self) -> int:
        """The width a reader has: a pipe is read in a window too."""
        return self._out.width if self._out.is_terminal else 80

    def _height(self, line: str) -> int:
        return len(wrap(line, self._columns() - len(_BULLET), break_long_words=True))

    def _item(self, line: str) -> None:
        if not self._out.is_terminal:
            return self._line(f"{_BULLET}{line}")
        for text in wrap(line, self._columns(), initial_indent=_BULLET, subsequent_indent=" " * len(_BULLET)):
            self._line(text)

    def _line(self, text: str) -> None:
        self._out.print(text, soft_wrap=True)


def _shares(needs: dict[Group, int], room: int) -> dict[Group, int]:
    """How many lines each group gets: all it needs if that is no more than its part, the others more by that."""
    shares = {}
    for position, (group, need) in enumerate(sorted(needs.items(), key=lambda item: item[1])):
        shares[group] = min(need, room // (len(needs) - position))
        room -= shares[group]
    return shares


def verdict_of(failed: int) -> str:
    """The last line, in the words of the SDK's tool."""
    return f"Local verify experienced {failed} errors" if failed else "local verify was successful"


def junit(report: Report) -> bytes:
    """One suite, one case per request; a test that sent nothing is one case."""
    suite = ElementTree.Element("testsuite", name="channel verify", time=f"{report.totals.ms / 1000:.3f}")
    failures = 0
    for result in report.results:
        unsent = [] if result.checks else [Check("the fixture", "", "", "", None, 0, result.problems)]
        for check in [*result.checks, *unsent]:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=result.callback,
                name=f"{result.fixture}: {check.name}",
                time=f"{check.ms / 1000:.3f}",
            )
            if check.problems:
                failures += 1
                first = _clean(check.problems[0].message)
                failure = ElementTree.SubElement(case, "failure", type=check.problems[0].rule, message=first)
                request = f"{check.method} {check.path} -> {_status(check)}, expected {check.expected}\n"
                lines = [f"{problem.message}  [{problem.rule}]" for problem in check.problems]
                failure.text = _clean(request + "\n".join(lines))
    words = [f"{event.event_type} {event.code}: {event.message} ({event.tests} tests)" for event in report.events]
    ElementTree.SubElement(suite, "system-out").text = _clean("\n".join([*report.notes, *words]))
    suite.set("tests", str(len(suite) - 1))
    suite.set("failures", str(failures))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def write_junit(report: Report, file: Path) -> None:
    """Raises `OSError`."""
    file.write_bytes(junit(report))


def _status(check: Check) -> str:
    return "no answer" if check.status is None else str(check.status)


def _clean(text: str) -> str:
    """Without the characters XML cannot hold."""
    return "".join(c for c in text if c in "\n\t" or (c >= " " and not "\ud800" <= c <= "\udfff" and c < "\ufffe"))
