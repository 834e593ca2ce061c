"""What an unrecorded attempt began to send has a column; polls and hints stand with the rest of the sync state.

Code from before this migration parts `sent` of `stock` at a NUL byte, and keeps hints in `chores`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
usable_from = "0027"

RENAMED = (("wishes_until_ms", "poll_until_ms"), ("wishes_next_look_at", "poll_due_at"))


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.add_column("stock", sa.Column("uncertain", sa.LargeBinary()))
    at = "instr(sent, x'00')" if is_sqlite else "position('\\x00'::bytea in sent)"
    substring = "substr" if is_sqlite else "substring"
    op.execute(
        f"update stock set uncertain = {substring}(sent, {at} + 1), "
        f"sent = case when {at} > 1 then {substring}(sent, 1, {at} - 1) end where {at} > 0"
    )
    for old, new in RENAMED:
        op.execute(f"alter table fact_streams rename column {old} to {new}")
    op.add_column("fact_streams", sa.Column("hinted_at", sa.BigInteger()))
    op.execute("delete from chores where name like 'hint %'")
    for name in ("owed", "again"):
        op.drop_index(f"ix_catalogue_heard_{name}", table_name="catalogue_heard")
    op.rename_table("catalogue_heard", "catalogue_sync")
    if not is_sqlite:
        op.execute("alter table catalogue_sync rename constraint pk_catalogue_heard to pk_catalogue_sync")
    of_gateway = ["channel", "gateway"]
    for name, columns, where in (
        ("owed", ["is_changed", "turn", "root_key"], sa.text("seq > sent_seq")),
        ("again", ["again_at"], sa.text("again_at is not null")),
    ):
        op.create_index(
            f"ix_catalogue_sync_{name}",
            "catalogue_sync",
            [*of_gateway, *columns],
            unique=False,
            sqlite_where=where,
            postgresql_where=where,
        )
