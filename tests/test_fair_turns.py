"""Turns for what a process has little of: one channel's flood costs another one turn (P15)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from app.fair_turns import FairTurns, NestedTurn, TurnTimeout
from tests.waiting import eventually


class Held:
    """A turn in a thread of its own, held until it is let go."""

    def __init__(self, turns: FairTurns, channel: str, order: list[str]) -> None:
        self.has_turn = threading.Event()
        self._let_go = threading.Event()

        def hold() -> None:
            with turns.turn(channel, 10):
                self.has_turn.set()
                order.append(channel)
                self._let_go.wait(10)

        self._thread = threading.Thread(target=hold)
        self._thread.start()

    def let_go(self) -> None:
        self._let_go.set()
        self._thread.join(10)


def waiting(turns: FairTurns) -> int:
    return sum(map(turns.waiting, ("flood", "quiet", "other")))


def test_p15_of_those_that_wait_the_channel_that_holds_least_and_was_served_longest_ago_goes_first() -> None:
    turns, order = FairTurns(1), []
    held = [Held(turns, "flood", order)]
    held[0].has_turn.wait(5)
    for channel in ("flood", "flood", "flood", "quiet", "other", "flood"):
        held.append(Held(turns, channel, order))
        eventually(lambda: waiting(turns) == len(held) - 1)
    for number in range(len(held)):
        eventually(lambda number=number: len(order) > number)
        next(each for each in held if each.has_turn.is_set() and not each._let_go.is_set()).let_go()
    assert order == ["flood", "quiet", "other", "flood", "flood", "flood", "flood"]
    assert turns.is_idle, "nothing is kept of channels that want nothing"


def test_p15_one_channel_never_has_the_last_turn_of_those_that_are_not_held_for_ever() -> None:
    turns, order = FairTurns(4), []
    with turns.turn("for ever", 0.0, is_lasting=True):
        flood = [Held(turns, "flood", order) for _ in range(3)]
        eventually(lambda: len(order) == 2 and waiting(turns) == 1)
        in_thread(lambda: take(turns, "quiet", 0.0)).result(5)
        for each in flood:
            each.let_go()
    assert turns.is_idle


def test_p15_one_channel_never_has_the_last_turn_and_is_overtaken_by_nobody_for_it() -> None:
    turns, order = FairTurns(3), []
    flood = [Held(turns, "flood", order) for _ in range(4)]
    eventually(lambda: len(order) == 2 and waiting(turns) == 2)
    with turns.turn("quiet", 0.0), pytest.raises(TurnTimeout):
        in_thread(lambda: take(turns, "flood", 0.05)).result(5)
    for each in flood:
        if each.has_turn.wait(5):
            each.let_go()
    assert order == ["flood"] * 4
    with turns.turn("flood", 0.0):
        in_thread(lambda: take(turns, "flood", 0.0)).result(5)


def test_a_second_turn_in_the_same_thread_is_a_fault_of_ours_and_nothing_is_lost_by_it() -> None:
    turns = FairTurns(3)
    with turns.turn("a", 1), pytest.raises(NestedTurn), turns.turn("b", 1):
        raise AssertionError("it was given")
    with turns.turn("b", 1):
        pass
    assert turns.is_idle


def test_turns_given_and_given_up_at_the_same_moment_are_all_there_again() -> None:
    turns, most = FairTurns(2), []
    inside = threading.Semaphore(2)

    def ask(number: int) -> None:
        for _ in range(50):
            try:
                with turns.turn(f"channel{number % 3}", 0.001):
                    assert inside.acquire(blocking=False)
                    time.sleep(0.0005)
                    inside.release()
                    most.append(number)
            except TurnTimeout:
                pass

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(ask, number) for number in range(8)]:
            done.result(30)
    assert most and turns.is_idle
    with turns.turn("a", 0):
        in_thread(lambda: take(turns, "b", 0.0)).result(5)


def take(turns: FairTurns, channel: str, wait_s: float) -> None:
    with turns.turn(channel, wait_s):
        pass


def in_thread(work: Callable[[], None]) -> Future[None]:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work)
