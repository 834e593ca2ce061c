"""What `channel check` says from the records and of this server's own address.

Everything here is read and nothing is changed; a database that is away is a finding like any other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

from app.cli import channel_findings
from app.cli.verify.bodies import NotAnObject, read_object
from app.cli.verify.target import BadAddress, NoAnswer, Target
from app.clock import utc_now
from app.domain.findings import Finding
from app.errors import ChannelError, SettingsFault
from app.gateways import VENDORS
from app.records import attention, callback_log, channels, stock, sync_state
from app.records.database import Database, DatabaseUnavailable
from app.records.database_errors import in_words
from app.records.pulls import TIRED_AFTER
from app.settings import FIXTURE_PAIRS, Channel, Settings
from app.transport.shared_rate import SharedRate

LOOKED_BACK = timedelta(days=7)
"""How far back the journal is searched for calls of pairs that no channel has (R3)."""

NAMED = 3
"""How many orders or pairs are named one by one."""

LEFT_OPEN_FOR = timedelta(days=30)
"""How long an order whose completion left units open is named; by then somebody has closed it at the vendor."""

KEY_REFUSED = ("HTTP_401", "HTTP_403")
"""Codes of a vendor that does not accept the key or its grants; a flow that rests for one names it in its reason."""

CLOCK_S = 5.0
"""How far this machine's wall clock may be from the clock that all processes share."""

TOO_MANY = "; DATABASE_PROCESSES has to count the web and worker processes of all machines, twice for a rolling release"
"""What mends it where more processes share the connections than `DATABASE_PROCESSES` says."""

PUBLIC_S = 5.0
"""How long this server's public address may take to answer."""


def of_settings(configured: Settings) -> list[Finding]:
    """What is allowed, but not wanted for long."""
    if configured.verify_key and configured.app_env == "production":
        sentence = "VERIFY_KEY is on in production: anybody may call with the SDK's public test key, as a dry run"
        return [Finding("test key", "attention", sentence)]
    return []


def of_channel(channel: Channel) -> list[Finding]:
    """What its settings alone say of one channel."""
    found = [
        Finding("set aside", "attention", f"{fault}; until then its callbacks get 503") for fault in channel.set_aside
    ]
    if not any(VENDORS[token].brings_orders(options) for token, options in channel.vendors.items()):
        found.append(Finding("orders", "note", "no gateway of this channel brings orders: order_pull is always empty"))
    return found


def of_public_url(public_url: str) -> Finding:
    """Whether this server answers where it says others reach it."""
    name = "public address"
    if not public_url:
        return Finding(name, "off", "PUBLIC_URL is not set; vendors that call or fetch from here need it")
    try:
        target = Target(public_url, PUBLIC_S, flag="PUBLIC_URL")
    except BadAddress as error:
        return Finding(name, "attention", f"{error}")
    try:
        answer = target.send("GET", "/healthz")
        is_ours = answer.status == 200 and read_object(answer.body).get("status") == "ok"
    except NoAnswer as error:
        return Finding(name, "attention", f"PUBLIC_URL does not answer from here: {error}")
    except NotAnObject:
        is_ours = False
    finally:
        target.close()
    if not is_ours:
        said = f"PUBLIC_URL answered {answer.status} to GET /healthz, and not as this server does"
        return Finding(name, "attention", said)
    return Finding(name, "ok", f"PUBLIC_URL answers, in {answer.ms} ms")


def of_address(found: Finding) -> Finding:
    """The finding, after trying the address it is about, where it has one."""
    if not found.address:
        return found
    parts = urlsplit(found.address)
    if found.secret:
        found = replace(found, address=found.address.replace(found.secret, "***"), secret="")
    target = Target(f"{parts.scheme}://{parts.netloc}", PUBLIC_S, flag="PUBLIC_URL")
    try:
        status = target.send("HEAD", parts.path).status
        why = "" if status == 200 else f"it answered {status}"
    except NoAnswer as error:
        why = str(error)
    finally:
        target.close()
    if not why:
        return replace(found, sentence=f"{found.sentence}; it can be fetched from here")
    return replace(found, state="attention", sentence=f"{found.sentence}; it cannot be fetched from here: {why}")


def of_rate(limit: SharedRate) -> Finding:
    """How fast a vendor is called: the rate that all processes share and learn, and when it was last cut."""
    plan, name = limit.plan, "rate" if limit.plan.setting == "requests_per_s" else f"rate of {limit.plan.setting}"
    if plan.per_s == 0.0:
        return Finding(name, "ok", f"not limited by us ({plan.setting} is 0)")
    try:
        learned = limit.seen()
    except ChannelError:
        return Finding(name, "ok", f"{plan.per_s:g} calls/s to begin with; what was learned cannot be read now")
    rate = plan.per_s if learned is None else min(learned.rate, plan.highest)
    if plan.highest == plan.per_s and rate == plan.per_s:
        return Finding(name, "ok", f"{rate:g} calls/s, which is never passed ({plan.setting})")
    cut_at = learned.cut_at if learned else 0.0
    last = f"last cut {datetime.fromtimestamp(cut_at, UTC):%Y-%m-%d %H:%M} UTC, when it throttled" if cut_at else ""
    what = f"{rate:.3g} calls/s learned ({plan.setting} {plan.per_s:g}, at most {plan.highest:g})"
    return Finding(name, "ok", f"{what}, {last or 'never cut'}")


