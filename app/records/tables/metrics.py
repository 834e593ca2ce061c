"""What the processes of this server count together, and what each of them reports of the others at `/metrics`."""

import sqlalchemy as sa

from app.records.tables.columns import Moment, metadata

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("labels", sa.String(255), primary_key=True),
    sa.Column("value", sa.Float(53), nullable=False),
)
"""One row for each line of a counter or histogram; `labels` is a JSON object of texts, sorted by name.

Every process adds what it counted; never purged, for a counter that shrinks would look like a restart.  Of a histogram
each row of NAME_bucket counts what no smaller `le` counts, and NAME_sum adds up the seconds.
"""

open_breakers = sa.Table(
    "open_breakers",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("process", sa.String(32), primary_key=True),
    sa.Column("until", Moment, nullable=False),
)
"""Circuit breakers that are open, process by process; a row counts until its moment, for a process may be killed."""
