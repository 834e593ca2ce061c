"""What is wrong with a body on Rally's wire: a missing or wrong field is a problem, an unknown one a warning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from app.sandbox.bodies import Failure
from app.sandbox.shapes import Shapes

FOLDER = Path(__file__).parent
SHAPES = Shapes(FOLDER)


class Findings:
    """Problems by dotted path, and warnings; nothing in here quotes a value."""

    def __init__(self) -> None:
        self.problems: dict[str, list[str]] = {}
        self.warnings: list[str] = []

    def refuse(self, place: str, why: str) -> None:
        self.problems.setdefault(place, []).append(why)

    def warn(self, place: str, why: str) -> None:
        self.warnings.append(f"{place} {why}".lstrip())

    def raise_problems(self) -> None:
        """Raises `Failure` 422 for a request that has any."""
        if self.problems:
            raise Failure(422, "The given data was invalid.", self.problems)


def in_lines(problems: Mapping[str, Sequence[str]]) -> list[str]:
    """One line per problem."""
    return [f"{place} {why}".lstrip() for place, reasons in problems.items() for why in reasons]


def look_at(shape: str, value: object) -> Findings:
    """All there is to say of a whole body, as one of `shapes.json`."""
    found = Findings()
    for problem in SHAPES.problems(shape, value):
        say = found.warn if problem.is_unknown else found.refuse
        say(problem.place, problem.rule)
    return found
