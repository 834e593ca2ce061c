"""Keys of commands and refunds that were kept while RetailOps' numbers were spelled in another form (R7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, select, union

from app.records.tables.deliveries import commands
from app.records.tables.money import refunds

KEY_FORM: Final = 2
"""The form of RetailOps' numbers in keys written now, kept with each key.

1: as they were stated, less outer blanks.  2: `app.domain.retailops_numbers.canonical`.
"""


def standing(
    connection: Connection, channel: str, callback: str, order_refnum: str, in_form: Callable[[str], str]
) -> dict[str, str]:
    """By key in the form of today the key of an earlier form that a command or refund of the order is bound under.

    `in_form` gives the form of today to such a key, which both hold without the order's number before it.  Where two
    spellings were taken for two commands, the first in alphabetical order stands, or the one that is in form.
    """
    prefix = f"{order_refnum}/"
    keys = union(*(
        select(table.c.natural_key).where(
            table.c.channel == channel,
            table.c.order_refnum == order_refnum,
            table.c.callback == callback,
            table.c.key_form < KEY_FORM,
        )
        for table in (commands, refunds)
    ))  # fmt: skip
    known = {key.removeprefix(prefix) for key in connection.execute(keys).scalars()}
    found: dict[str, str] = {}
    for key in sorted(known):
        if (today := in_form(key)) not in known:
            found.setdefault(today, key)
    return found


def is_bound(connection: Connection, channel: str, callback: str, order_refnum: str, key: str) -> bool:
    """Whether a command or refund of the order has this key, with the order's number before it or without."""
    wanted = (key, f"{order_refnum}/{key}")
    keys = union(*(
        select(table.c.natural_key).where(
            table.c.channel == channel, table.c.callback == callback, table.c.natural_key.in_(wanted)
        )
        for table in (commands, refunds)
    ))  # fmt: skip
    return connection.execute(keys.limit(1)).first() is not None
