"""What a shop's own server sends to have a cart made: read as a whole, so that all its faults are answered at once.

A line names its goods by SKU and says how many.  A price, a title or any other field is not read: prices are the
catalogue's.  A SKU that several lines name is added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from app.domain.json_bodies import JsonReader, NotJson
from app.domain.texts import key_fault
from app.errors import ChannelError

MOST_LINES: Final = 200
"""Lines of one request."""

MOST_UNITS: Final = 1_000_000
"""Units of one line."""

LINES: Final = "/line_items"

_read = JsonReader(Decimal).read


class Fault(msgspec.Struct, frozen=True):
    """One rule that the request breaks: a JSON pointer (RFC 6901) to the place, a stable code, and the rule in words.

    Holds no value of the request.
    """

    pointer: str
    code: str
    message: str


class CartRefused(ChannelError):
    """No cart was made.  `status` is the HTTP status, `faults` every rule that was broken."""

    def __init__(self, status: int, *faults: Fault) -> None:
        super().__init__(f"{status} {faults[0].code}")
        self.status = status
        self.faults = faults


@dataclass(frozen=True)
class WantedUnits:
    """One line: `quantity` units of a SKU, and its place in the request."""

    pointer: str
    sku: str
    quantity: int


@dataclass(frozen=True)
class CartRequest:
    """The lines that can be read, and the faults of all others."""

    lines: tuple[WantedUnits, ...]
    faults: tuple[Fault, ...]

    @property
    def units(self) -> dict[str, int]:
        """Units by SKU, in the order in which the SKUs come first."""
        found: dict[str, int] = {}
        for line in self.lines:
            found[line.sku] = found.get(line.sku, 0) + line.quantity
        return found


def read_request(raw: bytes, currency: str) -> CartRequest:
    """The request `{currency, line_items: [{sku, quantity}]}`; `currency` is the one this shop sells in.

    Raises `CartRefused` 400 for what is no JSON object.
    """
    try:
        body, _ = _read(raw)
    except NotJson:
        raise CartRefused(400, Fault("", "NOT_JSON", "the body must be JSON in UTF-8")) from None
    if not isinstance(body, dict):
        raise CartRefused(400, Fault("", "WRONG_TYPE", "the body must be an object"))
    faults = _currency_faults(body, currency)
    lines: list[WantedUnits] = []
    given = body.get("line_items")
    if given is None:
        faults.append(Fault(LINES, "MISSING", "line_items must be there: a list of lines with sku and quantity"))
    elif not isinstance(given, list):
        faults.append(Fault(LINES, "WRONG_TYPE", "line_items must be a list of lines with sku and quantity"))
    elif not given:
        faults.append(Fault(LINES, "MISSING", "line_items must hold at least one line"))
    elif len(given) > MOST_LINES:
        faults.append(Fault(LINES, "TOO_MANY_LINES", f"line_items must hold at most {MOST_LINES} lines"))
    else:
        for at, item in enumerate(given):
            _read_line(item, f"{LINES}/{at}", lines, faults)
    return CartRequest(tuple(lines), tuple(faults))


def catalogue_faults(request: CartRequest, sellable: Mapping[str, int | None]) -> list[Fault]:
    """What of the request cannot be sold.

    `sellable` has the units that can be sold now by SKU, None for a SKU that is not sold at all; a SKU that the
    catalogue does not have is left out.
    """
    faults, requested = [], request.units
    for line in request.lines:
        left = sellable.get(line.sku)
        if line.sku not in sellable:
            faults.append(Fault(f"{line.pointer}/sku", "SKU_UNKNOWN", "the catalogue has no article of this SKU"))
        elif left is None:
            rule = "the SKU is not sold: it is switched off, or has no price in the shop's currency"
            faults.append(Fault(f"{line.pointer}/sku", "SKU_NOT_SOLD", rule))
        elif left <= 0:
            faults.append(Fault(f"{line.pointer}/sku", "SKU_SOLD_OUT", "no unit of the SKU can be sold now"))
        elif requested[line.sku] > left:
            rule = f"{left} units of the SKU can be sold now, counted over all lines that name it"
            faults.append(Fault(f"{line.pointer}/quantity", "NOT_ENOUGH_UNITS", rule))
    return faults


def _currency_faults(body: Mapping[str, Any], currency: str) -> list[Fault]:
    stated = body.get("currency")
    if stated is None:
        return [Fault("/currency", "MISSING", f"currency must be there; this shop sells in {currency}")]
    if not isinstance(stated, str):
        return [Fault("/currency", "WRONG_TYPE", "currency must be text, an ISO 4217 code")]
    if stated.upper() != currency:
        return [Fault("/currency", "CURRENCY_NOT_SOLD", f"this shop sells in {currency}")]
    return []


def _read_line(item: object, pointer: str, lines: list[WantedUnits], faults: list[Fault]) -> None:
    if not isinstance(item, dict):
        faults.append(Fault(pointer, "WRONG_TYPE", "a line must be an object with sku and quantity"))
        return
    sku, quantity = item.get("sku"), item.get("quantity")
    found = [*_sku_faults(sku, f"{pointer}/sku"), *_quantity_faults(quantity, f"{pointer}/quantity")]
    faults += found
    if not found:
        lines.append(WantedUnits(pointer, str(sku), int(quantity or 0)))


def _sku_faults(sku: object, pointer: str) -> list[Fault]:
    if sku is None:
        return [Fault(pointer, "MISSING", "sku must be there")]
    if not isinstance(sku, str):
        return [Fault(pointer, "WRONG_TYPE", "sku must be text")]
    if not sku.strip():
        return [Fault(pointer, "MISSING", "sku must not be blank")]
    if rule := key_fault(sku):
        return [Fault(pointer, "NOT_A_SKU", f"sku {rule}")]
    return []


def _quantity_faults(quantity: object, pointer: str) -> list[Fault]:
    if quantity is None:
        return [Fault(pointer, "MISSING", "quantity must be there")]
    if isinstance(quantity, bool) or not isinstance(quantity, int | Decimal):
        return [Fault(pointer, "WRONG_TYPE", "quantity must be a number")]
    # The range first: it keeps a number such as 1e999999 from being written out.
    if not 1 <= quantity <= MOST_UNITS or quantity != int(quantity):
        return [Fault(pointer, "QUANTITY", f"quantity must be a whole number from 1 to {MOST_UNITS}")]
    return []
