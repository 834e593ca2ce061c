"""Once all is well: wait until nothing is owed, ask everything once more, and compare both vendors with the answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from app.sandbox.vendors.retailops import RetailOps
from tests.system.books import Books, Request, Vendor, changed, compare
from tests.system.chaos.callers import REPEATABLE, send
from tests.system.chaos.records import await_quiet, bodies_left, faults_in_logs, parked
from tests.system.chaos.result import Result
from tests.system.stage import Stage

VOICES = 8

Voice = Callable[[], RetailOps]


def send_until_answered(voice: Voice, books: Books, give_up_at: float) -> None:
    """Every command that had no 200 yet."""

    def insist(caller: RetailOps, request: Request) -> None:
        while not request.answers and time.monotonic() < give_up_at:
            if send(caller, books, request) is not None:
                time.sleep(0.3)

    _in_parallel(voice, insist, books.unanswered())
    for request in books.unanswered():
        books.violate(f"never answered although all is well: {request.said()}")


def repeat_all(voice: Voice, books: Books) -> None:
    """Every command once more, but those that were surely refused."""
    refused = [request for request in books.of("order_cancel") if request.was_surely_refused]
    repeated = [request for request in books.of(*REPEATABLE) if request not in refused]
    _in_parallel(voice, lambda caller, request: send(caller, books, request), repeated)
    for request in repeated:
        if request.callback != "order_acknowledge" and request.is_accepted and not request.answers[-1].is_accepted:
            books.violate(f"accepted, and refused at last: {request.said()}")


def judge(
    stage: Stage, books: Books, at_first: Vendor, result: Result, give_up_at: float,
    may_be_older: Callable[[datetime], bool] = lambda at: False,
) -> None:  # fmt: skip
    """Pipe17: compare, repeat everything, and see that nothing changed and no doubt is left."""
    result.violations += await_quiet(stage.database_url, give_up_at)
    quiet = Vendor.read(stage.vendor())
    waiting = [(item.lane, item.verb, item.code) for item in parked(stage.database_url, "pipe17")]
    result.violations += compare(books, quiet, at_first, waiting, may_be_older)
    repeat_all(stage.retailops, books)
    result.violations += await_quiet(stage.database_url, give_up_at + 15)
    after = Vendor.read(stage.vendor())
    undecided = {request.refnums[0] for request in books.of("order_cancel") if not request.is_accepted}
    again = {request.refnums[0] for request in books.of("order_cancel") if len(request.answers) > 1}
    result.violations += changed(quiet, after, lambda refnum: refnum in undecided | again)
    result.violations += compare(books, after, at_first, waiting, may_be_older)
    result.violations += books.violations
    result.violations += faults_in_logs(stage)
    result.violations += bodies_left(stage.database_url)
    result.violations = list(dict.fromkeys(result.violations))
    result.log_tail = stage.log_tail("server")
    result.parked = waiting
    result.older_figures = sum(1 for _ in after.older_levels())
    result.fulfilments = sum(map(len, after.fulfillments.values()))
    count_answers(books, result)
    if result.saved_by_vendor:
        result.violations.append(f"{result.saved_by_vendor} creates were sent twice and only the vendor noticed")


def count_answers(books: Books, result: Result) -> None:
    """Add the statuses and events of all answers."""
    result.statuses.update(books.statuses)
    result.forgotten += books.forgotten
    for request in books.requests:
        for answer in request.answers:
            result.events.update(set(answer.codes))


def _in_parallel(voice: Voice, act: Callable[[RetailOps, Request], object], asked: list[Request]) -> None:
    """Each voice has its share, in order."""

    def speak(share: list[Request]) -> None:
        caller = voice()
        for request in share:
            act(caller, request)
        caller.close()

    with ThreadPoolExecutor(VOICES) as pool:
        list(pool.map(speak, [asked[at::VOICES] for at in range(VOICES)]))