def open_database(url: str) -> tuple[Finding, Database | None]:
    """The database's state, and the database where it can be read."""
    address = make_url(url)
    path = address.database or ""
    if url.startswith("sqlite:") and not path.startswith("file:") and not Path(path).exists():
        return Finding("database", "off", "SQLite has no file yet: the server makes it when it first starts"), None
    try:
        database = Database(url)
    except SettingsFault as error:
        return Finding("database", "attention", f"{error.faults[0]}"), None
    try:
        pending = database.pending()
    except SettingsFault as error:
        finding = Finding("database", "attention", f"{error.faults[0]}")
    except (DatabaseUnavailable, SQLAlchemyError) as error:
        why = str(error) if isinstance(error, DatabaseUnavailable) else in_words(getattr(error, "orig", None) or error)
        hint = TOO_MANY if "too many connections" in why else ""
        finding = Finding("database", "attention", f"DATABASE_URL: the database does not answer ({why}){hint}")
    else:
        brand = "SQLite" if database.is_sqlite else "PostgreSQL"
        if not pending:
            return Finding("database", "ok", f"{brand} answers, and no migration waits"), database
        count = f"{len(pending)} migrations wait" if len(pending) > 1 else "1 migration waits"
        finding = (
            Finding("database", "off", f"{brand} answers; {count} for the next start of the server")
            if database.is_sqlite
            else Finding("database", "attention", f"{brand} answers, but {count}: run `channel db upgrade`")
        )
    database.close()
    return finding, None


def of_clock(database: Database) -> list[Finding]:
    """A wall clock of this machine that differs from the clock the server goes by.  Raises `DatabaseUnavailable`."""
    ahead_s = (utc_now() - database.now()).total_seconds()
    if abs(ahead_s) < CLOCK_S:
        return []
    way = "ahead of" if ahead_s > 0 else "behind"
    by = f"{abs(ahead_s):,.0f} s {way}"
    if database.is_sqlite:
        sentence = f"this machine's clock is {by} the one the server goes by since its start; to go by this, restart it"
    else:
        sentence = f"this machine's clock is {by} PostgreSQL's, which the server goes by: set whichever is wrong"
    return [Finding("clock", "attention", sentence)]


def of_records(database: Database, served: Sequence[str], now: datetime) -> Mapping[str, list[Finding]]:
    """What waits for an operator, by name of a channel that is `served`; under "" what concerns the whole server.

    Raises `DatabaseUnavailable`.
    """
    found: dict[str, list[Finding]] = defaultdict(list)
    with database.read() as connection:
        names = channels.names(connection)
        shown = {**names.shown, **{names.keys.get(name, name): name for name in served}}
        _deliveries(connection, found)
        _without_grant(connection, found)
        _held_back(connection, found)
        _tired(connection, found, now)
        _left_open(connection, found, now)
        channel_findings.not_handed_over(connection, found, now)
        _late_news(connection, found)
        _stock(connection, found, shown, now)
        pairs = [_unconfigured(connection, now), *channel_findings.unknown_accounts(connection, now)]
    told: dict[str, list[Finding]] = defaultdict(list)
    for key, items in found.items():
        name = shown.get(key, key)
        if name in served:
            told[name] += items
            continue
        gone = f"channel '{name}', not configured now"
        told[""] += [Finding(item.name, item.state, f"{gone}: {item.sentence}") for item in items]
    told[""] += pairs
    return told


def _deliveries(connection: Connection, found: dict[str, list[Finding]]) -> None:
    for row in attention.open_calls(connection):
        one_of = f"{row.number} call{'s' if row.number > 1 else ''} to {row.gateway}"
        since = f"the oldest since {row.since:%Y-%m-%d %H:%M} UTC"
        if row.state == "parked":
            what = f"{one_of} parked, {since}: `channel deliveries list --state parked` shows what to do"
            found[row.channel].append(Finding("parked", "attention", what))
        else:
            found[row.channel].append(Finding(row.state, "ok", f"{one_of} still to be made, {since}"))


def _without_grant(connection: Connection, found: dict[str, list[Finding]]) -> None:
    """What is owed and waits for the vendor to accept the key; it is tried again by itself."""
    for row in attention.calls_failed_with(connection, KEY_REFUSED):
        count = f"{row.number} calls to {row.gateway} wait" if row.number > 1 else f"1 call to {row.gateway} waits"
        found[row.channel].append(Finding(row.verb, "attention", f"{count} until its key may make them: {row.said}"))
    for owed in sync_state.owed(connection):
        if any(code in owed.last_error for code in KEY_REFUSED):
            unit = "SKU" if owed.kind == "stock" else "product"
            count = f"{owed.count} {unit}s wait" if owed.count > 1 else f"1 {unit} waits"
            what = f"{count} until the key of {owed.gateway} may tell them: {owed.last_error}"
            found[owed.channel].append(Finding(owed.kind, "attention", what))


