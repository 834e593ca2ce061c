"""All tests of a plan against one server, one after the other or several at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from app.cli.verify.causes import causes_of
from app.cli.verify.plan import Case, Plan
from app.cli.verify.report import Report, Result, new_report
from app.cli.verify.target import Target
from app.cli.verify.trial import Examiner


def run(
    plan: Plan,
    target: Target,
    key: str,
    on_result: Callable[[Result], None],
    *,
    jobs: int = 1,
    stop_on_error: bool = False,
    log: Callable[[str], None] = lambda _: None,
) -> Report:
    """Examine every case; results are handed on in the plan's order as soon as they are there."""
    examiner = Examiner(target, key, log)
    begun = time.perf_counter()
    results = []
    for result in _results(plan, examiner, jobs, stop_on_error):
        results.append(result)
        on_result(result)
    ms = round((time.perf_counter() - begun) * 1000)
    return new_report(results, causes_of(results), list(plan.without_fixture), ms, plan.doubts)


def _results(plan: Plan, examiner: Examiner, jobs: int, stop_on_error: bool) -> Iterator[Result]:
    stopping = threading.Event()

    def examine(case: Case) -> Result | None:
        if stopping.is_set():
            return None
        result = examiner.examine(case)
        if stop_on_error and not result.ok:
            stopping.set()
        return result

    with ThreadPoolExecutor(jobs) as pool:
        each = map if jobs == 1 else pool.map  # one after the other in this thread, which Ctrl-C ends at once
        try:
            yield from filter(None, each(examine, plan.cases))
        finally:
            stopping.set()
