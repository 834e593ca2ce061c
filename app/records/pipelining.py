"""How statements reach PostgreSQL: what is prepared, and what waits to be sent together with what follows it.

Pushes of stock for one gateway wait for each other from the lock of its counter until the commit.  Sent one by one,
the statements between would add to that wait the time until this process has its next turn, each of them.  So those
whose results nobody needs are kept back and sent with the next, at the latest with the COMMIT.
"""

from __future__ import annotations

import re
import select
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

_TEXT, _BYTEA, _BIGINT = 25, 17, 20
"""PostgreSQL's numbers of these types."""

LONG: Final = 500
"""A statement with a list of more entries is planned for itself.  After five uses PostgreSQL plans a prepared one once
for all, for lists of a length that it guesses, and what is right for ten rows may take minutes for ten thousand."""

_PARAMETER: Final = re.compile(r"%\((\w+)\)s")

_names = count(1)

Later = tuple[str, Mapping[str, Any]]


class _Cursor(psycopg.Cursor[tuple[Any, ...]]):
    """The driver's, which prepares no statement that has a long list."""

    def execute(self, query: Any, params: Any = None, *, prepare: bool | None = None, **options: Any) -> Any:
        values = params.values() if isinstance(params, Mapping) else params or ()
        if prepare is None and any(map(_is_long, values)):
            prepare = False
        return super().execute(query, params, prepare=prepare, **options)


class PipelinedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection of the driver's that keeps statements back.

    They are sent past its cursors: the driver's own pipeline waits for the socket about ten times, and after each
    another thread of the process may run first.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cursor_factory = _Cursor
        self._later: list[Later] = []
        self._prepared_as: dict[str, bytes] = {}

    def execute_later(self, statement: str, parameters: Mapping[str, Any]) -> None:
        """Run it in this transaction, before whatever is run next; what it raises is raised then, or by `commit`.

        Parameters are named as in the driver's statements, and their types follow from the statement.  They are texts,
        whole numbers or None, or lists, which are not empty, of texts, whole numbers or bytes.
        """
        self._later.append((statement, parameters))

    def cursor(self, *args: Any, **options: Any) -> Any:
        """As the driver's, for the next statement: those that were kept back are run first."""
        if self._later:
            self._send()
        return super().cursor(*args, **options)

    def commit(self) -> None:
        """Run what was kept back, and commit if all of it succeeds."""
        if self._later:
            self._send(("commit", {}))
        else:
            super().commit()

    def rollback(self) -> None:
        """Also of what was kept back."""
        self._later.clear()
        if self.pgconn.transaction_status != pq.TransactionStatus.IDLE:
            self._prepared_as.clear()  # the driver drops all that is prepared
        super().rollback()

    def _send(self, *last: Later) -> None:
        """What was kept back, and these.  After the first that fails the server skips the others, a COMMIT as well."""
        statements = [(_numbered(text), parameters) for text, parameters in (*self._later, *last)]
        self._later.clear()
        sent = [
            (
                text,
                [_encoded(parameters[name]) for name in names],
                [_format(parameters[name]) for name in names],
                not any(_is_long(parameters[name]) for name in names),
            )
            for (text, names), parameters in statements
        ]
        self.pgconn.enter_pipeline_mode()
        for text, values, formats, is_prepared in sent:
            if not is_prepared:
                self.pgconn.send_query_params(text.encode(), values, param_formats=formats)
                continue
            name = self._prepared_as.get(text)
            if name is None:
                name = self._prepared_as[text] = b"later_%d" % next(_names)
                self.pgconn.send_prepare(name, text.encode())
            self.pgconn.send_query_prepared(name, values, formats)
        self.pgconn.pipeline_sync()
        failed = self._answered()
        if self.pgconn.status == pq.ConnStatus.OK:
            self.pgconn.exit_pipeline_mode()
        if failed is not None:
            raise error_from_result(failed)

    def _answered(self) -> pq.abc.PGresult | None:
        """Wait for all answers; the first that is an error.  Raises the driver's error where the server has gone."""
        connection, failed = self.pgconn, None
        poll = select.poll()
        try:
            while connection.flush():
                poll.register(connection.socket, select.POLLIN | select.POLLOUT)
                poll.poll()
                connection.consume_input()
            poll.register(connection.socket, select.POLLIN)
            while True:
                while connection.is_busy():
                    poll.poll()
                    connection.consume_input()
                result = connection.get_result()
                if result is None:  # the end of one answer
                    if connection.status == pq.ConnStatus.BAD:
                        raise psycopg.OperationalError("the connection was lost")
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    return failed
                elif result.status == pq.ExecStatus.FATAL_ERROR:
                    failed = failed or result
        except psycopg.OperationalError:
            if failed is None:
                raise
            return failed  # the server's last word says more


@cache
def _numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """The statement as PostgreSQL takes it, and the names of its parameters in the order of their numbers."""
    names = tuple(dict.fromkeys(_PARAMETER.findall(statement)))
    return _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement).replace("%%", "%"), names


def _is_long(value: Any) -> bool:
    """Whether it is a list with more than LONG entries, or such a list as PostgreSQL writes it (`_Listed`)."""
    if isinstance(value, str):
        return value.startswith('{"') and value.count('","') >= LONG
    return isinstance(value, list) and len(value) > LONG


def _format(value: Any) -> pq.Format:
    return pq.Format.TEXT if isinstance(value, int) else pq.Format.BINARY  # a text would end at its first zero


def _encoded(value: Any) -> bytes | None:
    if isinstance(value, list):
        return _array(value)
    if isinstance(value, int):
        return b"%d" % value
    return None if value is None else value.encode()


def _array(values: Sequence[Any]) -> bytes:
    """PostgreSQL's binary form, of one dimension that counts from 1 and has no null."""
    kind, items = _BYTEA, values
    if isinstance(values[0], str):
        kind, items = _TEXT, [value.encode() for value in values]
    elif isinstance(values[0], int):
        kind, items = _BIGINT, [struct.pack("!q", value) for value in values]
    parts = [struct.pack("!iiiii", 1, 0, kind, len(items), 1)]
    for item in items:
        parts += (struct.pack("!i", len(item)), item)
    return b"".join(parts)