def _held_back(connection: Connection, found: dict[str, list[Finding]]) -> None:
    by_channel: dict[str, list[str]] = defaultdict(list)
    for row in attention.held_back_orders(connection):
        by_channel[row.channel].append(f"{row.refnum} ({row.reason})")
    for channel, named in by_channel.items():
        more = f", and {len(named) - NAMED} more" if len(named) > NAMED else ""
        count = f"{len(named)} orders are" if len(named) > 1 else "1 order is"
        what = f"{count} held back from RetailOps: {'; '.join(named[:NAMED])}{more}"
        found[channel].append(Finding("held back", "attention", what))


def _tired(connection: Connection, found: dict[str, list[Finding]], now: datetime) -> None:
    """Orders RetailOps was given again and again and never acknowledged (R18)."""
    for row in attention.unacknowledged(connection, now):
        count = f"{row.number} orders, such as {row.one}," if row.number > 1 else f"order {row.one}"
        what = f"{count} went to RetailOps {TIRED_AFTER} times or more and was never acknowledged"
        found[row.channel].append(Finding("unacknowledged", "attention", what))


def _left_open(connection: Connection, found: dict[str, list[Finding]], now: datetime) -> None:
    """Orders RetailOps has completed, or tried to, while units of them are still open here or at the vendor."""
    by_channel: dict[str, list[str]] = defaultdict(list)
    for row in attention.left_open(connection, now - LEFT_OPEN_FOR):
        by_channel[row.channel].append(f"{row.refnum} ({row.left_open})")
    for channel, named in by_channel.items():
        more = f", and {len(named) - NAMED} more" if len(named) > NAMED else ""
        count = f"{len(named)} orders have" if len(named) > 1 else "1 order has"
        what = (
            f"{count} units left open by order_complete: {', '.join(named[:NAMED])}{more}; send order_complete again "
            "with unshipped_items for them, or close them at the vendor"
        )
        found[channel].append(Finding("left open", "attention", what))


def _late_news(connection: Connection, found: dict[str, list[Finding]]) -> None:
    for row in attention.late_events(connection):
        what = (
            f"{row.number} failure{'s' if row.number > 1 else ''} found after RetailOps had its answer, {row.told} of "
            "them told to it since: `channel deliveries list` shows them, `channel deliveries drop` dismisses them"
        )
        found[row.channel].append(Finding("late news", "attention", what))


def _stock(connection: Connection, found: dict[str, list[Finding]], shown: Mapping[str, str], now: datetime) -> None:
    """Figures that wait for RetailOps' next statement, and what a gateway has to say about SKUs (R13)."""
    for stale in stock.stale(connection, now):
        count = f"{stale.count} SKUs, such as {stale.sku}, wait" if stale.count > 1 else f"SKU {stale.sku} waits"
        what = (
            f"STOCK_STALE: the stock of {count} for the next inventory_push: it was to be sent to {stale.gateway} "
            "again, but orders or shipments have moved it since; "
            f"`channel stock send {shown.get(stale.channel, stale.channel)} --even-if-moved` sends it as it was stated"
        )
        found[stale.channel].append(Finding("stale stock", "attention", what))
    for noted in stock.noted(connection):
        more = f" ({noted.count} SKUs are like this)" if noted.count > 1 else ""
        found[noted.channel].append(Finding("stock", "attention", f"{noted.gateway}: {noted.sentence}{more}"))


def _unconfigured(connection: Connection, now: datetime) -> Finding:
    """Pairs that called with a good key and belong to no channel.  The fixtures' pairs are certification's (R4)."""
    counted = callback_log.unconfigured_since(connection, now - LOOKED_BACK)
    # One fixture of ours leaves the channel's number out.
    fixtures = {f"{client}/{number}" for client, channel in FIXTURE_PAIRS for number in (channel, None)}
    seen = [(row.outcome.rpartition(" ")[2], row.number, row.last) for row in counted]
    strange = [item for item in seen if item[0] not in fixtures]
    days = f"in the last {LOOKED_BACK.days} days"
    if strange:
        named = ", ".join(f"{pair} ({count}x, last {last:%Y-%m-%d %H:%M} UTC)" for pair, count, last in strange[:NAMED])
        more = f", and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
        what = (
            f"RetailOps called with a good key for client_id/channel_id that no channel of channels.toml has {days}: "
            f"{named}{more}; nothing was done for them"
        )
        return Finding("unknown pairs", "attention", what)
    if seen:
        return Finding("unknown pairs", "ok", f"only the SDK's fixtures (certification) called for no channel {days}")
    return Finding("unknown pairs", "ok", f"nobody called for a pair that no channel has {days}")
