"""A test of the console that fails says what its browsers showed at that moment."""

from __future__ import annotations

from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    console = getattr(item, "funcargs", {}).get("console")
    if report.when == "call" and report.failed and console is not None:
        report.sections.append(("What the browsers showed", console.shown()))
    return report
