"""The one sentence in which this vendor refuses a body."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.sandbox.bodies import Failure
from app.sandbox.shapes import Shapes

SHAPES = Shapes(Path(__file__).parent)


def is_id(text: str) -> bool:
    """True of a whole number from 1 to 2^53-1, which is what `whole_id` of the shapes takes."""
    return text.isdigit() and 0 < int(text) < 2**53


def checked(shape: str, body: Any, *above: str) -> Any:
    """`body`, which stands below the names `above`.  Raises `Failure` 400 for the first field that is wrong."""
    for problem in SHAPES.problems(shape, body):
        way = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*above, *problem.path))
        raise Failure(400, f"{way.removeprefix('.') or 'the body'} {problem.rule}")
    return body
