"""`python -m tests.system.chaos --seconds 60 --seed 7 [--database sqlite|postgresql]` plays a run and reports.

It ends with 0 only if, once all is well again, the vendors' books equal what was answered.  A run is drawn from its
seed as far as threads allow.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.system.chaos.faults import TABLE
from tests.system.chaos.release import unpacked
from tests.system.chaos.result import Result
from tests.system.chaos.run import database_of, run
from tests.system.chaos.stage import stage_of
from tests.system.chaos.storm import Fault


def main() -> int:
    given = _parser().parse_args()
    seeds = given.seeds or [given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)]
    faults = [fault for fault in TABLE if fault.name in (given.faults or _NAMES) and fault.name not in given.without]
    bad = []
    for seed in seeds:
        for kind in _NAMES_OF_DATABASES if given.database == "both" else (given.database,):
            try:
                result = _play(given, kind, seed, faults)
            except LookupError as error:
                if type(error) is not LookupError:  # a fault of the run itself, such as a KeyError
                    raise
                print(error)
                return 2
            print("\n".join(result.lines()), flush=True)
            if result.violations:
                bad.append(f"{seed} on {kind}")
    if len(seeds) > 1 or given.database == "both":
        print(f"NOT as promised: {', '.join(bad)}" if bad else f"{len(seeds)} seeds, all as promised")
    return 1 if bad else 0


_NAMES = tuple(fault.name for fault in TABLE)
_NAMES_OF_DATABASES = ("sqlite", "postgresql")


def _parser() -> argparse.ArgumentParser:
    played = "\n".join(f"  {fault.name:<15}{fault.meaning}" for fault in TABLE)
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.chaos", description=__doc__, epilog=f"faults:\n{played}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=60.0, help="How long the storm lasts.  Default 60.")
    parser.add_argument("--seed", type=int, default=None, help="Repeat a run's random choices.")
    parser.add_argument("--seeds", type=_numbers, help="Several runs: 3,7,9 or 1-8.")
    parser.add_argument("--database", choices=(*_NAMES_OF_DATABASES, "both"), default="sqlite")
    parser.add_argument("--deliveries", choices=("inline", "worker"), default=None, help="Default: the seed says.")
    parser.add_argument("--faults", type=_names, default=(), help="Play only these, separated by commas.")
    parser.add_argument("--without", type=_names, default=(), help="Play all but these.")
    parser.add_argument(
        "--old-release", nargs="?", const="", metavar="COMMIT",
        help="The second worker runs this commit's code; without one, the last release's.",
    )  # fmt: skip
    parser.add_argument("--unhurried", action="store_true", help="The product's own leases and pauses; takes minutes.")
    parser.add_argument("--keep", type=Path, help="Folder to keep logs and records in.")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = set(names) - set(_NAMES)
    if unknown:
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(sorted(unknown))}")
    return names


def _numbers(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if dash else [int(number) for number in text.split(",")]


def _play(given: argparse.Namespace, kind: str, seed: int, faults: list[Fault]) -> Result:
    deliver = given.deliveries or ("inline", "worker")[seed % 2]
    mixed = ", the second worker of an earlier release" if given.old_release is not None else ""
    print(f"seed {seed}, {given.seconds:.0f} s, {kind}, deliveries {deliver}{mixed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="channel-chaos-") as scratch:
        folder = given.keep / f"{kind}-{seed}" if given.keep else Path(scratch)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with (
            database_of(kind, folder) as (url, server),
            stage_of(folder, url, deliver, is_hurried=not given.unhurried) as stage,
        ):
            if given.old_release is not None:
                stage.old_release = unpacked(given.old_release, folder / "release")
            stage.start()
            patience_s = 400.0 if given.unhurried else 90.0
            result = run(
                stage, seconds=given.seconds, seed=seed, database=server, faults=faults, quiet_within_s=patience_s,
                least_lives=int(given.seconds),
            )  # fmt: skip
    if result.lives.total() < given.seconds:
        result.violations.append(f"only {result.lives.total()} lives were played: too few to say anything")
    return result


if __name__ == "__main__":
    sys.exit(main())
