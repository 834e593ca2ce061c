"""Reads our own integration at Pipe17 from time to time: its toggle, its settings, what it may do.

Pipe17 only stores these; obeying them is this code's duty (contract 1.2, 4.1).  With a bare API key there
is nothing to read: channels.toml alone counts, and a missing grant is a fault of the key.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from app.errors import SWITCHED_OFF, GatewayError, Misconfigured, Refused, Unavailable
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import NOT_FOUND, NOT_PIPE17, Api, NoGrant
from app.gateways.vendors.pipe17.connection.connector_settings import merged
from app.gateways.vendors.pipe17.connection.integration_record import (
    OFF_STATUSES,
    TICKS,
    Flow,
    IntegrationRecord,
    IntegrationState,
    OnceLog,
    count_rules,
)
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.wire_objects import read

PATH: Final = "/integrations"
MAPPINGS: Final = "/mappings"

CONNECTED: Final = "connected"
ERROR: Final = "error"

OFF_REFRESH_S: Final = 60.0
"""While everything is off the switch is looked at this often, so that turning it on is noticed."""

RETRY_S: Final = 30.0
"""After a refresh that failed, what was read before counts for so long."""

SPARE_S: Final = 4.0
"""Reporting our state and reading field mappings are left out of a call that has less time than this."""

log = logging.getLogger(__name__)


class FlowOff(Unavailable):
    """A flow that does not run now, so that nothing was done."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(SWITCHED_OFF, message, retry_after_s=retry_after_s)


