"""Our own processes: killed, stopped for longer than a lease, and with a wall clock that is wrong."""

from __future__ import annotations

import random
import time

from tests.system.chaos.records import await_claim
from tests.system.chaos.stage import DAY_S
from tests.system.chaos.storm import Scene


def kill_web_process(scene: Scene, rng: random.Random) -> None:
    scene.stage.kill_one_web_process(rng.randrange(8))


def kill_server(scene: Scene, rng: random.Random) -> None:
    scene.stage.kill("server")
    time.sleep(rng.uniform(0.0, 0.5))


def kill_worker(scene: Scene, rng: random.Random) -> None:
    scene.stage.kill(rng.choice(scene.stage.worker_names))
    time.sleep(rng.uniform(0.0, 0.5))


def stop_process(scene: Scene, rng: random.Random) -> bool:
    """SIGSTOP for longer than its lease, then SIGCONT: it goes on in the middle of what it was doing.

    Mostly just when something was claimed, for it matters most between a claim and the call.
    """
    choice, seconds = rng.random(), rng.uniform(0.5, 2.5) + scene.stage.lease_s
    is_aimed = rng.random() < 0.8

    def stand_still() -> None:
        movers = scene.stage.movers()
        if movers:
            if is_aimed:
                await_claim(scene.stage.database_url)
            scene.stage.stand_still(movers[int(choice * len(movers))], seconds)

    return scene.beside("stopped process", stand_still)


def set_clock(scene: Scene, rng: random.Random) -> bool:
    """The second worker's clock is wrong by up to two minutes, or by a day for a moment."""
    wrong_s = rng.choice((-120, -30, 30, 120, DAY_S, -DAY_S))
    seconds = rng.uniform(1.0, 3.0) if abs(wrong_s) == DAY_S else rng.uniform(3.0, 8.0)

    def be_wrong() -> None:
        scene.stage.set_clock(wrong_s)
        time.sleep(seconds)
        scene.stage.set_clock(0)

    return scene.beside("wrong clock", be_wrong)
