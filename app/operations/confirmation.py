"""Records an operator's word that a vendor has done an open call: it counts as delivered, with all that follows.

Only a person can know that of a call whose outcome is unknown and whose vendor cannot be asked (R11).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from app.channel import effects
from app.deliveries import operating
from app.errors import Refused
from app.gateways.interface import Gateway, command_body


def confirm(
    connection: Connection, gateway: Gateway | None, row: Row[Any], *, refnum: str, because: str, now: datetime
) -> bool:
    """Inside a transaction that is serial for the order.  False, and nothing written, when the call changed meanwhile.

    `refnum` is the vendor's own number of what it did, or "".
    """
    confirmed = operating.confirm(connection, row, refnum, because, now)
    if confirmed is None:
        return False
    delivery, settled = confirmed
    if gateway is not None:
        with suppress(Refused):  # its body no longer fits its verb
            gateway.note_done(connection, delivery.verb, command_body(delivery.verb, delivery.body))
    effects.apply_late(connection, delivery, settled, now, gateway)
    return True
