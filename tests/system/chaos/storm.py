"""Hits the stage at random until told to end, and knows what has to stand up again afterwards."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.system.chaos.stage import FullStage

STARTING = "server starting"


class DatabaseServer(Protocol):
    """A database server of the run's own that can be stopped and started."""

    def stop(self, *, is_crash: bool) -> None: ...

    def start(self) -> None: ...


@dataclass
class Scene:
    """What faults play with, and the time they may take."""

    stage: FullStage
    database: DatabaseServer | None
    """None on SQLite."""
    skus: Sequence[str]
    """What the vendor may sell and count by itself."""
    played: Counter[str] = field(default_factory=Counter)
    under_way: set[str] = field(default_factory=set)
    """Faults that last and of which there is one at a time."""
    _beside: list[threading.Thread] = field(default_factory=list)
    _broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = {item["name"]: item["locationId"] for item in self.stage.vendor()["locations"]}

    @property
    def is_starting(self) -> bool:
        """True while the server was killed and does not answer yet."""
        return STARTING in self.under_way

    @property
    def is_hurried(self) -> bool:
        return self.stage.is_hurried

    def beside(self, name: str, act: Callable[[], None]) -> bool:
        """Let a fault last while others come; False, and nothing done, while one of this name is under way."""
        if name in self.under_way:
            return False
        self.under_way.add(name)

        def run() -> None:
            try:
                act()
            except Exception as error:
                self._broken.append(f"the run itself: {name}: {type(error).__name__}: {error}")
            finally:
                self.under_way.discard(name)

        self._beside.append(threading.Thread(target=run, name=name))
        self._beside[-1].start()
        return True

    def end(self) -> list[str]:
        """Wait for what still lasts; the faults of the run itself."""
        for thread in self._beside:
            thread.join(60)
        return self._broken


@dataclass(frozen=True)
class Fault:
    """One way to hurt; `play` returns whether it did."""

    name: str
    weight: int
    play: Callable[[Scene, random.Random], bool | None]
    is_possible: Callable[[Scene], bool] = lambda scene: True
    meaning: str = ""


class Storm:
    """Plays faults of a table, drawn by their weights."""

    def __init__(self, seed: int, scene: Scene, faults: Sequence[Fault]) -> None:
        self._rng = random.Random(f"{seed}:storm")
        self._scene = scene
        self._faults = [fault for fault in faults if fault.is_possible(scene)]

    def rage(self, seconds: float, is_enough: Callable[[], bool]) -> None:
        """On a machine that is busy otherwise up to four times as long, until enough has happened."""
        begun_at = time.monotonic()
        weights = [fault.weight for fault in self._faults]
        while (raged_s := time.monotonic() - begun_at) < seconds or (raged_s < 4 * seconds and not is_enough()):
            fault = self._rng.choices(self._faults, weights)[0]
            # Drawn apart, so that what one fault draws does not change which come after it.
            own = random.Random(self._rng.random())
            if fault.play(self._scene, own) is not False:
                self._scene.played[fault.name] += 1
            self._scene.stage.revive()
            time.sleep(self._rng.uniform(0.05, 0.6))

    def calm(self) -> list[str]:
        """All is well again; the faults of the run itself."""
        broken = self._scene.end()
        self._scene.stage.heal_vendor()
        self._scene.stage.revive()
        self._scene.stage.await_ready()
        return broken
