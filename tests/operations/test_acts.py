"""Every act of an operator is kept with who, when and why, and is harmless twice (P39, R34)."""

from __future__ import annotations

import os
import pwd
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from app.cli.system_user import user_name
from app.clock import utc_now
from app.operations import acts, operators
from app.records import operations
from app.records.operations import Operation
from app.records.tables.deliveries import deliveries
from app.records.tables.stock import sync_states
from tests.channels import channel_table
from tests.command_line import CommandLine
from tests.operations.parked_calls import BLIND, a_parked_call, the_call
from tests.retailops import Caller
from tests.sandboxes import Sandbox

pytestmark = pytest.mark.both_databases


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, retailops: Caller, pipe17: Sandbox, database_url: str) -> CommandLine:
    return CommandLine(monkeypatch, database_url, channel_table(pipe17.url))


def kept(retailops: Caller) -> list[Operation]:
    """Oldest first."""
    with retailops.database.read() as connection:
        return operations.listing(connection)[::-1]


def test_p39_each_act_on_a_call_is_kept_with_who_when_on_what_and_why(channel: CommandLine, retailops: Caller) -> None:
    begun = utc_now()
    for act, order in (("drop", "O-1"), ("confirm", "O-2"), ("retry", "O-3")):
        number = a_parked_call(retailops, order)
        reason = ["--reason", f"because of {act}"]
        done = channel("deliveries", act, str(number), *reason, "--by", "Ada", "--yes")
        assert done.exit_code == 0, done.output
        [operation] = channel.json("operations", "list", "--since", "1h", "--channel", "first")["operations"][:1]
        assert (operation["act"], operation["who"]) == (f"deliveries.{act}", "Ada")
        assert operation["reason"] == f"because of {act}" and operation["at"] >= begun.isoformat(
            timespec="milliseconds"
        )
        assert (operation["channel"], operation["vendor"], operation["count"]) == ("first", "pipe17", 1)
        assert operation["objects"] == [{"kind": "delivery", "id": str(number)}, {"kind": "order", "id": order}]
    shown = channel("operations", "list").output
    assert all(text in shown for text in ("deliveries.drop", "Ada", "order O-2", "because of retry"))
    assert channel.json("operations", "list", "--channel", "other") == {"operations": [], "total": 0}


def test_p39_a_dismissed_late_event_is_kept_too_and_only_once(channel: CommandLine, retailops: Caller) -> None:
    a_parked_call(retailops, "O-1")
    [news] = channel.json("deliveries", "list")["late_news"]
    name = f"n{news['id']}"
    dismissed = ["deliveries", "drop", name, "--yes", "--reason", "known"]
    assert channel(*dismissed).exit_code == 0 and channel(*dismissed).exit_code == 1
    [operation] = kept(retailops)
    assert (operation.act, operation.channel, operation.gateway) == ("late.dismiss", "first", "pipe17")
    assert [(target.kind, target.id) for target in operation.targets] == [("late_event", str(news["id"]))]
    assert operation.who == user_name() == pwd.getpwuid(os.getuid()).pw_name


def test_p39_an_act_sent_twice_for_what_the_operator_saw_is_carried_out_and_kept_once(retailops: Caller) -> None:
    """A double click, two operators, a page left open over night: the call is parked again, but it is another try."""
    operator = operators.operator("Ada", "tried by hand")
    number = a_parked_call(retailops, "O-1")
    seen = the_call(retailops, number)
    with retailops.database.write() as connection:
        connection.execute(update(deliveries).where(deliveries.c.id == number).values(attempts=8))
    assert not acts.drop(retailops.database, operator, seen, BLIND, utc_now())
    assert not acts.retry(retailops.database, operator, seen, BLIND, utc_now())
    assert not acts.confirm(retailops.database, operator, seen, None, utc_now())
    assert the_call(retailops, number).state == "parked" and kept(retailops) == []
    seen = the_call(retailops, number)
    assert acts.drop(retailops.database, operator, seen, BLIND, utc_now())
    assert not acts.drop(retailops.database, operator, seen, BLIND, utc_now())
    assert [operation.act for operation in kept(retailops)] == ["deliveries.drop"]


