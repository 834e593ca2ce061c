"""Our own processes: killed, stopped for longer than a lease, and with a wall clock that is wrong."""

from __future__ import annotations

import random
import time

from tests.system.chaos.stage import DAY_S
from tests.system.chaos.storm import STARTING, Scene


def kill_web_process(scene: Scene, rng: random.Random) -> bool:
    return not scene.is_starting and scene.stage.kill_one_web_process(rng.randrange(8))


def kill_server(scene: Scene, rng: random.Random) -> bool:
    """Not while it starts, or a busy machine would see nothing but starts."""
    if scene.is_starting:
        return False
    scene.stage.kill("server")
    time.sleep(rng.uniform(0.0, 0.5))
    scene.stage.revive()
    return scene.beside(STARTING, scene.stage.await_ready)


def kill_worker(scene: Scene, rng: random.Random) -> None:
    scene.stage.kill(rng.choice(scene.stage.worker_names))
    time.sleep(rng.uniform(0.0, 0.5))


def stop_process(scene: Scene, rng: random.Random) -> bool:
    """SIGSTOP for longer than its lease, then SIGCONT: it goes on in the middle of what it was doing."""
    movers = scene.stage.movers()
    if not movers or scene.is_starting:
        return False
    process = movers[rng.randrange(len(movers))]
    return scene.beside("stopped process", lambda: scene.stage.stand_still(process, _stop_s(scene, rng)))


def stop_at_send(scene: Scene, rng: random.Random) -> bool:
    """The same between the last look at a lease and the first byte of a call, where it does most harm."""
    return scene.beside("stopped process", lambda: scene.stage.stand_still_at_send(_stop_s(scene, rng)))


def _stop_s(scene: Scene, rng: random.Random) -> float:
    return rng.uniform(0.5, 2.5) + scene.stage.lease_s


def set_clock(scene: Scene, rng: random.Random) -> bool:
    """The second worker's clock is wrong by up to two minutes, or by a day for a moment."""
    wrong_s = rng.choice((-120, -30, 30, 120, DAY_S, -DAY_S))
    seconds = rng.uniform(1.0, 3.0) if abs(wrong_s) == DAY_S else rng.uniform(3.0, 8.0)

    def be_wrong() -> None:
        scene.stage.set_clock(wrong_s)
        time.sleep(seconds)
        scene.stage.set_clock(0)

    return scene.beside("wrong clock", be_wrong)
