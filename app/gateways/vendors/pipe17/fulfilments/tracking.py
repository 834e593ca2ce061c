"""Corrects a package: its fulfilment is frozen, so number, carrier and date go into a tracking beside it (R24)."""

from __future__ import annotations

from collections import Counter

from app.domain.commands import Package
from app.domain.events import Event, about
from app.errors import SWITCHED_OFF, Misconfigured, Refused, Unavailable
from app.gateways.calls import Accepted, Call
from app.gateways.vendors.pipe17.connection.api import FORBIDDEN
from app.gateways.vendors.pipe17.connection.integration import Integration
from app.gateways.vendors.pipe17.fulfilments.fulfilments import KILOGRAM, Fulfillment, Fulfilments

NO_GRANT = "this key may not write trackings"


def correct(package: Package, integration: Integration, fulfilments: Fulfilments, call: Call) -> Accepted:
    """Number, carrier and date go into a tracking; what else differs from the fulfilment is a warning.

    Where one part is carried and another is not, there is an event for both; one also says that the grant is missing.
    Raises `Unavailable` while Pipe17 does not show the fulfilment, which may have been made a moment ago.
    """
    is_sent, reason = _corrected(package, integration, fulfilments, call)
    if not reason:
        return Accepted()
    named = about("shipment_id", package.retailops_shipment_id) or about("order_refnum", package.order_refnum)
    message = f"the package was registered before and Pipe17 cannot change it: {reason}"
    events = [Event("warning", "CANNOT_CORRECT", message, named)]
    if is_sent:
        message = "the package was registered before; its number, carrier and ship date at Pipe17 are corrected"
        events.insert(0, Event("info", "SHIPMENT_CORRECTED", message, named))
    return Accepted(tuple(events))


def _corrected(package: Package, integration: Integration, fulfilments: Fulfilments, call: Call) -> tuple[bool, str]:
    """Whether a tracking was written, and what Pipe17 has otherwise than the package says; "" for nothing.

    A key without the grant is no error (R24).
    """
    with integration.using("fulfillments", call):
        made = fulfilments.find_package(package, call)
    if made is None or not made.fulfillment_id:
        raise Unavailable("FULFILLMENT_NOT_SHOWN", "pipe17 does not show the fulfilment of this package yet")
    if not package.tracking_number or not (package.carrier_name or made.carrier):
        return False, "it has no tracking number or no carrier"
    try:
        with integration.using("trackings", call):
            is_sent = fulfilments.track(package, made, call)
    except Refused as error:
        return False, f"Pipe17 refused the tracking ({error.code})"
    except Misconfigured as error:
        if error.code != FORBIDDEN:
            raise
        return False, NO_GRANT
    except Unavailable as error:
        if error.code != SWITCHED_OFF or not integration.lacks_grant("trackings"):
            raise
        return False, NO_GRANT
    frozen = _frozen(made, package)
    kept = f"only number, carrier and ship date can be sent; it keeps the earlier {frozen}" if frozen else ""
    return is_sent, kept


def _frozen(made: Fulfillment, package: Package) -> str:
    """What the fulfilment says otherwise and no tracking can hold, by name; "" for nothing."""
    units = Counter[str]()
    for line in package.lines:
        units[line.line_refnum] += line.quantity
    has_other_class = package.carrier_class_name not in ("", made.carrier_class)
    has_other_weight = made.weight_unit == KILOGRAM and made.weight not in (None, package.weight_kg)
    has_other_units = bool(made.units) and made.units != units
    named = {"service class": has_other_class, "weight": has_other_weight, "contents": has_other_units}
    return " and ".join(name for name, is_other in named.items() if is_other)
