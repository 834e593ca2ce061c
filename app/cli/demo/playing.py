"""What every act of the demo is made of: steps that say what was seen, or what did not hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import requests

from app.sandbox.vendors.retailops import CallbackReply

Steps = Sequence[tuple[str, Callable[[], str]]]
"""What each step is called, and the step: it returns the sentence for the table or raises `Failed`."""


@dataclass
class Step:
    """One line of the result table."""

    name: str
    held: bool
    detail: str
    seconds: float


class Failed(Exception):
    """A step of the demo did not hold; the text says what was seen."""


def expect(is_so: bool, seen: str) -> None:
    if not is_so:
        raise Failed(seen)


def eventually(look: Callable[[], bool], what: str, patience_s: float = 40.0) -> float:
    begun = time.monotonic()
    while time.monotonic() - begun < patience_s:
        if look():
            return time.monotonic() - begun
        time.sleep(0.2)
    raise Failed(f"{what} did not happen within {patience_s:.0f} s")


def accepted(reply: CallbackReply) -> CallbackReply:
    expect(reply.status == 200, f"{reply.callback} answered {reply.status}")
    expect(not reply.problems, f"RetailOps would refuse the answer: {[item.message for item in reply.problems[:2]]}")
    return reply


def play(steps: Steps, show: Callable[[Step], None]) -> list[Step]:
    """The steps in order, up to the first that does not hold."""
    played: list[Step] = []
    for name, act in steps:
        begun = time.monotonic()
        try:
            step = Step(name, True, act(), 0.0)
        except (Failed, requests.RequestException, RuntimeError, StopIteration, KeyError) as error:
            step = Step(name, False, f"{type(error).__name__}: {error}", 0.0)
        step.seconds = round(time.monotonic() - begun, 2)
        played.append(step)
        show(step)
        if not step.held:
            break
    return played
