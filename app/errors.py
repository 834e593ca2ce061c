"""The error family, and the one place that says what each kind means to the caller.

A gateway raises exactly one of four kinds (`Refused`, `Unavailable`, `Misconfigured`, `BrokenReply`);
whether the work may have been done all the same is part of the error, because everything that
follows (an event, a repeat, a look-up, a parked delivery) depends on it.  What answers RetailOps raises
`HttpError`, which carries the HTTP status RetailOps gets.  Anything else is a fault of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

SWITCHED_OFF = "SWITCHED_OFF"
"""Code of an `Unavailable` raised before anything was sent, because somebody at the vendor switched us off: what is
owed waits, without counting tries, until it is switched on again."""


PAUSED = "PAUSED"
"""Code of an `Unavailable` raised before anything was sent, because an operator has paused the gateway: what is owed
waits, without counting tries, until it is resumed."""


class ChannelError(Exception):
    """Base of every error this project raises on purpose."""


class SettingsFault(ChannelError):
    """The configuration cannot be used.  Carries all faults found, never only the first."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class HttpError(ChannelError):
    """A request that gets no 200: the status, a stable code, and a sentence without any value of it."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


def overloaded(what: str = "requests") -> HttpError:
    """The refusal of one request too many of some kind.

    A new one each time: an exception that is raised again keeps the frames, and the bodies, of every time before.
    """
    return HttpError(503, "OVERLOADED", f"too many {what} at once; send again", retry_after_s=10)


class GatewayError(ChannelError):
    """What a gateway verb raises.

    `code` is a stable upper-case word; `message` is a sentence for a person and holds neither a
    secret nor customer data, for it is stored, logged and sent to RetailOps.
    """

    outcome_unknown = False
    """True when the vendor may have done the work although we got no usable answer."""

    def __init__(self, code: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class Refused(GatewayError):
    """The vendor understood and said no; surely not done, and saying it again changes nothing."""

    def __init__(self, code: str, message: str, *, association: tuple[str, str] | None = None) -> None:
        super().__init__(code, message)
        self.association = association
        """The narrowest object the refusal is about (identifier_type, identifier), when known."""


class Unavailable(GatewayError):
    """No answer to go by.  `outcome_unknown` says whether the work may have been done."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        outcome_unknown: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, message, retry_after_s=retry_after_s)
        self.outcome_unknown = outcome_unknown


class Misconfigured(GatewayError):
    """The vendor does not accept our key or a setting is wrong; surely not done; wake the operator."""


class BrokenReply(GatewayError):
    """The vendor answered something that is not its contract; the work may have been done."""

    outcome_unknown = True


@contextmanager
def only_reading() -> Iterator[None]:
    """A `GatewayError` raised inside says that surely nothing was done at the vendor."""
    try:
        yield
    except GatewayError as error:
        error.outcome_unknown = False
        raise
