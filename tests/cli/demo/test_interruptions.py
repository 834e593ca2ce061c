"""What asks the demo to end interrupts it once, and never between a process and the note of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from app.cli.demo.interruptions import interrupt_once, undisturbed

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of whoever runs the tests come back; none is ignored meanwhile."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_p41_the_demo_is_interrupted_once_however_many_signals_come() -> None:
    interrupt_once()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGHUP)
    for number in NUMBERS:
        signal.raise_signal(number)


def test_p41_what_comes_while_processes_are_started_or_ended_takes_effect_afterwards() -> None:
    done = []
    for number in NUMBERS:
        with pytest.raises(KeyboardInterrupt), undisturbed():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done.append(number)
        assert signal.getsignal(number) is signal.default_int_handler
    assert done == [*NUMBERS]
    with undisturbed():
        pass
