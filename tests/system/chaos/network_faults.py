"""The network between us and the vendors: packets held for a while, connections lost, and none to be had.

They arrive within the vendor's `settle`, counted from when we close the socket, with what the vendor adds itself.
"""

from __future__ import annotations

import random
import time
from typing import Literal

from tests.system.chaos.storm import Scene

DIRECTIONS: tuple[tuple[Literal["calls", "answers"], ...], ...] = (("calls",), ("answers",), ("calls", "answers"))


def partition(scene: Scene, rng: random.Random) -> bool:
    """Packets are swallowed or late, sometimes while nobody can connect; some connections are gone for good then."""
    name = rng.choice(sorted(scene.stage.relays))
    relay = scene.stage.relays[name]
    directions, are_late, are_lost = rng.choice(DIRECTIONS), rng.random() < 0.3, rng.random() < 0.2
    is_for_all = rng.random() < 0.4
    seconds = rng.uniform(0.2, 2.3) if scene.is_hurried else rng.uniform(2.0, 15.0)
    is_refused = rng.random() < 0.25

    def hold() -> None:
        relay.hold(*directions, are_sent=are_late, is_for_all=is_for_all, resend_s=seconds)
        if is_refused:
            relay.refuse()
        injury = scene.stage.injuries.begin("late packets") if are_late else None
        time.sleep(seconds)
        if are_lost:
            relay.drop()
        relay.release()
        if injury:
            injury.ended_at = time.monotonic() + seconds

    return scene.beside(f"network to {name}", hold)


def drop_connections(scene: Scene, rng: random.Random) -> None:
    scene.stage.relays[rng.choice(sorted(scene.stage.relays))].drop()
