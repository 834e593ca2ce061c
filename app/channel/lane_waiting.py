"""Makes a command that the vendor decides wait for earlier calls of its order that only our own rate delays (R14).

Such a command cannot be owed (R10), and behind a waiting lane it is not begun at all (R12): without this wait RetailOps
would be sent a failure that only this server's own rate has caused.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Final

from app.channel.services import CallbackRequest
from app.gateways.calls import Verb
from app.records import leases, outbox
from app.records.outbox import Front

KEPT_S: Final = 2.5
"""What is left of the callback's budget for the command itself."""

LOOK_EVERY_S: Final = 0.1

MOST_WAITING: Final = 4
"""Threads of a process that may wait here, so that others stay for callbacks that need no vendor."""

THROTTLED: Final = ("", "RATE_LIMITED")
"""Codes of a call that was not tried yet, or found no free call of our rate."""

_room = threading.BoundedSemaphore(MOST_WAITING)


def await_own_throttle(request: CallbackRequest, gateway: str, order_refnum: str, verb: str) -> None:
    """Return when the order's lane is free, when waiting would not free it, or when the budget is nearly over.

    `verb` is the command's own: behind another of its kind it is a repeat, which has its own rule (R9).
    Raises `DatabaseUnavailable`.
    """
    declared = request.services.gateways[(request.channel.key, gateway)].commands.verbs.get(verb)
    if not isinstance(declared, Verb) or declared.decided_by != "vendor" or not _room.acquire(blocking=False):
        return
    try:
        while (left_s := request.deadline.left_s() - KEPT_S) > 0:
            with request.services.database.read() as connection:
                front = outbox.front_of_lane(connection, request.channel.key, gateway, order_refnum)
            now = request.services.clock()
            if front is None or front.verb == verb or not _is_throttled(front, now, now + timedelta(seconds=left_s)):
                return
            time.sleep(min(LOOK_EVERY_S, left_s))
    finally:
        _room.release()


def _is_throttled(front: Front, now: datetime, until: datetime) -> bool:
    """True where the call was never sent, and is under way now or due in time."""
    is_untried = front.state == "owed" and front.attempts == 0 and front.last_code in THROTTLED
    is_under_way = leases.is_held(front.lease_until, now)
    return is_untried and (is_under_way or front.next_try_at <= until)
