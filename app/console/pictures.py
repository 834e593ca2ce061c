"""Pictures of figures over time: where each bar, line and word of one stands.  The template draws them as SVG.

An axis begins at 0, and where nothing was measured there is a gap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 140, 44, 8, 18


@dataclass(frozen=True)
class Bar:
    """One bar; `is_bad` for what went wrong."""

    x: float
    y: float
    width: float
    height: float
    is_bad: bool = False


@dataclass(frozen=True)
class Trace:
    """One unbroken part of a line."""

    points: str
    is_second: bool = False


@dataclass(frozen=True)
class Tick:
    """A line across the picture, and its value."""

    y: float
    text: str


@dataclass(frozen=True)
class Label:
    """A moment below the picture."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True)
class Picture:
    """A picture, and the table that says the same."""

    name: str
    title: str
    said: str
    """The message in words."""
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    ticks: Sequence[Tick] = ()
    bars: Sequence[Bar] = ()
    traces: Sequence[Trace] = ()
    labels: Sequence[Label] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


def bars(
    name: str,
    title: str,
    said: str,
    moments: Sequence[datetime],
    good: Sequence[int],
    bad: Sequence[int],
    *,
    small: bool = False,
) -> Picture:
    """A bar for each moment: what went well, and on top of it what did not."""
    height, left = (44, 0) if small else (HEIGHT, LEFT)
    bottom = 1 if small else BOTTOM
    sums = [one + other for one, other in zip(good, bad, strict=True)]
    top = _round_up(max(sums, default=0))
    step = (WIDTH - left) / max(len(moments), 1)
    drawn = []
    for number, (one, other) in enumerate(zip(good, bad, strict=True)):
        base = float(height - bottom)
        for count, is_bad in ((one, False), (other, True)):
            if count:
                size = max(count / top * (height - bottom - (4 if small else TOP)), 1.0)
                base -= size
                drawn.append(Bar(_r(left + number * step + 1), _r(base), _r(max(step - 2, 1)), _r(size), is_bad))
    rows = [
        (_at(at), f"{one:,}", f"{other:,}") for at, one, other in zip(moments, good, bad, strict=True) if one or other
    ]
    ticks = [Tick(height - 0.5, "")] if small else _ticks(top, f"{top:,}", f"{top // 2:,}" if top > 1 else "")
    labels = [] if small else _labels(moments, step)
    return Picture(
        name, title, said, ("From (UTC)", "well", "not well"), rows, ticks, drawn, (), labels, WIDTH, height, left
    )


def lines(
    name: str,
    title: str,
    said: str,
    moments: Sequence[datetime],
    values: Sequence[float | None],
    written: Sequence[str],
    top_text: str,
    head: str,
) -> Picture:
    """A line through what was measured; `written` are the values as the table has them."""
    top = max((value for value in values if value is not None), default=0) or 1
    step = (WIDTH - LEFT) / max(len(moments), 1)
    traces: list[Trace] = []
    points: list[str] = []
    for number, value in enumerate([*values, None]):
        if value is None:
            if points:
                traces.append(Trace(" ".join(points if len(points) > 1 else _alone(points[0], step))))
            points = []
            continue
        y = HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)
        points.append(f"{_r(LEFT + (number + 0.5) * step)},{_r(y)}")
    rows = [(_at(at), text) for at, text in zip(moments, written, strict=True) if text]
    return Picture(
        name, title, said, ("From (UTC)", head), rows, _ticks(top, top_text, ""), (), traces, _labels(moments, step)
    )


def _alone(point: str, step: float) -> list[str]:
    """The line of a point without neighbours: as long as what was measured took."""
    x, _, y = point.partition(",")
    return [f"{_r(float(x) - step / 2)},{y}", f"{_r(float(x) + step / 2)},{y}"]


def _ticks(top: float, top_text: str, half_text: str) -> list[Tick]:
    low, high = float(HEIGHT - BOTTOM), float(TOP)
    found = [Tick(low, "0"), Tick(high, top_text)] if top else [Tick(low, "0")]
    return [*found, Tick(_r((low + high) / 2), half_text)] if half_text else found


def _labels(moments: Sequence[datetime], step: float) -> list[Label]:
    if not moments:
        return []
    is_short = moments[-1] - moments[0] <= timedelta(days=1, hours=1)
    form = "%H:%M" if is_short else "%d %b"
    last = len(moments) - 1
    chosen = {0: "start", last // 2: "middle", last: "end"}
    return [
        Label(
            _r(LEFT + (number + {"start": 0, "middle": 0.5, "end": 1}[anchor]) * step),
            f"{moments[number]:{form}}",
            anchor,
        )
        for number, anchor in chosen.items()
    ]


def _round_up(value: int) -> int:
    """The next number that is good to read on an axis."""
    if value <= 4:
        return max(value, 1)
    size = 10 ** math.floor(math.log10(value))
    return next(int(size * part) for part in (1, 2, 4, 5, 10) if size * part >= value)


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _r(value: float) -> float:
    return round(value, 1)
