"""What was charged for orders and what has gone back."""

import sqlalchemy as sa

from app.records.tables.columns import Amount, FreeText, Moment, Serial, index, metadata

payments = sa.Table(
    "payments",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("order_refnum", sa.Text, primary_key=True),
    sa.Column("refnum", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("currency_code", sa.String(3), nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("processing_type", sa.String(32), nullable=False),
    sa.Column("payment_type", FreeText, nullable=False),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("captured", Amount, nullable=False, server_default="0"),
    sa.Column("capturing", Amount, nullable=False, server_default="0"),
)
"""What was charged for each order, payment by payment; of an authorised one, what has been captured."""

index(payments, "ix_payments_refnum", "channel", "refnum")

refunds = sa.Table(
    "refunds",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("channel", sa.String(63), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("order_refnum", sa.Text, nullable=False),
    sa.Column("payment_refnum", sa.Text, nullable=False),
    sa.Column("callback", sa.String(40), nullable=False),
    sa.Column("natural_key", sa.Text, nullable=False),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("currency_code", sa.String(3), nullable=False),
    sa.Column("is_store_credit", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Column("lines", sa.LargeBinary, nullable=False),
    sa.Column("rows", sa.LargeBinary),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("refnum", sa.Text, nullable=False, server_default=""),
    sa.Column("matched_callback", sa.String(40), nullable=False, server_default=""),
    sa.Column("matched_key", sa.Text, nullable=False, server_default=""),
    sa.Column("repeats", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("answered_at", Moment),
    sa.Column("released_at", Moment),
    sa.Column("seen", Moment),
    sa.UniqueConstraint("channel", "key"),
)
"""Money given back or held for it, payment by payment, and what was only recorded; never purged (R9, R23).

`seen`: when it was written, by the time that was seen passing (`heartbeat`).  `lines`: the units it is for.  `rows`:
what part of the amount is for which line, for tax and for shipping; null where that was not worked out here."""

index(refunds, "ix_refunds_order_refnum", "channel", "order_refnum")
index(refunds, "ix_refunds_natural_key", "channel", "callback", "natural_key")

IS_IN_DOUBT = refunds.c.state == sa.literal_column("'parked'")
"""Few rows: refunds of which a person has to find out whether they were paid."""

index(refunds, "ix_refunds_parked", "channel", "id", where="state = 'parked'")
