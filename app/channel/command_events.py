"""The events that report to RetailOps what became of a command's calls to vendors (R8, R10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.domain.events import Event
from app.records.deliveries import NEVER_KNOWN
from app.records.outbox import CallReport, Owed

GIVING_BACK = ("return_order", "refund_payment")
"""The verbs of money this server itself owes the customer (R10)."""

RESTATING = ("correct_shipment", "acknowledge_order", "complete_order", "record_return")
"""Verbs of which a later call for the same command replaces what an earlier one said."""

CANNOT_CORRECT = "CANNOT_CORRECT"
"""The code by which a vendor says that it took a correction and cannot change what it has."""

CORRECTED = ("SHIPMENT_CORRECTED", "RETURN_CORRECTED", "COMPLETION_CORRECTED", "RETAILOPS_ID_ADDED")
"""Codes of the `info` events that go with a correction on its way to the vendor (R9)."""


def events_of_command(
    own: Sequence[Event], reports: Sequence[CallReport], is_vendors_decision: Callable[[str, str], bool]
) -> list[Event]:
    """This server's own events of a command, then those of its calls; the function is given a gateway and a verb.

    Without the event that a correction was sent on where the vendor says that it cannot take it.
    """
    of_calls = [
        event
        for report in _newest(reports)
        for event in events_of_call(report, is_held=is_vendors_decision(report.gateway, report.verb))
    ]
    is_refused = any(event.event_type == "error" or event.code == CANNOT_CORRECT for event in of_calls)
    return [*(event for event in own if not (is_refused and event.code in CORRECTED)), *of_calls]


def _newest(reports: Sequence[CallReport]) -> list[CallReport]:
    """The calls whose outcome still counts: of a call that states everything anew, the last of its kind."""
    last = {(report.gateway, report.verb): report for report in reports}
    return [report for report in reports if report.verb not in RESTATING or last[report.gateway, report.verb] is report]


def busy_event(owed: Owed) -> Event:
    """A call that the vendor decides was not begun, for earlier calls of its order have no outcome yet."""
    message = f"earlier calls for this order are still owed to {owed.gateway}; nothing was done, send again"
    return Event("error", "EARLIER_CALLS_OWED", message, owed.about)


def events_of_call(report: CallReport, *, is_held: bool) -> list[Event]:
    """What RetailOps is sent about one call to a vendor, by what has become of it so far.

    `is_held` is true where the vendor decides: then a call without an outcome is no success.  A process
    that was killed in the middle of one leaves it owed, and whether it was done is unknown yet (R10).
    """
    gateway, about = report.gateway, report.about
    reason = f" ({report.code})" if report.code else ""
    state = "checking" if is_held and report.state in ("owed", "parked") else report.state
    match state:
        case "delivered":
            return list(report.events)
        case "owed" | "parked" if report.verb in GIVING_BACK:
            message = f"the refund is kept here; {gateway} has not accepted it yet{reason}"
            return [Event("warning", "REFUND_OWED", message, about)]
        case "refused" if report.verb == "refund_payment":
            message = f"{gateway} refused to give the money back{reason}; an operator has to look"
            return [Event("warning", "REFUND_REFUSED", message, about)]
        case "owed" if not report.code and not about:
            return []
        case "owed" if not report.code:
            message = f"{gateway} is told after the earlier calls for this order"
            return [Event("warning", "QUEUED", message, about)]
        case "owed":
            message = f"kept here; {gateway} has not taken it yet{reason} and is tried again"
            return [Event("warning", "OWED", message, about)]
        case "checking":
            message = f"{gateway} gave no usable answer{reason}; it is being found out, send again to learn it"
            return [Event("error", "OUTCOME_UNKNOWN", message, about)]
        case "parked":
            message = f"kept here; {gateway} did not take it{reason}, an operator has to decide"
            return [Event("warning", "PARKED", message, about)]
        case "dropped" if report.code == NEVER_KNOWN:
            message = f"nobody found out whether {gateway} did it; an operator gave up looking"
            return [Event("error", "OUTCOME_UNKNOWN", message, about)]
        case "dropped":
            return [Event("warning", "GIVEN_UP", f"an operator gave up telling {gateway}{reason}", about)]
    return [Event("error", report.code, report.message, about)]
