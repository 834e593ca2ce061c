"""Makes the calls of one batch of facts several at a time, for a vendor that takes one fact a call (R13, R14)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import TypeVar

from app import caller
from app.deliveries.work_threads import WorkThreads
from app.errors import GatewayError

CALLS_EACH = 4
"""One more thread begins for so many calls of a batch: each has a connection of its own to the vendor."""

Result = TypeVar("Result")
Item = TypeVar("Item")

log = logging.getLogger(__name__)


class ParallelCalls:
    """The calls of one batch: on the thread that asks for them, and on up to `at_once` - 1 others of `threads`.

    Nothing waits for a thread: where all of them are busy with other batches, fewer calls are under way together.
    """

    def __init__(self, threads: WorkThreads, at_once: int, is_stopping: Callable[[], bool]) -> None:
        self._threads = threads
        self._at_once = at_once
        self._is_stopping = is_stopping
        self.untouched: set[str] = set()
        """Keys of the items for which no call that may change anything has begun."""

    def send_each(
        self, send: Callable[[Item], Result], items: Mapping[str, Item], known: Iterable[Result] = ()
    ) -> list[Result]:
        """See `calls.one_by_one`.  After a failure, or when the process stops, no further call begins.

        Those under way end, and their results count.  Each item is given to `send` once.
        """
        found, failures, left, lock = list(known), list[Exception](), iter(items.items()), threading.Lock()
        self.untouched.update(items)

        def next_item() -> tuple[str, Item] | None:
            with lock:
                return None if failures or self._is_stopping() else next(left, None)

        def work() -> None:
            while (taken := next_item()) is not None:
                key, item = taken
                writes = caller.vendor_writes.get()
                try:
                    found.append(send(item))
                except Exception as error:
                    failures.append(error)
                    if caller.vendor_writes.get() == writes:
                        return
                self.untouched.discard(key)

        others = min(self._at_once, -(-len(items) // CALLS_EACH)) - 1
        helpers: list[Future[None]] = []
        with suppress(RuntimeError):  # the system gives no thread: fewer calls are under way together
            for _ in range(others):
                helper = Future[None]()
                self._threads.submit(partial(_help, helper, copy_context(), work))
                helpers.append(helper)
        work()
        for helper in helpers:
            if not helper.cancel():
                helper.result()
        if failures and not found:
            raise failures[0]
        for failure in failures:
            if not isinstance(failure, GatewayError):
                log.error("a batch of facts broke off inside this server", exc_info=failure)
        return found


def _help(helper: Future[None], context: Context, work: Callable[[], None]) -> None:
    """Unless the batch was over before this thread was free."""
    if helper.set_running_or_notify_cancel():
        try:
            context.run(work)
        finally:
            helper.set_result(None)
