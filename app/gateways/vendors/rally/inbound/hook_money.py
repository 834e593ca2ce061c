"""Reads what Rally says of money: transactions, how the shopper paid, what shipping costs more (contract 3.5, 4.9)."""

from __future__ import annotations

import logging
import re
from typing import Final

from app.domain.lenient_values import BadBody, Json, amount, entries, identifier, mapping, text
from app.domain.texts import UNREADABLE, key_fault
from app.storefront.digests import digest
from app.storefront.order_document import PaymentMethod, Transaction
from app.storefront.requests import AddedShipping

_KIND_FIELDS: Final = ("type", "kind", "transaction_type", "payment_type", "payment_method_name")
_NOT_A_CHARGE: Final = re.compile(
    r"auth|gift|tip\b|tips\b|store.?credit|voucher|loyalty|deposit|partial", re.IGNORECASE
)
_PART_FIELDS: Final = re.compile(
    r"tip|tip_amount|gratuity|gift_?card.*|gift_?certificate.*|store_?credit.*", re.IGNORECASE
)
"""Names under which a checkout may state that money was taken in another way or in part.  Rally documents none of
them (contract 4.9), so they only ever keep an order from being refused."""

log = logging.getLogger(__name__)


def transactions(body: Json) -> list[Transaction]:
    """Raises `BadBody` for one without a readable amount.

    One whose id cannot be a key of ours, or that has none, is kept under a digest of it or of all it says: the money
    was taken.
    """
    found = []
    faults = []
    for item in entries(body.get("transactions")):
        own_id = identifier(item.get("external_id"))
        if fault := key_fault(own_id):
            faults.append(fault)
        # Of an id that could not be read, two may look alike.
        is_known = own_id and UNREADABLE not in own_id
        key = own_id if own_id and not fault else f"tx-{digest(own_id if is_known else item)}"
        found.append(Transaction(external_id=key, amount=amount(item.get("amount"))))
    if faults:
        message = "the ids of %s transactions are kept under digests; the first %s"
        log.warning(message, len(faults), faults[0])
    return found


def names_other_money(body: Json) -> bool:
    """Whether the transactions are said to be more or less than one charge of all: an authorisation, a part, a tip."""
    rows = entries(body.get("transactions"))
    kinds = (text(row.get(name)) for row in rows for name in _KIND_FIELDS)
    return any(_NOT_A_CHARGE.search(kind) for kind in kinds) or any(
        value and _PART_FIELDS.fullmatch(name) for row in (body, *rows) for name, value in row.items()
    )


def payment_method(body: Json) -> PaymentMethod | None:
    """How it was paid, None where nothing says so: such an order is not placed (contract 4.10).

    A text is the method's code, as Rally's snapshots have it (contract 4.1).  Raises `BadBody` for any other kind:
    an order that was paid must not be taken for one that was not.
    """
    stated = body.get("payment_method")
    if isinstance(stated, str):
        stated = {"payment_method_name": stated} if stated.strip() else {}
    if stated and not isinstance(stated, dict):
        raise BadBody
    given = mapping(stated)
    found = PaymentMethod(
        method_name=text(given.get("payment_method_name")),
        processor_name=text(given.get("payment_processor_name")),
        card_brand=text(given.get("card_brand")),
        last4=text(given.get("last4"))[-4:],
    )
    return found if given else None


def added_shipping(body: Json) -> AddedShipping | None:
    """`shipping_costs.new`, or None where it costs nothing.  Raises `BadBody`."""
    given = mapping(mapping(body.get("shipping_costs")).get("new"))
    if not given:
        return None
    tax = amount(given.get("tax_amount") or 0)
    total = amount(given["total"]) if given.get("total") is not None else amount(given.get("subtotal") or 0) + tax
    subtotal = amount(given["subtotal"]) if given.get("subtotal") is not None else total - tax
    if total <= 0:
        return None
    if subtotal < 0 or tax < 0:
        raise BadBody
    return AddedShipping(subtotal, tax)
