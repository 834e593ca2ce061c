"""Composes the rooms into the processes of the server, and holds no logic."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import click
from flask import Flask
from sqlalchemy import Connection

from app import logs, settings
from app.callbacks.application import Application
from app.callbacks.health import create_health
from app.callbacks.replies import say_errors_in_json
from app.callbacks.routes import create_routes
from app.callbacks.senders import Senders
from app.channel import effects, registration
from app.channel.dispatch import CallbackDispatcher
from app.channel.receiving import Receiver
from app.channel.services import BUDGET_S, Services
from app.console import create_console
from app.console.recognising import recogniser
from app.contract.schemas import load_contract
from app.deliveries.attempts import Attempts
from app.deliveries.dispatcher import Dispatcher
from app.deliveries.keeping import Keeper
from app.deliveries.regular_work import RegularWork
from app.docs import create_docs
from app.domain.traffic import InboundRequest, VendorCall
from app.errors import SettingsFault
from app.gateways import VENDORS, inbound
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools
from app.operations import measurements
from app.operations.check_requests import CheckRunner
from app.operations.health_checks.report import Checks
from app.operations.shared_rates import shared_rates
from app.records import heartbeat
from app.records.database import Database, DatabaseUnavailable, UnfitDatabase
from app.records.deliveries import Delivery, Settled
from app.records.heartbeat import Heartbeat
from app.records.journal import Journal
from app.records.pauses import Pauses
from app.records.pending_figures import PendingSampler
from app.records.purge import Purge
from app.records.retention import CLOCKS, Terms
from app.records.search_filling import SearchFilling
from app.records.wakeups import Listener, Notifier, may_listen
from app.settings import Settings
from app.storefront import retention as storefront
from app.storefront.order_queue import OrderQueue
from app.transport.limiters import Limit

INLINE_DELIVERY_THREADS = 4
"""Threads of a web process that deliver in the background, beside those that serve callbacks."""


log = logging.getLogger(__name__)


class Works:
    """Everything of one process behind its front: records, gateways, background threads."""

    def __init__(
        self, configured: Settings, database: Database, *, delivery_threads: int, callback_threads: int = 0
    ) -> None:
        """`configured` is as `registration.register` gives it: its channels have the keys of their records."""
        self.configured = configured
        self.database = database
        self.limits: list[Limit] = []
        self.journal = Journal(self.database, self._open_breakers)
        streams = [(channel.key, token) for channel in configured.channels for token in channel.gateways]
        self.heartbeat = Heartbeat(self.database.beat, PendingSampler(self.database, streams).turn)
        self.pauses = Pauses(self.database)
        self.regular_work = RegularWork(self.pauses.read)
        self._can_listen = may_listen(database)
        """All processes can, or none, for all may have as many connections."""
        self.notifier = Notifier(database)
        self.listener = Listener(database, self.notifier, lambda: self.dispatcher.wake())
        self._is_delivering = False
        # A process that only delivers has its requested checks inside a vendor besides.
        threads = callback_threads or delivery_threads + 2
        tools = Tools(
            "",
            threads,
            rate=shared_rates(configured, self.database),
            database=self.database,
            clock=database.clock,
            wake=self.wake,
            public_url=configured.public_url,
            paused=self.pauses.paused,
            limits=self.limits,
        )
        self.gateways = create_gateways(configured, self.journal, tools)
        self.attempts = Attempts(self.gateways, clock=database.clock)
        self.keeper = Keeper()
        terms = Terms(journal=timedelta(days=configured.journal_days))
        self.dispatcher = Dispatcher(
            self.database,
            self.attempts,
            self.gateways,
            self._apply_late,
            effects.done_after_all,
            keeper=self.keeper,
            threads=delivery_threads,
            channels=frozenset(channel.key for channel in configured.channels if not channel.set_aside),
            paused=self.pauses.paused,
            is_listening=lambda: self.listener.is_heard,
            clock=database.clock,
            idle=Purge(self.database, terms, database.clock, heartbeat.purging_at, CLOCKS + storefront.CLOCKS).turn,
        )

        lend = shared_rates(configured, database, is_server=False)
        checks = Checks(configured, database, lend, build=lambda: self.gateways)
        self.check_runner = CheckRunner(database, checks, database.clock)

    def _open_breakers(self) -> dict[tuple[str, str], float]:
        states = (((limit.channel, limit.vendor), limit.limiter.breaker.open_until) for limit in self.limits)
        return {place: until for place, until in states if until is not None}

    def _apply_late(self, connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> None:
        gateway = self.gateways.get((delivery.channel, delivery.gateway))
        effects.apply_late(connection, delivery, settled, now, gateway)

    def start(self) -> None:
        """Begin what every server process does in the background, whether it delivers or not."""
        self.journal.start()
        self.heartbeat.start()
        self.regular_work.start()

    def deliver(self) -> None:
        """Begin to deliver and to run requested checks, for only a process that delivers calls vendors."""
        self.regular_work.add(self.check_runner.turn)
        shops = {channel for (channel, _), gateway in self.gateways.items() if gateway.kept_orders is not None}
        self.regular_work.add(SearchFilling(self.database, self.database.clock, shops).turn)
        if shops:
            self.regular_work.add(OrderQueue(self.database, self.database.clock).turn)
        self._is_delivering = True
        # One that serves callbacks as well is woken by those, and has few connections.
        if self.configured.deliveries == "worker" and self._can_listen:
            self.listener.start()
        self.dispatcher.start()

    def wake(self) -> None:
        """Something may be due: the process that delivers is to look now."""
        if self._is_delivering:
            self.dispatcher.wake()
        elif self._can_listen:
            self.notifier.notify()

    def stop(self) -> None:
        """End the background threads in order; whatever is unfinished stays owed."""
        self.heartbeat.stop()
        self.regular_work.stop()
        self.listener.stop()
        self.dispatcher.stop()
        self.notifier.stop()
        self.keeper.stop()
        self.journal.stop()
        self.database.close()


def create_gateways(configured: Settings, journal: Journal, tools: Tools) -> dict[tuple[str, str], Gateway]:
    """Every gateway of every channel by (key of the channel's records, vendor token)."""
    built = {}
    for channel in configured.channels:
        for fault in channel.set_aside:
            log.error("%s: the channel is set aside, the others run", fault, extra={"channel": channel.name})

        def observe(call: VendorCall, name: str = channel.key) -> None:
            journal.vendor_call(name, call)

        for token in channel.gateways:

            def observe_inbound(request: InboundRequest, name: str = channel.key, token: str = token) -> None:
                journal.inbound(name, token, request)

            lent = replace(
                tools,
                channel=channel.key,
                channel_name=channel.name,
                observe=observe,
                observe_inbound=observe_inbound,
            )
            built[(channel.key, token)] = VENDORS[token].create(channel.vendors[token], lent)
    return built


def prepared(configured: Settings, database: Database) -> Settings:
    """The settings with the keys of the channels' records, which nothing may be served without (R35).

    Where the database is away, or a migration has made of it what this code cannot use, they are found before it is
    used first: a process that takes the place of a dead one must not end the server, whose start has been refused
    already where there is a reason to (`app.serving`).  A process that was composed with other ones ends then, for
    whoever watches over it to begin another.
    """

    def found() -> Settings:
        database.prepare()
        return registration.register(configured, database, database.now())

    def find_late() -> None:
        if found().channels != configured.channels:
            log.error("the channels' records are not those this process began with; it ends so that another begins")
            os.kill(os.getpid(), signal.SIGTERM)
            raise DatabaseUnavailable("this process is about to end")

    try:
        return found()
    except (DatabaseUnavailable, UnfitDatabase) as error:
        log.error("all callbacks are answered with 503 until the database can be used: %s", error)
    configured = replace(
        configured, channels=tuple(replace(channel, record_key=channel.name) for channel in configured.channels)
    )
    database.before_use(find_late)
    return configured


def create_app(configured: Settings | None = None) -> Flask:
    """The web application of one process.

    Raises `SettingsFault` when the configuration cannot be used.  A database that is away, or that this code cannot
    use, is answered with 503 until it can be: a worker that takes a dead one's place must not end the server.
    """
    try:
        configured = configured or settings.load(vendors=VENDORS)
    except SettingsFault as error:
        if settings.runs_under_flask():
            raise click.ClickException(f"the configuration cannot be used:\n{error}") from error
        raise
    logs.configure(configured.log_level, configured.secrets())
    database = Database(configured.database_url, configured.connections_each)
    configured = prepared(configured, database)
    logs.configure(configured.log_level, configured.secrets(), configured.names)
    works = Works(
        configured, database, delivery_threads=INLINE_DELIVERY_THREADS, callback_threads=configured.web_threads
    )
    contract = load_contract()
    services = Services(works.database, works.gateways, works.attempts, database.clock, works.wake, works.keeper)
    receiver = Receiver(configured.channels, accepts_test_key=configured.verify_key)
    dispatcher = CallbackDispatcher(services, raises_on_bad_answer=configured.app_env == "development")

    app = Application(__package__, static_folder=None)
    say_errors_in_json(app)
    app.register_blueprint(
        create_routes(contract, receiver, dispatcher, works.journal, max_body=configured.max_body, budget_s=BUDGET_S)
    )
    app.register_blueprint(
        create_health(
            works.database,
            contract,
            public_url=configured.public_url or f"http://localhost:{configured.port}",
            tokens=(configured.console_token, configured.console_read_token),
            measured=partial(measurements.measured, configured, works.database, works.limits),
        )
    )
    if configured.console_token:
        app.register_blueprint(
            create_console(configured, works.database, works.gateways, sorted(contract.callbacks), works.limits)
        )
    if configured.docs:
        app.register_blueprint(create_docs())
    set_aside = frozenset(
        name for channel in configured.channels if channel.set_aside for name in (channel.name, *channel.former_name)
    )
    for token in sorted({token for _, token in works.gateways}):
        mine = {
            name: works.gateways[(channel.key, token)]
            for channel in configured.channels
            if token in channel.gateways
            for name in (channel.name, *channel.former_name)
        }
        blueprint = inbound(token, mine, set_aside)
        if blueprint is not None:
            app.register_blueprint(blueprint)
    app.extensions["works"] = works
    app.extensions["senders"] = Senders(configured.channels, recogniser(configured))
    if configured.verify_key and configured.app_env == "production":
        log.warning("VERIFY_KEY is on in production: the SDK's public test key is accepted, as a dry run")
    most, processes = configured.database_connections, configured.database_processes
    if not database.is_sqlite and configured.connections_each * processes > most:
        log.warning(
            "DATABASE_CONNECTIONS allows %d in all, and %d processes may have 2 each: raise it", most, processes
        )
    works.start()
    if configured.deliveries == "inline":
        works.deliver()
    return app
