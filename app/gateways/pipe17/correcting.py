"""A package told before is told otherwise: its fulfilment is frozen, so a tracking number stands beside it (R24)."""

from __future__ import annotations

from collections import Counter

from app.errors import SWITCHED_OFF, Misconfigured, Refused, Unavailable
from app.gateways import words
from app.gateways.interface import Accepted, Call
from app.gateways.pipe17.fulfilling import Fulfilling
from app.gateways.pipe17.integration import FORBIDDEN, Integration
from app.gateways.pipe17.payloads import KILOGRAM, Fulfillment
from app.gateways.words import Event, about

NO_GRANT = "this key may not write trackings"


class Correcting:
    """Where the grant for trackings is missing, RetailOps is told that nothing could be mended."""

    def __init__(self, integration: Integration, fulfilling: Fulfilling) -> None:
        self._integration = integration
        self._fulfilling = fulfilling

    def correct(self, package: words.Package, call: Call) -> Accepted:
        """Only a tracking number can be mended; anything else is a warning."""
        if not package.tracking_number or not package.carrier_name:
            reason = "it has no tracking number or no carrier"
        else:
            reason = self._why_not_tracked(package, call)
        if not reason:
            return Accepted()
        named = about("shipment_id", package.retailops_shipment_id) or about("order_refnum", package.order_refnum)
        message = f"the package was registered before and Pipe17 cannot change it: {reason}"
        return Accepted((Event("warning", "CANNOT_CORRECT", message, named),))

    def _why_not_tracked(self, package: words.Package, call: Call) -> str:
        """Empty when Pipe17 has the tracking; a key without the grant is no error (R24)."""
        with self._integration.using("fulfillments", call):
            made = self._fulfilling.find(package.order_refnum, package.key, call)
        if made is None or not made.fulfillment_id:
            return "Pipe17 shows no fulfilment of it"
        try:
            with self._integration.using("trackings", call):
                is_mended = self._fulfilling.track(package, made, call)
        except Refused as error:
            return f"Pipe17 refused the tracking ({error.code})"
        except Misconfigured as error:
            if error.code != FORBIDDEN:
                raise
            return NO_GRANT
        except Unavailable as error:
            if error.code != SWITCHED_OFF or not self._integration.lacks_grant("trackings"):
                raise
            return NO_GRANT
        return "" if is_mended and _holds(made, package) else "only its tracking number could be told"


def _holds(made: Fulfillment, package: words.Package) -> bool:
    """Whether what Pipe17 shows of the fulfilment, but for its tracking number, is still true of the package."""
    is_other_weight = made.weight_unit == KILOGRAM and made.weight not in (None, package.weight_kg)
    units = Counter[str]()
    for line in package.lines:
        units[line.line_refnum] += line.quantity
    return not is_other_weight and (not made.units or made.units == units)