def test_p39_an_act_needs_a_reason_of_bounded_length_and_a_person_or_yes(
    channel: CommandLine, retailops: Caller
) -> None:
    number = str(a_parked_call(retailops, "O-1"))
    for act in ("drop", "confirm"):
        assert "say why" in channel("deliveries", act, number, "--yes").stderr
        assert channel("deliveries", act, number, "--yes", "--reason", " \n").exit_code == 2
        assert "500 characters" in channel("deliveries", act, number, "--yes", "--reason", "x" * 501).stderr
        assert channel("deliveries", act, number, "--yes", "--reason", "x", "--by", "y" * 61).exit_code == 2
        unasked = channel("deliveries", act, number, "--reason", "x")
        assert unasked.exit_code == 1 and "There is no terminal to ask on" in unasked.stderr
        assert channel("deliveries", act, number, "--dry-run").exit_code == 0
    assert channel("refunds", "release", "1", "--yes").exit_code == 2
    assert kept(retailops) == [] and the_call(retailops, int(number)).state == "parked"
    assert channel("deliveries", "drop", number, "--yes", "--reason", "a\tb\x00 \ud800c").exit_code == 0
    assert kept(retailops)[0].reason == "a b c"


def test_p39_a_choice_of_many_calls_keeps_one_trace_each(channel: CommandLine, retailops: Caller) -> None:
    numbers = [a_parked_call(retailops, f"O-{n}") for n in range(3)]
    assert channel("deliveries", "drop", "--channel", "first", "--yes", "--reason", "old").exit_code == 0
    assert [operation.targets[0].id for operation in kept(retailops)] == [str(number) for number in numbers]
    with retailops.database.read() as connection:
        states = set(connection.execute(select(deliveries.c.state)).scalars())
    assert states == {"dropped"}
    listed = channel.json("operations", "list", "--limit", "2")
    assert (len(listed["operations"]), listed["total"]) == (2, 3)


def test_p39_p45_a_stuck_stream_is_freed_by_command_once(channel: CommandLine, retailops: Caller) -> None:
    far = retailops.database.now() + timedelta(days=1)
    stuck = {"channel": "first", "gateway": "pipe17", "lease_token": "t", "lease_until": far, "next_try_at": far}
    with retailops.database.write() as connection:
        connection.execute(insert(sync_states), stuck)
    free = ("streams", "free", "first", "pipe17")
    assert channel(*free, "--yes").exit_code == 2, "an act needs a reason"
    assert channel.json(*free, "--dry-run")["was_held_up"]
    why = ("--reason", "a clock was wrong", "--by", "Ada", "--yes")
    assert [channel.json(*free, *why)["was_held_up"] for _ in range(2)] == [True, False]
    [act] = kept(retailops)
    assert (act.act, act.who, act.gateway, act.reason) == ("streams.free", "Ada", "pipe17", "a clock was wrong")
    assert channel("streams", "free", "first", "rally", *why).exit_code == 2


def test_p39_late_events_are_listed_and_dismissed_by_their_own_command(channel: CommandLine, retailops: Caller) -> None:
    number = a_parked_call(retailops, "O-1")
    [event] = channel.json("late", "list")["late_events"]
    assert (event["channel"], event["subject"], event["delivery"], event["sent_at"]) == ("first", "O-1", number, None)
    name = f"n{event['id']}"
    assert name in channel("late", "list").output
    assert channel("late", "dismiss", name).exit_code == 1, "there is no terminal to ask on"
    assert channel.json("late", "dismiss", name, "--dry-run") == {"dry_run": True, "done": [name], "failed": []}
    assert channel.json("late", "dismiss", name, "--yes", "--by", "Ada")["done"] == [name]
    assert channel.json("late", "dismiss", name, "--yes", exit_code=1)["failed"] == [name]
    assert channel.json("late", "list") == {"late_events": []}
    assert len(channel.json("late", "list", "--all")["late_events"]) == 1
    assert [(item.act, item.who) for item in kept(retailops)] == [("late.dismiss", "Ada")]
