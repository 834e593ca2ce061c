"""`channel deliveries retry|drop|confirm`: an operator's decision on calls that are no longer tried by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import click
from sqlalchemy import Row

from app.cli.acting import Act, operator_act
from app.cli.choosing import Number, call_filters, chosen_calls
from app.cli.late import event_number
from app.cli.records import records, shown_channel
from app.cli.vendors import build
from app.operations import acts, bulk_acts, deliveries
from app.records import delivery_rows
from app.records.database import Database
from app.records.deliveries import OPEN_STATES
from app.records.delivery_rows import DeliveryFilter
from app.settings import Settings

limit_option = click.option("--limit", type=click.IntRange(min=1), help="At most so many, oldest first. Default: all.")


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=Number("call"))
@call_filters(OPEN_STATES)
@limit_option
@click.option("--even-if-done", is_flag=True, help="Send again what may have been done and cannot be looked up.")
@operator_act(asks=False)
def retry(ids: tuple[int, ...], limit: int | None, even_if_done: bool, act: Act, **chosen: Any) -> None:
    """Put calls back to be tried now: those named, or all parked ones that the filters choose.

    A call that may have been done is looked up at the vendor first.  No confirmation is needed: retrying is harmless.
    Exit code 1 when one of them could not be put back.
    """
    which = _chosen(ids, chosen)
    decision = Decision("retry", act, "is tried now", "would be tried now", even_if_done=even_if_done)
    with records() as (configured, database):
        decision.carry_out(configured, database, which, limit)
    decision.finish()


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@call_filters(OPEN_STATES)
@limit_option
@operator_act(needs_reason=True)
def drop(ids: tuple[str, ...], limit: int | None, act: Act, **chosen: Any) -> None:
    """Give calls up for good: those named, or all parked ones that the filters choose.

    The call is not sent again, its body is deleted, and the order's later calls go on.  An id
    like n7 dismisses that piece of late news instead.
    """
    meaning = "neither a delivery such as 12 nor late news such as n7"
    news = {event_number(given, meaning) for given in ids if given.startswith("n")}
    calls = [event_number(given, meaning) for given in ids if not given.startswith("n")]
    decision = Decision(
        "drop", act, "is given up", "would be given up", "is to be given up", "Give up what is listed above for good?"
    )
    with records() as (configured, database):
        if calls or not news:
            decision.carry_out(configured, database, _chosen(calls, chosen), limit)
        if news:
            decision.dismiss(database, news)
    decision.finish()


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=Number("call"))
@click.option("--refnum", default="", help="The vendor's own number of what it did; RetailOps is sent a refund's.")
@operator_act(needs_reason=True)
def confirm(ids: tuple[int, ...], refnum: str, act: Act) -> None:
    """Say that the vendor has done these calls, because you have seen it there.

    For a parked call whose outcome is unknown, a refund above all: it counts as delivered with all that follows
    from it (the money counts as paid, the order as sent).  Nothing is sent now, and the order's later calls go on.
    """
    if refnum and len(set(ids)) > 1:
        raise click.UsageError("--refnum is the number of one call; name one id")
    decision = Decision(
        "confirm", act, "counts as done", "would count as done", "counts as done",
        "Have you seen at the vendor that all of this was done?", refnum=refnum,
    )  # fmt: skip
    with records() as (configured, database):
        decision.carry_out(configured, database, DeliveryFilter(ids=ids))
    decision.finish()


def _chosen(ids: Sequence[int], chosen: dict[str, Any]) -> DeliveryFilter:
    if not ids and not any(chosen.values()):
        raise click.UsageError("name ids, or choose with --order, --channel, --vendor, --state, --since or --until")
    return chosen_calls(chosen, ("parked",), ids)


@dataclass
class Decision:
    """An act on the calls that an operator has chosen, and what became of each."""

    kind: deliveries.Act
    act: Act
    outcome: str
    """What is said of a call after it was carried out, such as "is given up"."""
    would: str
    """The same of a dry run."""
    preview: str = ""
    question: str = ""
    """Put to the operator below a list of the calls with `preview`; "" for an act that needs no question."""
    even_if_done: bool = False
    refnum: str = ""
    done: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)

    def carry_out(
        self, configured: Settings, database: Database, which: DeliveryFilter, limit: int | None = None
    ) -> None:
        """Each call in a transaction of its own, unless something speaks against it or it has changed by then."""
        gateways = build(configured, database)
        now = database.now()
        with database.read() as connection:
            rows = list(reversed(delivery_rows.find(connection, which)))[:limit]
        known = {row.id for row in rows}
        for number in dict.fromkeys(which.ids):
            if number not in known:
                self._fail(number, "there is no such delivery")
        ready: list[Row[Any]] = []
        for row in rows:
            why = deliveries.why_not(self.kind, gateways, row, now, even_if_done=self.even_if_done)
            if why:
                self._fail(row.id, why)
            else:
                ready.append(row)
        if ready and self.question and not (self.act.is_agreed or self.act.is_dry_run):
            for row in ready:
                click.echo(_sentence(_line(row), self.preview))
        if ready and not self.act.may_go_on(self.question):
            self.done += map(_line, ready)
            return
        for row in ready:
            if bulk_acts.carry_out(
                database, gateways, self.kind, self.act.operator, row, now,
                even_if_done=self.even_if_done, refnum=self.refnum,
            ):  # fmt: skip
                self.done.append(_line(row))
            else:
                self._fail(row.id, "it changed while this command ran; look again")

    def dismiss(self, database: Database, events: set[int]) -> None:
        """The same of late events."""
        found = acts.open_late_events(database, events)
        if self.act.may_go_on():
            found = acts.dismiss(database, self.act.operator, events, database.now())
        self.done += [{"id": f"n{item}", "order": "", "channel": "", "call": "late news"} for item in sorted(found)]
        for item in sorted(events - found):
            self._fail(f"n{item}", "no such late news is open")

    def finish(self) -> NoReturn:
        """Print what became of each, and end the command."""
        said = self.would if self.act.is_dry_run else self.outcome
        sentences = [_sentence(item, said) for item in self.done]
        if not self.done and not self.failed:
            sentences = ["No call matches."]
        failures = [f"{item['id']}: not done: {item['reason']}" for item in self.failed]
        self.act.finish({"done": self.done, "failed": self.failed}, *sentences, failures=failures)

    def _fail(self, number: int | str, reason: str) -> None:
        self.failed.append({"id": number, "reason": reason})


def _line(row: Row[Any]) -> dict[str, Any]:
    return {"id": row.id, "order": row.lane, "channel": shown_channel(row.channel), "call": f"{row.gateway} {row.verb}"}


def _sentence(item: dict[str, Any], said: str) -> str:
    order = f" for order {item['order']} ({item['channel']})" if item["order"] else ""
    return f"{item['id']}: {item['call']}{order} {said}"
