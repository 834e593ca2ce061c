"""The CSV uploads: sales history and subscribers, with the side effect that consent is for (contract 2.8, 2.9)."""

from __future__ import annotations

import csv
import io
import re

from app.sandbox.bodies import Failure
from app.sandbox.vendors.retailrocket.state import State

MOST_BYTES = 4 * 1024 * 1024

_DATE = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d( [+-]\d\d)?)?")


def take_orders(state: State, body: bytes) -> int:
    """How many rows were taken.  Raises `Failure` for a file that is too large or has a wrong row."""
    rows = _rows(state, body)
    taken = []
    for place, row in enumerate(rows, 1):
        if len(row) != 6:
            raise Failure(400, f"row {place} must have six columns")
        at, transaction, number, price, email, quantity = row
        if not _DATE.fullmatch(at):
            raise Failure(400, f"row {place}: the first column must be a date; a header row is not allowed")
        if not transaction or not number.isdigit() or "@" not in email:
            raise Failure(400, f"row {place}: order number, product id or e-mail is wrong")
        try:
            is_fit = float(price) >= 0 and float(quantity) > 0
        except ValueError:
            is_fit = False
        if not is_fit:
            raise Failure(400, f"row {place}: price or quantity is wrong")
        taken.append(
            {"date": at, "transaction": transaction, "productId": int(number), "price": float(price),
             "email": email, "quantity": float(quantity)}
        )  # fmt: skip
    state.csv_orders += taken
    for order in taken:
        state.subscribers.setdefault(str(order["email"]), {"source": "order upload", "is_subscribed": True})
    return len(taken)


def take_subscribers(state: State, body: bytes) -> int:
    """How many rows were taken.  Raises `Failure`."""
    rows = _rows(state, body)
    if not rows or [name.strip() for name in rows[0][:2]] != ["Email", "IsSubscribed"]:
        raise Failure(400, "the header row must begin with Email,IsSubscribed")
    for place, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]) or "@" not in row[0] or row[1].lower() not in ("true", "false"):
            raise Failure(400, f"row {place} is wrong")
    for row in rows[1:]:
        state.subscribers[row[0]] = {"source": "upload", "is_subscribed": row[1].lower() == "true"}
    return len(rows) - 1


def _rows(state: State, body: bytes) -> list[list[str]]:
    if len(body) > MOST_BYTES:
        raise Failure(state.settings.too_large_status, "the file is above 4 MB")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Failure(400, "the file must be UTF-8") from None
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]
