"""`channel operations`: what operators did, when, and why (R34)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from rich.padding import Padding

from app.cli.record_options import iso, key_of, moment, records, shown_channel, when
from app.operations import operator_log
from app.operations.operator_log import Operation
from app.operations.paging import Page, first
from app.operations.scope import Scope
from app.terminal import console, is_wide, json_option, new_table, print_json, shortened

NAMED, IN_JSON = 3, 100
"""Objects of one act that a table names at most, and JSON."""


@click.group(short_help="Look at what operators did, and why.")
def operations() -> None:
    """Look at what operators did: retried, dropped, confirmed or released calls, facts sent again, and why."""


@operations.command("list")
@click.option("--channel", default="", help="Only this channel, by its name in channels.toml.")
@click.option("--since", type=moment, metavar="WHEN", help="Since then: 30m, 2h, 7d or an ISO time.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many, newest first.")
@json_option
def list_(channel: str, since: datetime | None, limit: int, as_json: bool) -> None:
    """Every act of an operator, newest first: when, who, what, on what, and the reason given."""
    with records() as (_, database):
        key = key_of(channel)

        def page(after: str) -> Page[Operation]:
            return operator_log.find(database, Scope(), channel=key, since=since, named=IN_JSON, after=after)

        found = first(limit, page)
        total = operator_log.count(database, Scope(), channel=key, since=since)
    if as_json:
        print_json({"operations": [_as_json(item) for item in found], "total": total})
    elif not found:
        click.echo("No act of an operator is kept" + (" for this choice." if channel or since else " yet."))
    else:
        _show(found)
        if total > len(found):
            click.echo(f"{total - len(found)} more; see --limit.")


def _show(found: Sequence[Operation]) -> None:
    out = console()
    if not is_wide(out):
        for item in found:
            out.print(f"{item.at:%m-%d %H:%M} UTC, {item.who}: {_act(item)}")
            for line in filter(None, (_on_what(item), f"{_where(item)}: {item.outcome}", f"Why: {item.reason}")):
                out.print(Padding(line, (0, 0, 0, 4), expand=False))
        return
    table = new_table("", "When (UTC)", "Who", "Act", "Where", "Outcome", "On what", "Why")
    for item in found:
        table.add_row(
            when(item.at), item.who, _act(item), _where(item), item.outcome, _on_what(item), item.reason
        )  # fmt: skip
    out.print(table)


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


def _as_json(item: Operation) -> dict[str, Any]:
    return {
        "id": item.id,
        "at": iso(item.at),
        "who": item.who,
        "act": item.act,
        "detail": item.detail,
        "channel": shown_channel(item.channel),
        "vendor": item.gateway,
        "reason": item.reason,
        "outcome": item.outcome,
        "count": item.count,
        "objects": [{"kind": target.kind, "id": target.id} for target in item.targets],
    }
