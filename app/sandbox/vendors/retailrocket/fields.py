"""What a body must look like to be taken; a `Failure` names the field and the rule (contract 3, 6.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from app.sandbox.bodies import Failure, Json

LARGEST_ID = 2**53 - 1

_NAME = re.compile(r"[0-9A-Za-z]{1,50}")
_ADDRESS = re.compile(r"https?://\S+")


Rule = Callable[[Any], str]
"""Why a value is wrong, or ""."""


def whole_id(value: Any) -> str:
    is_fit = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID
    return "" if is_fit else "must be a whole number from 1 to 2^53-1"


def whole_ids(value: Any) -> str:
    return "" if isinstance(value, list) and not any(map(whole_id, value)) else "must be a list of ids"


def name(value: Any) -> str:
    is_fit = isinstance(value, str) and _NAME.fullmatch(value)
    return "" if is_fit else "must be at most 50 letters and digits"


def text(value: Any) -> str:
    return "" if isinstance(value, str) and value else "must be a text"


def moment(value: Any) -> str:
    try:
        is_fit = isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        is_fit = False
    return "" if is_fit else "must be an ISO 8601 date-time with offset"


def number(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "" if is_number and value >= 0 else "must be a number not below 0"


def units(value: Any) -> str:
    return "" if not number(value) and value > 0 else "must be above 0"


def flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def price(value: Any) -> str:
    return "" if not number(value) and value > 0 else "must be a price other than 0"


def old_price(value: Any) -> str:
    return "" if value is None or not number(value) else "must be a number or null"


def title(value: Any) -> str:
    return "" if isinstance(value, str) and 0 < len(value) <= 120 else "must be a text of at most 120 characters"


def address(value: Any) -> str:
    is_fit = isinstance(value, str) and len(value) <= 512 and _ADDRESS.fullmatch(value)
    return "" if is_fit else "must be an absolute address of at most 512 characters"


def paths(value: Any) -> str:
    is_fit = isinstance(value, list) and value and all(isinstance(item, str) and item for item in value)
    return "" if is_fit else "must be a list of category paths"


def anything(value: Any) -> str:
    return ""


VISITOR: Mapping[str, Rule] = {"sessionExternalId": name, "timestamp": moment}

EVENTS: Mapping[str, tuple[Mapping[str, Rule], Mapping[str, Rule]]] = {
    "order": (
        {"productId": whole_id, "price": number, "quantity": units, "transaction": text},
        {"stockId": text},
    ),
    "setContact": ({"contactExternalId": name}, {"email": text, "phone": text, "stockId": text}),
    "view": ({"productId": whole_id}, {"stockId": text}),
    "addToBasket": ({"productId": whole_id}, {"stockId": text}),
    "groupView": ({"groupId": whole_id, "productIds": whole_ids}, {"stockId": text}),
    "categoryView": ({"categoryId": whole_id}, {}),
    "categoryViewByCategoryPath": ({"categoryPath": text}, {}),
    "search": ({"searchPhrase": text}, {"stockId": text}),
    "welcomeSequence": ({"email": text}, {}),
    "emailClick": ({"mailTrackingId": text}, {}),
    "recomBlockViewed": ({"recomBlockId": text}, {}),
    "recomTap": ({"recomBlockId": text, "productId": whole_id}, {"stockId": text}),
    "recomAddToBasket": ({"recomBlockId": text, "productId": whole_id}, {"stockId": text}),
    "impressionContentViewed": ({}, {}),
    "impressionContentClicked": ({}, {}),
}
"""Of each event the fields it must and may have besides the visitor's; others are ignored (contract 2.10, 3)."""

PRODUCT: Mapping[str, Rule] = {
    "name": title, "price": price, "url": address, "pictureUrl": address, "isAvailable": flag,
}  # fmt: skip


def check_event(kind: str, body: Any, where: str = "") -> Json:
    """The event as it is kept.  Raises `Failure` 400."""
    if not isinstance(body, dict):
        raise Failure(400, f"{where}{kind} must be an object")
    must, may = EVENTS[kind]
    check(body, {**VISITOR, **must}, may, f"{where}{kind}.")
    return body


def check(body: Json, must: Mapping[str, Rule], may: Mapping[str, Rule], where: str) -> None:
    """Raises `Failure` 400 for the first field that is missing or wrong."""
    for field, rule in must.items():
        if field not in body:
            raise Failure(400, f"{where}{field} is missing")
        if wrong := rule(body[field]):
            raise Failure(400, f"{where}{field} {wrong}")
    for field, rule in may.items():
        if field in body and (wrong := rule(body[field])):
            raise Failure(400, f"{where}{field} {wrong}")
