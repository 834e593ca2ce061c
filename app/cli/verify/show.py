"""A run for people, line by line while it goes on, and for build servers as JUnit XML."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.text import Text

from app.cli.terminal import new_table
from app.cli.verify.report import Check, Report, Result

_GROUPS = 12

_INDEX = re.compile(r"/[0-9]+(?=/|$)")


class Progress:
    """Prints each test as it ends: verdict, status, requests and time, and every failure with its place."""

    def __init__(self, out: Console, fixtures: list[str]) -> None:
        self._out = out
        self._width = max(map(len, fixtures), default=0)

    def head(self, base_url: str, key: str) -> None:
        """What is tried; `key` is its name, never itself."""
        address = re.sub(r"//[^/]*@", "//***@", base_url)
        self._out.print(f"channel verify {address} with {key}", soft_wrap=True)
        self._out.print(f"{'test':<{self._width}}  result  status  requests      ms  slowest")

    def show(self, result: Result) -> None:
        verdict = Text(f"{'ok' if result.ok else 'FAILED':<6}", "green" if result.ok else "bold red")
        slowest_ms = max((check.ms for check in result.checks), default=0)
        numbers = f"{result.status or '-':>6}  {len(result.checks):>8}  {result.ms:>6}  {slowest_ms:>7}"
        self._out.print(Text.assemble(f"{result.fixture:<{self._width}}  ", verdict, f"  {numbers}"), soft_wrap=True)
        told = [problem for check in result.checks for problem in check.problems]
        for unsent in [] if told else result.problems:
            self._line(f"    {unsent.message}  [{unsent.rule}]")
        for check in result.checks:
            if check.problems:
                self._line(f"    {check.name}: {check.method} {check.path} -> {_status(check)}, {check.ms} ms")
            for problem in check.problems:
                self._line(f"        {problem.message}  [{problem.rule}]")
        if result.untried:
            more = "1 more request" if result.untried == 1 else f"{result.untried} more requests"
            self._line(f"    not sent, as no answer came: {more} of this test")

    def sum_up(self, report: Report) -> None:
        for note in report.notes:
            self._line(note)
        for told in report.told:
            times = f"in {told.tests} test{'s' if told.tests > 1 else ''}"
            self._line(f"the server says {times}: {told.event_type} {told.code}: {told.message}")
        self._what_to_mend(report)
        totals = report.totals
        self._line(
            f"{totals.tests} tests, {totals.requests} requests in {totals.ms / 1000:.2f} s, "
            f"the slowest {totals.slowest_ms} ms"
        )
        self._line(verdict_of(totals.failed))

    def _what_to_mend(self, report: Report) -> None:
        """The same fault in many callbacks is one thing to mend."""
        groups: dict[tuple[str, str, str, str], list[str]] = {}
        for result in report.results:
            for check in result.checks:
                for problem in check.problems:
                    text = _without_place(problem.message, problem.pointer)
                    fault = (check.name, _INDEX.sub("/*", problem.pointer), problem.rule, text)
                    groups.setdefault(fault, []).append(result.callback)
        if len(groups) == sum(map(len, groups.values())):
            return
        table = new_table("What to mend", "Times", "Request", "Callback", "Place", "Fault", "Rule")
        for (name, place, rule, text), found in sorted(groups.items(), key=lambda group: -len(group[1]))[:_GROUPS]:
            callbacks = list(dict.fromkeys(found))
            more = f" and {len(callbacks) - 1} more" if len(callbacks) > 1 else ""
            table.add_row(str(len(found)), name, f"{callbacks[0]}{more}", place, text, rule)
        self._out.print()
        self._out.print(table)
        if len(groups) > _GROUPS:
            self._line(f"and {len(groups) - _GROUPS} more, each listed above with its test")

    def _line(self, text: str) -> None:
        self._out.print(text, soft_wrap=True)


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
    words = [f"{told.event_type} {told.code}: {told.message} ({told.tests} tests)" for told in report.told]
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


def _without_place(message: str, pointer: str) -> str:
    return message.replace(f"{pointer}: ", "", 1) if pointer else message


def _clean(text: str) -> str:
    """Without the characters XML cannot hold."""
    return "".join(c for c in text if c in "\n\t" or (c >= " " and not "\ud800" <= c <= "\udfff" and c < "\ufffe"))
