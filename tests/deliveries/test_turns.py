"""Who has a thread: half of them for one vendor at most, calls ahead for quick ones only, observers apart."""

from __future__ import annotations

from app.deliveries.slots import AHEAD, Claimed, SlotScheduler, Stream
from app.records.deliveries import Delivery

FIRST, SECOND, OBSERVER = ("one", "rally"), ("two", "pipe17"), ("one", "retailrocket")


class Desk:
    """Four threads; `begun` are the calls that were given one, in order."""

    def __init__(self) -> None:
        self.begun: list[Claimed] = []
        self.turns = SlotScheduler(4, {OBSERVER}, self.begun.append)

    def claim(self, *streams: Stream, due: int = 100) -> None:
        room = self.turns.budget(streams)
        for stream in room.in_order(stream for stream in streams if stream in room.streams):
            at_once, ahead = room.of(stream)
            ahead = min(due, at_once + ahead) - min(due, at_once)
            at_once = min(due, at_once)
            room.take(stream, at_once, ahead)
            calls = [Claimed(Delivery(0, *stream, "v", "l", 1, None, "owed", 0, False, None, ""), "t", 0.0)] * due
            self.turns.begin(calls[:at_once], calls[at_once : at_once + ahead])

    def inside(self, stream: Stream) -> int:
        return sum(call.stream == stream for call in self.begun)

    def end(self, stream: Stream, *, is_quick: bool) -> None:
        call = next(call for call in self.begun if call.stream == stream)
        self.begun.remove(call)
        if following := self.turns.end(call, is_quick=is_quick):
            self.begun.append(following)


def test_r14_one_vendor_has_half_of_the_threads_and_an_observer_one_of_its_own() -> None:
    desk = Desk()
    desk.claim(FIRST, OBSERVER)
    assert (desk.inside(FIRST), desk.inside(OBSERVER)) == (2, 1)
    desk.claim(FIRST, SECOND, OBSERVER)
    assert (desk.inside(FIRST), desk.inside(SECOND), desk.inside(OBSERVER)) == (2, 2, 1)
    assert desk.turns.budget([FIRST, SECOND, OBSERVER]).streams == []


def test_r14_what_is_claimed_ahead_for_a_quick_vendor_waits_for_its_turn() -> None:
    desk = Desk()
    desk.claim(FIRST)
    desk.end(FIRST, is_quick=True)
    assert desk.turns.budget([FIRST]).of(FIRST) == (1, 2 * AHEAD)
    desk.claim(FIRST)
    assert desk.inside(FIRST) == 2, "however many wait"
    for _ in range(2 * AHEAD):
        desk.end(FIRST, is_quick=True)
        assert desk.inside(FIRST) == 2
    desk.end(FIRST, is_quick=True)
    assert desk.inside(FIRST) == 1


def test_r14_nothing_is_claimed_ahead_for_a_slow_vendor_and_all_of_it_can_be_given_back() -> None:
    desk = Desk()
    desk.claim(FIRST)
    desk.end(FIRST, is_quick=True)
    desk.claim(FIRST)
    desk.end(FIRST, is_quick=False)
    assert desk.inside(FIRST) == 2 and desk.turns.budget([FIRST]).of(FIRST) == (0, 0)
    assert len(desk.turns.take_back()) == 2 * AHEAD - 1 and desk.turns.take_back() == []
    desk.end(FIRST, is_quick=False)
    assert desk.inside(FIRST) == 1 and desk.turns.budget([FIRST]).of(FIRST) == (1, 0)


def test_r14_two_quick_vendors_with_much_to_do_leave_a_third_its_part_of_the_threads() -> None:
    desk = Desk()
    third = ("three", "rally")
    for _ in range(3):
        desk.claim(FIRST, SECOND)
        desk.end(FIRST, is_quick=True)
        desk.end(SECOND, is_quick=True)
    assert desk.inside(FIRST) == desk.inside(SECOND) == 2
    for number in range(4 * AHEAD + 1):
        desk.claim(FIRST, SECOND, third)
        if desk.inside(third):
            break
        desk.end((FIRST, SECOND)[number % 2], is_quick=True)
    assert desk.inside(third) == 1


def test_p15_a_busy_shop_never_keeps_a_call_of_199_others_waiting() -> None:
    desk = Desk()
    others = [(f"shop {number}", "rally") for number in range(199)]
    for other in others:
        desk.claim(FIRST, due=100)
        if desk.inside(FIRST) == 2:
            desk.end(FIRST, is_quick=True)
        desk.claim(other, due=1)
        assert desk.inside(other) == 1 and desk.inside(FIRST) <= 2
        desk.end(other, is_quick=True)
