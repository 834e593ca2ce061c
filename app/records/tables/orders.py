"""What RetailOps was given of orders, and what has shipped of them."""

import sqlalchemy as sa

from app.records.tables.columns import Amount, FreeText, Moment, index, metadata

handed_out = sa.Table(
    "handed_out",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("refnum", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("state", sa.String(16), nullable=False, server_default="open"),
    sa.Column("lines", sa.LargeBinary, nullable=False),
    sa.Column("rejected", sa.LargeBinary),
    sa.Column("removed", sa.LargeBinary),
    sa.Column("left_open", sa.String(63), nullable=False, server_default=""),
    sa.Column("left_open_at", Moment),
    sa.Column("times", sa.Integer, nullable=False, server_default="0"),
    sa.Column("last_pull_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_handed_at", Moment),
    sa.Column("acknowledged_at", Moment),
    sa.Column("retailops_order_id", sa.Text, nullable=False, server_default=""),
    sa.Column("source_cancelled_at", Moment),
    sa.Column("cancellation_times", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cancellation_known_at", Moment),
    sa.Column("trimmed_refnum", sa.Text),
    sa.Column("shipping", Amount),
    sa.Column("shipping_tax", Amount),
    sa.Column("taken_off_after", sa.BigInteger),
    sa.Column("hand_outs", sa.Text),
    sa.Column("erased_at", Moment),
)
"""What `order_pull` handed out or a callback named, for every order source (R18).

`lines`: with their units as bought and as RetailOps has them.  `shipping`, `shipping_tax`: what was paid for shipping,
null where it was not noted.  `taken_off_after`: the newest refund of the order when units were first taken off.
`removed`: units by line that `order_update` took off while the source keeps them.  `left_open`: code of the reason for
which a completion left units open, "" for none.  `source_cancelled_at`: when its source was found to have cancelled it;
`cancellation_times`: how often RetailOps was sent that; `cancellation_known_at`: when RetailOps acknowledged it.
`hand_outs`: when the first of the hand-outs were, each in milliseconds after a comma (`records.pulls.KEPT_MOMENTS`).
`erased_at`: when its personal data was removed, at its date or by an operator: nothing brings any back."""

HAS_TRIMMED = handed_out.c.trimmed_refnum.is_not(None)
"""Orders whose number has blanks at its ends, which RetailOps may drop: `trimmed_refnum` is the number without them."""

index(handed_out, "ix_handed_out_trimmed", "channel", "trimmed_refnum", where="trimmed_refnum is not null")

IS_OPEN_ORDER = handed_out.c.state == sa.literal_column("'open'")
"""As the index needs it: a parameter would hide which state is meant."""

HAS_NUMBER = handed_out.c.retailops_order_id != sa.literal_column("''")
IS_LEFT_OPEN = handed_out.c.left_open != sa.literal_column("''")

index(handed_out, "ix_handed_out_number", "channel", "retailops_order_id", where=HAS_NUMBER)
index(handed_out, "ix_handed_out_left_open", "channel", where=IS_LEFT_OPEN)
index(handed_out, "ix_handed_out_open", "channel", where=IS_OPEN_ORDER)

IS_TIRED = handed_out.c.acknowledged_at.is_(None) & IS_OPEN_ORDER & (handed_out.c.times >= sa.literal_column("5"))
"""Few rows: orders handed out `pulls.TIRED_AFTER` times, written out as the index needs it."""

index(handed_out, "ix_handed_out_tired", "channel", "refnum", where=IS_TIRED)
index(
    handed_out,
    "ix_handed_out_source_cancelled",
    "channel",
    "source_cancelled_at",
    where="source_cancelled_at is not null and cancellation_known_at is null",
)

source_cancellation_cursors = sa.Table(
    "source_cancellation_cursors",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("until_ms", sa.BigInteger, nullable=False),
)
"""Up to when, by each source's own clock, it is known which orders it cancelled (R18)."""

held_back = sa.Table(
    "held_back",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("refnum", sa.Text, primary_key=True),
    sa.Column("reason", FreeText, nullable=False),
    sa.Column("since", Moment, nullable=False),
)
"""Orders that could not be sent correctly, for the operator; gone once they can."""

packages = sa.Table(
    "packages",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("order_refnum", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("retailops_shipment_id", sa.Text, nullable=False),
    sa.Column("lines", sa.LargeBinary, nullable=False),
    sa.Column("registered_at", Moment, nullable=False),
    sa.Column("label", sa.String(24), nullable=False, server_default=""),
    sa.Column("label_key", sa.Text, nullable=False, server_default=""),
)
"""Parcels registered for an order: what has shipped, as far as this server knows (R21, R22).

`label`: digest of tracking number, carrier, weight and date as stated last, "" where unknown.  `label_key`: the key of
the package whose label replaced this one's (R9)."""
