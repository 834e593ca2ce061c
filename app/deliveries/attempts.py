"""Makes one attempt at one owed call: looks it up at the vendor where needed, sends it, reports the outcome.

An attempt holds no transaction and no lock while the vendor is busy (R8).
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from app import caller
from app.clock import utc_now
from app.deadline import Deadline
from app.deliveries import transitions
from app.domain.commands import CommandBody
from app.errors import BrokenReply, GatewayError, Misconfigured, Refused, Unavailable
from app.gateways.calls import Accepted, Call, Verb
from app.gateways.capabilities import CommandTarget, Gateways
from app.records.database import DatabaseUnavailable
from app.records.deliveries import Delivery, Settled

log = logging.getLogger(__name__)


def perform(target: CommandTarget, verb: str, body: CommandBody, call: Call) -> Accepted:
    """Carry out a command by the method of its verb.  Raises a `GatewayError`."""
    accepted: Accepted = getattr(target, verb)(body, call)
    return accepted


def _command(delivery: Delivery) -> CommandBody:
    """What it says.  Raises `Refused` where that cannot be read."""
    if delivery.command is None:
        raise Refused("UNREADABLE_DELIVERY", "the stored call does not fit its verb")
    return delivery.command


class Attempts:
    """Makes attempts through the gateways of the process, by (channel, vendor token)."""

    def __init__(
        self,
        gateways: Gateways,
        *,
        clock: Callable[[], datetime] = utc_now,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self._gateways = gateways
        self._clock = clock
        self._roll = roll

    def make(self, delivery: Delivery, deadline: Deadline, *, is_inline: bool) -> Settled:
        """Try once.  Never raises: a fault of ours is logged and tried again later, as is a database that is away.

        Before the first call that may change something at the vendor neither leaves an unknown outcome.
        """
        begun_at, begun_s = self._clock(), time.monotonic()
        settled = self._made(delivery, deadline, is_inline)
        return replace(settled, begun_at=begun_at, ms=int((time.monotonic() - begun_s) * 1000))

    def _made(self, delivery: Delivery, deadline: Deadline, is_inline: bool) -> Settled:
        before = caller.vendor_writes.get()
        error: GatewayError
        gateway = self._gateways.get((delivery.channel, delivery.gateway))
        settle_s = gateway.settle_s if gateway else 0.0
        try:
            return self._attempt(delivery, deadline, is_inline, settle_s)
        except DatabaseUnavailable:
            error = BrokenReply("RECORDS_UNAVAILABLE", "this server's database went away while the call was made")
        except Exception:
            log.exception("delivery %s: %s failed inside this server", delivery.id, delivery.verb)
            error = BrokenReply("INTERNAL_FAULT", "this server could not make the call; see its log")
        if caller.vendor_writes.get() == before:
            error = Unavailable(error.code, error.message)
        return self._after_error(delivery, error, settle_s, is_inline=is_inline)

    def _after_error(self, delivery: Delivery, error: GatewayError, settle_s: float, *, is_inline: bool) -> Settled:
        now = self._clock()
        settled = transitions.after_error(
            delivery, self._verb(delivery), error, now=now, is_inline=is_inline, roll=self._roll()
        )
        return replace(settled, late_until=transitions.late_after(delivery, error, settle_s, now))

    def _verb(self, delivery: Delivery) -> Verb:
        """How the call behaves; one that nobody carries out any more is kept, for the gateway may come back."""
        gateway = self._gateways.get((delivery.channel, delivery.gateway))
        verb = gateway.commands.verbs.get(delivery.verb) if gateway else None
        return verb if isinstance(verb, Verb) else Verb("safe")

    def _attempt(self, delivery: Delivery, deadline: Deadline, is_inline: bool, settle_s: float) -> Settled:
        now = self._clock()
        gateway = self._gateways.get((delivery.channel, delivery.gateway))
        verb = self._verb(delivery)
        if gateway is None or not isinstance(gateway.commands.verbs.get(delivery.verb), Verb):
            error = Misconfigured("GATEWAY_GONE", "the channel no longer has this gateway")
            return self._after_error(delivery, error, settle_s, is_inline=is_inline)
        call = Call(deadline, delivery.request_id, "command")
        late_until = transitions.late_until(delivery, settle_s)
        if transitions.must_park(delivery, verb):
            return replace(transitions.parked_as_unknown(delivery, now), late_until=late_until)
        if transitions.must_look_up(delivery, verb):
            try:
                found = gateway.commands.look_up(delivery.verb, _command(delivery), call)
            except GatewayError as error:
                failed = transitions.after_look_up_error(delivery, error, now=now, roll=self._roll())
                return replace(failed, late_until=late_until)
            if found is not None:  # it has arrived
                return transitions.after_acceptance(delivery, found, now)
            if not transitions.may_send_again(delivery, verb, gateway.settle_s, now):
                empty = transitions.after_empty_look_up(delivery, verb, gateway.settle_s, now)
                return replace(empty, late_until=late_until)
        try:
            accepted = perform(gateway.commands, delivery.verb, _command(delivery), call)
        except GatewayError as error:
            return self._after_error(delivery, error, settle_s, is_inline=is_inline)
        return replace(transitions.after_acceptance(delivery, accepted, self._clock()), late_until=late_until)