class Integration:
    """One integration as the gateway sees it.  Thread-safe; asks Pipe17 lazily and never holds a lock meanwhile."""

    def __init__(self, api: Api, heed_hints: Callable[[], None] | None) -> None:
        self._api = api
        self._heed_hints = heed_hints  # None where no webhook can come
        self._id = api.integration_id
        self._refresh_s = api.options.integration_refresh_s
        self._local = IntegrationState(api.options)
        """What counts where nothing can be read."""
        self._lock = threading.Lock()
        self._read = None if self._id and self._refresh_s else self._local
        self._due_at = 0.0
        self._is_refreshing = False
        self._no_grant: dict[Flow, str] = {}
        self._log = OnceLog(api.channel)
        self._may_report = True

    def settings(self, call: Call) -> Pipe17Options:
        """What counts now.  Raises a `GatewayError` only while it has never been read."""
        return self._current(call).settings

    def why_off(self, flow: Flow, call: Call) -> str:
        """Why the flow does not run now, or "".  Raises as `settings` does."""
        return self._why(flow, self._current(call))

    @contextmanager
    def using(self, flow: Flow, call: Call) -> Iterator[Pipe17Options]:
        """The settings, for as long as the flow is used.

        Raises `FlowOff` while the flow is off; a 403 inside switches it off until the next refresh and goes on as the
        error it is.
        """
        current = self._current(call)
        if why := self._why(flow, current):
            raise FlowOff(f"the flow '{flow}' is off: {why}", retry_after_s=min(OFF_REFRESH_S, self._refresh_s))
        try:
            yield current.settings
        except NoGrant as error:
            if self._id:
                self._no_grant[flow] = f"Pipe17 gave no grant ({error.code}): {error.message}"
                self._log.flow(flow, self._no_grant[flow])
            raise
        if self._log.why_off.get(flow):
            self._log.flow(flow, self._why(flow, self.last))  # It had no grant, and was tried again.

    def lacks_grant(self, flow: Flow) -> bool:
        """Whether Pipe17 answered 403 to this flow since the last refresh."""
        return flow in self._no_grant

    def permissions(self) -> dict[str, str]:
        """By flow why it is off, "" where it is on, by what was read last; no call is made."""
        current = self.last
        return {flow: self._why(flow, current) for flow in TICKS}

    @property
    def last(self) -> IntegrationState:
        """What counted when it was read last; no call is made."""
        return self._read or self._local

    def look(self, call: Call) -> IntegrationState:
        """Read it now and report nothing to Pipe17; its `record` is None where it is not shown.

        Raises a `GatewayError` where asking again may help.
        """
        found = self._ask(self._read, call)
        with self._lock:
            self._read = found
        return found

    def field_mappings(self, record: IntegrationRecord, call: Call) -> Iterator[tuple[str, int | None]]:
        """Entity and number of enabled rules of each field mapping; None where it cannot be read.

        They are counted and named, and not applied (contract 4.1: v1).
        """
        for entity, uuid in record.mappings.items():
            try:
                yield entity, count_rules(self._api.read_one(MAPPINGS, uuid, call))
            except GatewayError as error:
                log.info(
                    "channel %s: pipe17's mapping of %s cannot be read (%s)", self._api.channel, entity, error.code
                )
                yield entity, None

    def report(self, problem: str, call: Call) -> None:
        """Report on Pipe17's pages what keeps us from working, or with "" that nothing does.

        Never raises and never touches an integration that is switched off.  Without the grant it is only logged.
        """
        with self._lock:
            record = self._read.record if self._read else None
            may_report = self._may_report
        if problem and self._log.is_news(f"problem: {problem}"):
            log.warning("channel %s: pipe17's integration cannot work: %s", self._api.channel, problem)
        status = ERROR if problem else CONNECTED
        if record is None or record.status in OFF_STATUSES or not may_report or call.deadline.left_s() < SPARE_S:
            return
        if (record.status, record.error_text if problem else "") == (status, problem):
            return
        try:
            self._api.change(PATH, self._id, {"status": status, "errorText": problem}, call)
        except GatewayError as error:
            with self._lock:
                self._may_report = False
            log.info("channel %s: our state '%s' is not sent to pipe17 (%s)", self._api.channel, status, error.code)
            return
        with self._lock:
            if self._read is not None and self._read.record is record:
                self._read = replace(self._read, record=replace(record, status=status, error_text=problem))

    def _current(self, call: Call) -> IntegrationState:
        """Every use begins here, so hints are heeded here for all that was read of Pipe17."""
        if self._heed_hints is not None:
            self._heed_hints()
        if not self._id or not self._refresh_s:
            assert self._read is not None
            return self._read
        with self._lock:
            before = self._read
            if before is not None and (self._is_refreshing or self._api.now() < self._due_at):
                return before
            self._is_refreshing = True
        try:
            return self._refresh(before, call)
        finally:
            with self._lock:
                self._is_refreshing = False

    def _refresh(self, before: IntegrationState | None, call: Call) -> IntegrationState:
        requested_at = self._api.now()
        try:
            found = self._ask(before, call)
        except GatewayError as error:
            if before is None:
                raise
            log.info("channel %s: pipe17's integration cannot be read now (%s)", self._api.channel, error.code)
            with self._lock:
                self._due_at = self._api.now() + min(RETRY_S, self._refresh_s)
            return before
        is_off = found.why_all_off != ""
        pause_s = min(OFF_REFRESH_S, self._refresh_s) if is_off else self._refresh_s
        with self._lock:
            self._read = found
            self._due_at = requested_at + pause_s
            self._may_report = True
        # What has no grant is tried again, and counts as off until that has succeeded.
        for flow in TICKS:
            self._log.flow(flow, self._why(flow, found))
        self._no_grant.clear()
        if found.record is not None and not is_off:
            self._log_mappings(found.record, call)
            if found.record.status != ERROR:
                self.report("", call)
        return found

    def _ask(self, before: IntegrationState | None, call: Call) -> IntegrationState:
        """Raises a `GatewayError` where asking again may help."""
        record: IntegrationRecord | None = None
        try:
            row = self._api.read_one(PATH, self._id, call)
        except (Misconfigured, Refused) as error:
            if error.code in ("HTTP_401", NOT_PIPE17, "REDIRECTED"):
                raise
            why = f"does not let its integration be read ({error.code})"
        else:
            if row is None and before is not None and (before.record is not None or before.is_gone):
                return IntegrationState(before.settings, is_gone=True)
            record = read(IntegrationRecord, row)
            why = "shows its integration in a form that cannot be read"
            if row is None:
                why = f"shows no such integration ({NOT_FOUND})"
        if record is None:
            self._log.warn(f"pipe17 {why}; channels.toml alone counts")
            return self._local
        settings, problems = merged(self._api.options, record.values)
        for problem in problems:
            self._log.warn(f"a setting of the integration in pipe17 is left out: {problem}")
        return IntegrationState(settings, record, problems=tuple(problems))

    def _why(self, flow: Flow, current: IntegrationState) -> str:
        return current.why_off[flow] or self._no_grant.get(flow, "")

    def _log_mappings(self, record: IntegrationRecord, call: Call) -> None:
        if call.deadline.left_s() < SPARE_S or not self._log.is_news("mappings " + " ".join(record.mappings.values())):
            return
        for entity, count in self.field_mappings(record, call):
            if count:
                message = "channel %s: pipe17 has %s field mapping rules for %s; this server does not apply them"
                log.info(message, self._api.channel, count, entity)
