"""`channel operations`: what operators did, when, and why (R34)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import click

from app.cli.choosing import channel_option, limit_option, moment
from app.cli.records import key_of, records, shown_channel
from app.cli.showing import row_json, when
from app.operations import operator_log
from app.operations.operator_log import Operation
from app.operations.paging import first
from app.operations.scope import Scope
from app.terminal import Column, Group, Output, json_or_tables, shortened, table

NAMED, IN_JSON = 3, 100
"""Objects of one act that a table names at most, and JSON."""


@click.group(cls=Group)
def operations() -> None:
    """Look at what operators did: retried, dropped, confirmed or released calls, facts sent again, and why."""


@operations.command("list")
@channel_option
@click.option("--since", type=moment, metavar="WHEN", help="Since then: 30m, 2h, 7d or an ISO time.")
@limit_option(50)
@json_or_tables
def list_(channel: str, since: datetime | None, limit: int) -> Output:
    """Every act of an operator, newest first: when, who, what, on what, and the reason given."""
    with records() as (_, database):
        key = key_of(channel)
        found = first(limit, partial(operator_log.find, database, Scope(), channel=key, since=since, named=IN_JSON))
        total = operator_log.count(database, Scope(), channel=key, since=since)
    shown = [
        row_json(
            item, "id at who act detail reason outcome count channel vendor=gateway",
            objects=[row_json(target, "kind id") for target in item.targets],
        )
        for item in found
    ]  # fmt: skip
    none = f"No act of an operator is kept {'for this choice' if channel or since else 'yet'}."
    more = f"{total - len(found)} more; see --limit." if total > len(found) else ""
    acts = table("", COLUMNS, found, none=none, as_lines=_lines)
    return Output({"operations": shown, "total": total}, acts, more)


def _lines(item: Operation) -> tuple[str, ...]:
    where, why = f"{_where(item)}: {item.outcome}", f"Why: {item.reason}" if item.reason else ""
    return f"{item.at:%m-%d %H:%M} UTC, {item.who}: {_act(item)}", _on_what(item), where, why


def _act(item: Operation) -> str:
    return f"{item.act} {item.detail}".strip()


def _where(item: Operation) -> str:
    """The channel, and the vendor where the act was about one."""
    return ", ".join(filter(None, (shown_channel(item.channel), item.gateway)))


def _on_what(item: Operation) -> str:
    parts = [f"{target.kind} {shortened(target.id, 24)}" for target in item.targets[:NAMED]]
    kinds = {target.kind for target in item.targets}
    if kinds <= {"sku", "product"} and item.count > len(parts):
        parts.append(f"and {item.count - len(parts)} more" if parts else f"all {item.count}")
    return ", ".join(parts)


COLUMNS: Sequence[Column[Operation]] = (
    Column("When (UTC)", lambda item: when(item.at)),
    Column("Who", lambda item: item.who),
    Column("Act", _act),
    Column("Where", _where),
    Column("Outcome", lambda item: item.outcome),
    Column("On what", _on_what),
    Column("Why", lambda item: item.reason),
)
