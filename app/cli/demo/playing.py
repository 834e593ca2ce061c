"""Scenarios: what happens to orders and goods at one vendor, in steps that say what was seen or what did not hold.

`channel demo` plays them for people, the tests of whole systems on processes and databases of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import requests

from app.sandbox.vendors.retailops import CallbackReply, RetailOps
from app.transport import straight

Steps = Sequence[tuple[str, Callable[[], str]]]
"""What each step is called, and the step: it returns the sentence for the table or raises `Failed`."""

Act = TypeVar("Act", bound=Callable[..., str])


@dataclass
class Step:
    """One line of the result table."""

    name: str
    held: bool
    detail: str
    seconds: float


class Failed(Exception):
    """A step did not hold; the text says what was seen."""


def step(name: str) -> Callable[[Act], Act]:
    """Makes a method a step of its scenario, called so."""

    def mark(act: Act) -> Act:
        vars(act)["step"] = name
        return act

    return mark


class Scenario:
    """Steps in the order they are written; each needs those before it.

    `retailops` calls the channel, `sandbox_url` is where the stand-in of the vendor listens.
    """

    def __init__(self, retailops: RetailOps, sandbox_url: str) -> None:
        self.ro = retailops
        self._sandbox = f"{sandbox_url}/sandbox"

    def steps(self) -> Steps:
        """Every step and its name."""
        acts = [getattr(self, name) for name, act in vars(type(self)).items() if hasattr(act, "step")]
        return [(act.step, act) for act in acts]

    def answered(self, callback: str, **fields: Any) -> CallbackReply:
        """The answer, which RetailOps would read.  Raises `Failed`."""
        reply = self.ro.call(callback, **fields)
        expect(reply.status == 200, f"{callback} answered {reply.status}")
        refused = [problem.message for problem in reply.problems[:2]]
        expect(not refused, f"RetailOps would refuse the answer: {refused}")
        return reply

    def done(self, callback: str, **fields: Any) -> CallbackReply:
        """The answer, which reports no error, nor a failure where it has a status.  Raises `Failed`."""
        reply = self.answered(callback, **fields)
        is_failed = reply.answer.get("status", "success") != "success"
        expect(not is_failed and not reply.codes("error"), f"{callback} failed with the events {reply.codes()}")
        return reply

    def seen(self, path: str = "state") -> dict[str, Any]:
        """What the vendor's people see: all the stand-in holds, or a part of it."""
        found: dict[str, Any] = straight.request("GET", f"{self._sandbox}/{path}", timeout=5).json()
        return found

    def at_vendor(self, path: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
        """What the vendor's people do.  Raises `Failed`."""
        reply = straight.request(method, f"{self._sandbox}/{path}", json=body, timeout=30)
        expect(reply.ok, f"the stand-in says {reply.text}")
        answer: dict[str, Any] = reply.json()
        return answer


def expect(is_so: bool, seen: str) -> None:
    if not is_so:
        raise Failed(seen)


def record(number: int, feed: dict[str, Any], kind: str = "product") -> dict[str, Any]:
    """A record of a catalog_push."""
    return {"object_data": {"id": number, "source_type": kind}, "feed_data": feed}


def eventually(look: Callable[[], bool], what: str, patience_s: float = 40.0) -> float:
    """The seconds until it was so.  Raises `Failed`."""
    begun = time.monotonic()
    while time.monotonic() - begun < patience_s:
        if look():
            return time.monotonic() - begun
        time.sleep(0.2)
    raise Failed(f"{what} did not happen within {patience_s:.0f} s")


def play(steps: Steps, show: Callable[[Step], None]) -> list[Step]:
    """The steps in order, up to the first that does not hold."""
    played: list[Step] = []
    for name, act in steps:
        begun = time.monotonic()
        try:
            played.append(Step(name, True, act(), 0.0))
        except (Failed, requests.RequestException, RuntimeError, StopIteration, KeyError) as error:
            played.append(Step(name, False, f"{type(error).__name__}: {error}", 0.0))
        played[-1].seconds = round(time.monotonic() - begun, 2)
        show(played[-1])
        if not played[-1].held:
            break
    return played
