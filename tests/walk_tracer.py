"""Follows what one thread does through app/: files, calls from file to file and from room to room, SQL, decodings.

A room is the first folder under app/; a vendor's folder is a room of its own.  A call counts where the calling and the
called function stand in different files; code of libraries between the two does not count, nor do the domain and the
ground floor (the files directly under app/).
"""

from __future__ import annotations

import ast
import inspect
import io
import statistics
import sys
import threading
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from app.domain.commands import COMMANDS, OBSERVATIONS
from app.records.database import Database
from tests.retailops import Caller

APP = Path(__file__).resolve().parents[1] / "app"
OUTSIDE = ("sandbox", "cli")
"""Rooms whose code is no part of a walk: what the vendors do, and the commands."""

BODIES = {*COMMANDS.values(), *OBSERVATIONS.values()}
_NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
_NO_STATEMENTS = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "SAVEPOINT", "RELEASE")


def file_of(filename: str) -> str:
    """The path under app/, "" for what is no part of a walk."""
    path = Path(filename)
    if not path.is_relative_to(APP):
        return ""
    name = path.relative_to(APP).as_posix()
    return "" if name.startswith(tuple(f"{room}/" for room in OUTSIDE)) else name


def room_of(name: str) -> str:
    """The room of a file under app/, "" for the domain and the ground floor."""
    parts = name.split("/")
    if len(parts) == 1 or parts[0] == "domain":
        return ""
    if parts[0] == "gateways":
        inside = parts[2:] if parts[1] == "vendors" else parts[1:]
        return inside[0] if len(inside) > 1 else "gateways"
    return parts[0]


@dataclass
class Walk:
    """What was counted."""

    files: set[str] = field(default_factory=set)
    file_moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    room_moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    statements: list[str] = field(default_factory=list)
    transactions: int = 0
    decodings: int = 0
    """How often the body of a stored command was decoded."""

    @property
    def figures(self) -> tuple[int, int, int, int, int, int]:
        """Files, moves between files, moves between rooms, statements, transactions, decodings."""
        moves = self.file_moves.total(), self.room_moves.total()
        return len(self.files), *moves, len(self.statements), self.transactions, self.decodings

    def entered(self, frame: FrameType) -> None:
        """A function of app/ was called."""
        here, room = _place(frame)
        if not room or frame.f_code.co_name in ("<module>", "<genexpr>", "<lambda>"):
            return
        self.files.add(here)
        above = frame.f_back
        while above is not None:
            there, room_before = _place(above)
            if room_before:
                if there != here:
                    self.file_moves[(there, here)] += 1
                if room_before != room:
                    self.room_moves[(room_before, room)] += 1
                return
            above = above.f_back


_places: dict[str, tuple[str, str]] = {}


def _place(frame: FrameType) -> tuple[str, str]:
    """File and room, "" where the code counts for nothing."""
    filename = frame.f_code.co_filename
    found = _places.get(filename)
    if found is None:
        name = file_of(filename)
        found = _places[filename] = (name, room_of(name) if name else "")
    return found


@contextmanager
def traced(database: Database, monkeypatch: pytest.MonkeyPatch, *, follows_calls: bool = True) -> Iterator[Walk]:
    """Count what this thread does within the block; other threads, such as the journal's, do not count."""
    walk, mine = Walk(), threading.get_ident()
    decode = msgspec.json.decode

    generators: set[FrameType] = set()

    def profile(frame: FrameType, what: str, _: Any) -> None:
        if what != "call" or frame in generators:  # the later entries into a generator are no calls
            return
        if frame.f_code.co_flags & inspect.CO_GENERATOR:
            generators.add(frame)
        walk.entered(frame)

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if threading.get_ident() == mine and not statement.lstrip().upper().startswith(_NO_STATEMENTS):
            walk.statements.append(statement)

    def begin(_: Any) -> None:
        walk.transactions += threading.get_ident() == mine

    def counted(*args: Any, **named: Any) -> Any:
        if threading.get_ident() == mine and named.get("type") in BODIES:
            walk.decodings += 1
        return decode(*args, **named)

    with monkeypatch.context() as patched:
        patched.setattr(msgspec.json, "decode", counted)
        event.listen(database.engine, "before_cursor_execute", note)
        event.listen(database.engine, "begin", begin)
        before = sys.getprofile()
        if follows_calls:
            sys.setprofile(profile)
        try:
            yield walk
        finally:
            sys.setprofile(before)
            event.remove(database.engine, "before_cursor_execute", note)
            event.remove(database.engine, "begin", begin)


@contextmanager
def untraced() -> Iterator[None]:
    """What this thread does within the block is the tests' own, and no part of a walk."""
    before = sys.getprofile()
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(before)


def order_acts(retailops: Caller) -> dict[str, Callable[[dict[str, Any]], None]]:
    """The commands about one order that are followed and counted; each must be answered without a word."""

    def acknowledge(order: dict[str, Any]) -> None:
        assert retailops.acknowledge(order["channel_order_refnum"])["events"] == []

    def ship(order: dict[str, Any]) -> None:
        assert retailops.ship(order)["events"] == []

    def cancel(order: dict[str, Any]) -> None:
        assert retailops.cancel(order["channel_order_refnum"])["status"] == "success"

    return {"order_acknowledge": acknowledge, "order_shipment_submit": ship, "order_cancel": cancel}


@dataclass(frozen=True)
class Size:
    """Of the Python files of one room."""

    lines: int
    lines_of_code: int
    """Neither blank, nor of comments or docstrings alone."""
    function_lines: list[int]
    is_gateway: bool

    @property
    def median(self) -> float:
        return statistics.median(self.function_lines) if self.function_lines else 0.0


def sizes() -> dict[str, Size]:
    """By room, the domain among them; "" is the ground floor.  Migrations are history, and are not counted."""
    files: dict[str, list[Path]] = {}
    for path in sorted(APP.rglob("*.py")):
        name = path.relative_to(APP).as_posix()
        if name.startswith("records/migrations/versions/"):
            continue
        files.setdefault(room_of(name) or ("domain" if name.startswith("domain/") else ""), []).append(path)
    return {room: _size(paths) for room, paths in sorted(files.items())}


def _size(paths: list[Path]) -> Size:
    texts = [path.read_text() for path in paths]
    functions = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lines, of_code = (sum(counted(text) for text in texts) for counted in (_lines, _lines_of_code))
    return Size(lines, of_code, functions, paths[0].is_relative_to(APP / "gateways"))


def _lines(text: str) -> int:
    return text.count("\n")


def _lines_of_code(text: str) -> int:
    docstrings = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    of_code = (range(token.start[0], token.end[0] + 1) for token in tokens if token.type not in _NO_CODE)
    return len({number for numbers in of_code for number in numbers} - docstrings)
