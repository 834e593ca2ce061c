"""What RetailOps was given of orders, and what has shipped of them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    literal_column,
)

from app.records.tables.columns import Amount, FreeText, Moment, index, metadata

handed_out = Table(
    "handed_out",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("state", String(16), nullable=False, server_default="open"),
    Column("lines", LargeBinary, nullable=False),
    Column("rejected", LargeBinary),
    Column("removed", LargeBinary),
    Column("left_open", String(63), nullable=False, server_default=""),
    Column("left_open_at", Moment),
    Column("times", Integer, nullable=False, server_default="0"),
    Column("last_pull_ms", BigInteger, nullable=False, server_default="0"),
    Column("last_handed_at", Moment),
    Column("acknowledged_at", Moment),
    Column("retailops_order_id", Text, nullable=False, server_default=""),
    Column("called_off_at", Moment),
    Column("called_off_times", Integer, nullable=False, server_default="0"),
    Column("called_off_told_at", Moment),
    Column("trimmed_refnum", Text),
    Column("shipping", Amount),
    Column("shipping_tax", Amount),
    Column("taken_off_after", BigInteger),
)
"""What `order_pull` gave away or a callback asked about, for every order source (R18).

`lines`: with their units as bought and as RetailOps has them.  `shipping`, `shipping_tax`: what was paid for shipping,
null where it was not noted.  `taken_off_after`: the newest refund of the order when units were first taken off.
`removed`: units by line that `order_update` took off while the source keeps them.  `left_open`: code of the reason for
which a completion left units open, "" for none.  `called_off_*`: when its source was found to have called it off, how
often RetailOps was told, and when RetailOps acknowledged that."""

HAS_TRIMMED = handed_out.c.trimmed_refnum.is_not(None)
"""Orders whose number has blanks at its ends, which RetailOps may drop: `trimmed_refnum` is the number without them."""

index(handed_out, "ix_handed_out_trimmed", "channel", "trimmed_refnum", where="trimmed_refnum is not null")

IS_OPEN_ORDER = handed_out.c.state == literal_column("'open'")
"""As the index needs it: a parameter would hide which state is meant."""

HAS_NUMBER = handed_out.c.retailops_order_id != literal_column("''")
IS_LEFT_OPEN = handed_out.c.left_open != literal_column("''")

index(handed_out, "ix_handed_out_number", "channel", "retailops_order_id", where=HAS_NUMBER)
index(handed_out, "ix_handed_out_left_open", "channel", where=IS_LEFT_OPEN)
index(handed_out, "ix_handed_out_open", "channel", where=IS_OPEN_ORDER)
index(
    handed_out,
    "ix_handed_out_called_off",
    "channel",
    "called_off_at",
    where="called_off_at is not null and called_off_told_at is null",
)

called_off_cursors = Table(
    "called_off_cursors",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
)
"""Up to when, by each source's own clock, it is known which orders it called off (R18)."""

held_back = Table(
    "held_back",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("reason", FreeText, nullable=False),
    Column("since", Moment, nullable=False),
)
"""Orders that could not be sent correctly, for the operator; gone once they can."""

packages = Table(
    "packages",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("order_refnum", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("retailops_shipment_id", Text, nullable=False),
    Column("lines", LargeBinary, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Column("label", String(24), nullable=False, server_default=""),
    Column("label_key", Text, nullable=False, server_default=""),
)
"""Parcels registered for an order: what has shipped, as far as this server knows (R21, R22).

`label`: digest of tracking number, carrier, weight and date as stated last, "" where unknown.  `label_key`: the key of
the package whose label replaced this one's (R9)."""
