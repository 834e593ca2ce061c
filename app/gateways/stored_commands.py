"""Carries out a command as it is stored: finds the method of its verb and reads its body back."""

from __future__ import annotations

import msgspec

from app.domain.commands import COMMANDS, OBSERVATIONS, CommandBody
from app.errors import Refused
from app.gateways.calls import Accepted, Call
from app.gateways.capabilities import Gateway


def perform(gateway: Gateway, verb: str, body: bytes, call: Call) -> Accepted:
    """Carry out a stored command.

    Raises a `GatewayError`; a body that no longer fits its verb is a final `Refused`.
    """
    accepted: Accepted = getattr(gateway.commands, verb)(command_body(verb, body), call)
    return accepted


def look_up(gateway: Gateway, verb: str, body: bytes, call: Call) -> Accepted | None:
    """Ask the vendor whether a stored command of unknown outcome was done."""
    return gateway.commands.look_up(verb, command_body(verb, body), call)


def command_body(verb: str, body: bytes) -> CommandBody:
    """The body of a stored command, read back.  Raises `Refused` when it cannot be."""
    try:
        return msgspec.json.decode(body, type=COMMANDS.get(verb) or OBSERVATIONS[verb])
    except (KeyError, msgspec.DecodeError) as error:
        raise Refused("UNREADABLE_DELIVERY", "the stored call does not fit its verb") from error
