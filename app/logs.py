"""Log lines: one JSON object each, with the request id, and never with a secret."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, Any
from urllib.parse import quote

import msgspec

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request this thread serves; stands in every line it writes."""

GATHER_S = 0.2

REPEATED_S = 60.0
"""How often a failure that lasts is written again."""

_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


_WITH_KEYS = ("channel", "message")
"""Fields that may name a channel by the key of its records."""


class Repeats:
    """Keeps a loop that goes on failing from filling the log."""

    def __init__(self) -> None:
        self._sentence = ""
        self._until_s = 0.0

    def is_news(self, sentence: str) -> bool:
        """True when the sentence differs from the last one, or that was written a minute ago."""
        now_s = time.monotonic()
        if sentence == self._sentence and now_s < self._until_s:
            return False
        self._sentence, self._until_s = sentence, now_s + REPEATED_S
        return True


class JsonLines(logging.Formatter):
    """A record as one line; a traceback is cut down to places, because its last line may repeat a value."""

    def __init__(self, secrets: Iterable[str] = (), names: Mapping[str, str] | None = None) -> None:
        """`names` are the channels' names by the key of their records, where that is another one."""
        super().__init__()
        self._names = names or {}
        found = {form for secret in secrets if len(secret) >= 6 for form in _forms(secret)}
        self._secrets = sorted(found, key=len, reverse=True)
        self._written = tuple({_in_json(form) for form in found})
        """How each of them stands in a whole line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if given := request_id.get():
            line["request_id"] = given
        for name, value in vars(record).items():
            if name not in _KNOWN:
                line[name] = value if isinstance(value, str | int | float | bool | None) else str(value)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = [
                f"{frame.filename.rpartition('/app/')[2]}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(record.exc_info[2])
            ]
        return self.format_fields(line)

    def format_fields(self, fields: dict[str, Any]) -> str:
        """A line from its fields: the channel by its name, secrets blotted out."""
        if self._names:
            fields = {**fields, **{name: self._named(name, fields[name]) for name in _WITH_KEYS if name in fields}}
        line = msgspec.json.encode(fields).decode()
        # Nearly no line holds a secret, and with many channels there are hundreds to look for in each of its fields.
        if not any(secret in line for secret in self._written):
            return line
        return msgspec.json.encode({name: self._blotted(value) for name, value in fields.items()}).decode()

    def _named(self, field: str, value: Any) -> Any:
        """The field `channel`, and a message that begins with "channel KEY:", with the channel's name instead."""
        if field == "channel":
            return self._names.get(value, value)
        if field == "message" and value.startswith("channel "):
            key, colon, rest = value.removeprefix("channel ").partition(":")
            return f"channel {self._names.get(key, key)}{colon}{rest}"
        return value

    def _blotted(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, "***")
        return value


def _forms(secret: str) -> set[str]:
    """How a secret may stand in a text: as it is, in JSON, and in an address."""
    return {secret, _in_json(secret), quote(secret, safe="")}


def _in_json(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]


class Tally:
    """Counts what happens of a kind, so that much of it takes few lines: the first, the tenth, the hundredth...

    After `while_s` seconds without a new one counting begins again.
    """

    def __init__(self, while_s: float = 600.0) -> None:
        self._while_s = while_s
        self._counts: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def add(self, kind: str) -> int:
        """One more; how many it are where that is worth a line, else 0."""
        now_s = time.monotonic()
        with self._lock:
            count, last_s = self._counts.get(kind, (0, now_s))
            count = 1 if now_s - last_s > self._while_s else count + 1
            self._counts[kind] = (count, now_s)
        return count if str(count).strip("0") == "1" else 0


class GatheredLines(logging.Handler):
    """Writes lines together, several times a second, because a write for each costs more than the rest of it.

    A warning, and with it all before it, is written at once; so is the rest when the process ends.
    """

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream
        self._lines: list[str] = []
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record))
        except Exception:
            self.handleError(record)
        if record.levelno >= logging.WARNING:
            self.flush()
        elif self._thread is None:  # begun late, for a thread does not outlive a fork
            self._thread = threading.Thread(target=self._write_on, name="log", daemon=True)
            self._thread.start()

    def add(self, line: str) -> None:
        """A line that is formatted already, to be written with the next ones."""
        self._lines.append(line)

    def flush(self) -> None:
        with self.lock or threading.RLock():
            lines, self._lines = self._lines, []
            if lines:
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()

    def _write_on(self) -> None:
        while True:
            time.sleep(GATHER_S)
            self.flush()


def write(logger: logging.Logger, fields: Iterable[dict[str, Any]]) -> None:
    """INFO lines by the hundred from a thread of their own: what is known of each is all there is to look up."""
    if not logger.isEnabledFor(logging.INFO):
        return
    for handler in logging.getLogger().handlers:
        if isinstance(handler, GatheredLines) and isinstance(handler.formatter, JsonLines):
            for line in fields:
                handler.add(handler.formatter.format_fields({"level": "INFO", "logger": logger.name, **line}))
            handler.flush()


def configure(level: str, secrets: Iterable[str] = (), names: Mapping[str, str] | None = None) -> None:
    """Send every logger's lines to standard error; `names` are those of channels by the key of their records."""
    handler = GatheredLines(sys.stderr)
    handler.setFormatter(JsonLines(secrets, names))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Thread and process names stand in no line, and looking them up costs each one.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for chatty in ("urllib3", "alembic", "sqlalchemy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
