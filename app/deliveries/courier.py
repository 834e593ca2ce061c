"""One attempt at one owed call: look up first where that is due, send, and say what became of it.

The courier holds no transaction and no lock while the vendor is busy (R8).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from datetime import datetime

from app.clock import utc_now
from app.deliveries import transitions
from app.deliveries.transitions import Delivery, Settled
from app.errors import BrokenReply, GatewayError, Misconfigured, Unavailable
from app.gateways.interface import Call, Gateway, Verb, look_up, perform
from app.gateways.policy import Deadline
from app.records.database import DatabaseUnavailable
from app.transport import sent

log = logging.getLogger(__name__)


class Courier:
    """Knows every gateway of the process by (channel, vendor token)."""

    def __init__(
        self,
        gateways: Mapping[tuple[str, str], Gateway],
        *,
        clock: Callable[[], datetime] = utc_now,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self._gateways = gateways
        self._clock = clock
        self._roll = roll

    def attempt(self, delivery: Delivery, deadline: Deadline, *, is_inline: bool) -> Settled:
        """Try once.  Never raises: a fault of ours is logged and tried again later, as is a database that is away.

        Before the first call that may change something at the vendor neither leaves an unknown outcome.
        """
        before = sent.writes()
        error: GatewayError
        try:
            return self._attempt(delivery, deadline, is_inline)
        except DatabaseUnavailable:
            error = BrokenReply("RECORDS_UNAVAILABLE", "this server's database went away while the call was made")
        except Exception:
            log.exception("delivery %s: %s failed inside this server", delivery.id, delivery.verb)
            error = BrokenReply("INTERNAL_FAULT", "this server could not make the call; see its log")
        if sent.writes() == before:
            error = Unavailable(error.code, error.message)
        return transitions.after_error(
            delivery, self._verb(delivery), error, now=self._clock(), is_inline=is_inline, roll=self._roll()
        )

    def _verb(self, delivery: Delivery) -> Verb:
        """How the call behaves; one that nobody carries out any more is kept, for the gateway may come back."""
        gateway = self._gateways.get((delivery.channel, delivery.gateway))
        verb = gateway.verbs.get(delivery.verb) if gateway else None
        return verb if isinstance(verb, Verb) else Verb("safe")

    def _attempt(self, delivery: Delivery, deadline: Deadline, is_inline: bool) -> Settled:
        now = self._clock()
        gateway = self._gateways.get((delivery.channel, delivery.gateway))
        verb = self._verb(delivery)
        if gateway is None or not isinstance(gateway.verbs.get(delivery.verb), Verb):
            error = Misconfigured("GATEWAY_GONE", "the channel no longer has this gateway")
            return transitions.after_error(delivery, verb, error, now=now, is_inline=is_inline, roll=self._roll())
        call = Call(deadline, delivery.request_id, "command")
        if transitions.must_park(delivery, verb):
            return transitions.parked_as_unknown(delivery, now)
        if transitions.must_look_up(delivery, verb):
            try:
                found = look_up(gateway, delivery.verb, delivery.body, call)
            except GatewayError as error:
                return transitions.after_look_up_error(delivery, error, now=now, roll=self._roll())
            if found is not None:
                return transitions.after_acceptance(delivery, found, now)
            if not transitions.may_send_again(delivery, verb, gateway.settle_s, now):
                return transitions.after_empty_look_up(delivery, verb, gateway.settle_s, now)
        try:
            accepted = perform(gateway, delivery.verb, delivery.body, call)
        except GatewayError as error:
            return transitions.after_error(
                delivery, verb, error, now=self._clock(), is_inline=is_inline, roll=self._roll()
            )
        return transitions.after_acceptance(delivery, accepted, self._clock())
