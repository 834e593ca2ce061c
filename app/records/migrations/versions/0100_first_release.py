"""The tables of the first release, with the rows that each database begins with."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0100"
down_revision = None
usable_from = "0100"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "carts",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("cart_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("purge_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "cart_id", name=op.f("pk_carts")),
    )
    op.create_index("ix_carts_purge_after", "carts", ["purge_after"])
    op.create_table(
        "catalogue",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("root_key", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), server_default="", nullable=False),
        sa.Column("parent_sku", sa.Text(), server_default="", nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("item", sa.LargeBinary(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("sku_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("parent_key", sa.Text(), server_default="", nullable=False),
        sa.Column("nested_key", sa.Text(), server_default="", nullable=False),
        sa.Column("waits_for", sa.Text(), server_default="", nullable=False),
        sa.Column("claimed", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_catalogue")),
        sa.UniqueConstraint("channel", "key", name=op.f("uq_catalogue_channel_key")),
    )
    op.create_index("ix_catalogue_identity", "catalogue", ["channel", "identity"], **_where("identity <> ''"))
    op.create_index("ix_catalogue_parent_sku", "catalogue", ["channel", "parent_sku"], **_where("parent_sku <> ''"))
    op.create_index("ix_catalogue_root", "catalogue", ["channel", "root_key"])
    op.create_index("ix_catalogue_sku", "catalogue", ["channel", "sku"])
    op.create_index(
        "ix_catalogue_title", "catalogue", ["channel", "number", "title", "root_key"], **_where("title <> ''")
    )
    op.create_index("ix_catalogue_waits_for", "catalogue", ["channel", "waits_for"], **_where("waits_for <> ''"))
    op.create_table(
        "catalogue_sync",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("root_key", sa.Text(), nullable=False),
        sa.Column("sent", sa.LargeBinary(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sent_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refusal", sa.Text(), server_default="", nullable=False),
        sa.Column("is_changed", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_uncertain", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_in_flight", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("again_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("channel", "gateway", "root_key", name=op.f("pk_catalogue_sync")),
    )
    op.create_index(
        "ix_catalogue_sync_again",
        "catalogue_sync",
        ["channel", "gateway", "again_at"],
        **_where("again_at is not null"),
    )
    op.create_index(
        "ix_catalogue_sync_owed",
        "catalogue_sync",
        ["channel", "gateway", "is_changed", "turn", "root_key"],
        **_where("seq > sent_seq"),
    )
    op.create_table(
        "categories",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_categories")),
        sa.UniqueConstraint("channel", "path", name=op.f("uq_categories_channel_path")),
    )
    op.create_table(
        "channel_accounts",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", name=op.f("pk_channel_accounts")),
    )
    op.create_table(
        "channel_names",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channel_names")),
    )
    op.create_table(
        "channels",
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=True),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("forgotten_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_channels")),
    )
    op.create_table(
        "commands",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("callback", sa.String(length=40), nullable=False),
        sa.Column("natural_key", sa.Text(), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("events", sa.LargeBinary(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
        sa.UniqueConstraint(
            "channel", "callback", "natural_key", name=op.f("uq_commands_channel_callback_natural_key")
        ),
    )
    op.create_index("ix_commands_order_refnum", "commands", ["channel", "order_refnum"])
    op.create_table(
        "fact_obstacles",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "channel", "gateway", "kind", "fact", "code", "subject", name=op.f("pk_fact_obstacles")
        ),
    )
    op.create_index("ix_fact_obstacles_subject", "fact_obstacles", ["channel", "gateway", "code", "subject"])
    op.create_table(
        "feed_pieces",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("build", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", "build", "position", name=op.f("pk_feed_pieces")),
    )
    op.create_table(
        "feeds",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("changes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("built_changes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=True),
        sa.Column("form", sa.String(length=64), server_default="", nullable=False),
        sa.Column("build", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("begun_builds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("etag", sa.String(length=64), server_default="", nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=True),
        sa.Column("built_at", sa.BigInteger(), nullable=True),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("packed_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("listed", sa.LargeBinary(), nullable=True),
        sa.Column("report", sa.LargeBinary(), nullable=True),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("channel", "gateway", name=op.f("pk_feeds")),
    )
    op.create_table(
        "handed_out",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("refnum", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("state", sa.String(length=16), server_default="open", nullable=False),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
        sa.Column("rejected", sa.LargeBinary(), nullable=True),
        sa.Column("removed", sa.LargeBinary(), nullable=True),
        sa.Column("left_open", sa.String(length=63), server_default="", nullable=False),
        sa.Column("left_open_at", sa.BigInteger(), nullable=True),
        sa.Column("times", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_pull_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_handed_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("retailops_order_id", sa.Text(), server_default="", nullable=False),
        sa.Column("source_cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("cancellation_times", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancellation_known_at", sa.BigInteger(), nullable=True),
        sa.Column("trimmed_refnum", sa.Text(), nullable=True),
        sa.Column("shipping", sa.BigInteger(), nullable=True),
        sa.Column("shipping_tax", sa.BigInteger(), nullable=True),
        sa.Column("taken_off_after", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("channel", "refnum", name=op.f("pk_handed_out")),
    )
    op.create_index("ix_handed_out_left_open", "handed_out", ["channel"], **_where("left_open != ''"))
    op.create_index(
        "ix_handed_out_number", "handed_out", ["channel", "retailops_order_id"], **_where("retailops_order_id != ''")
    )
    op.create_index("ix_handed_out_open", "handed_out", ["channel"], **_where("state = 'open'"))
    op.create_index(
        "ix_handed_out_source_cancelled",
        "handed_out",
        ["channel", "source_cancelled_at"],
        **_where("source_cancelled_at is not null and cancellation_known_at is null"),
    )
    op.create_index(
        "ix_handed_out_trimmed", "handed_out", ["channel", "trimmed_refnum"], **_where("trimmed_refnum is not null")
    )
    op.create_table(
        "heartbeat",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("boot_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("booted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "held_back",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("refnum", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "refnum", name=op.f("pk_held_back")),
    )
    op.create_table(
        "inbound_requests",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("topic", sa.String(length=40), nullable=False),
        sa.Column("status", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "channel", "gateway", "topic", "status", "reason", "at", name=op.f("pk_inbound_requests")
        ),
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
    )
    op.create_index("ix_journal_at", "journal", ["at"])
    op.create_index("ix_journal_order_refnum", "journal", ["channel", "order_refnum"])
    op.create_table(
        "late_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("callback", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("about", sa.LargeBinary(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_to", sa.String(length=64), server_default="", nullable=False),
        sa.Column("sent_request_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("dismissed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_late_events")),
    )
    op.create_index("ix_late_events_sent_at", "late_events", ["sent_at"])
    op.create_index("ix_late_events_subject", "late_events", ["channel", "subject"])
    op.create_table(
        "operations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=60), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    op.create_index("ix_operations_channel", "operations", ["channel", "id"])
    op.create_table(
        "orders",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("refnum", sa.Text(), nullable=False),
        sa.Column("cart_id", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("hooks", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("exportable_at", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("purge_after", sa.BigInteger(), nullable=False),
        sa.Column("paid_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("channel", "refnum", name=op.f("pk_orders")),
        sa.UniqueConstraint("channel", "cart_id", name=op.f("uq_orders_channel_cart_id")),
    )
    op.create_index("ix_orders_cancelled_at", "orders", ["channel", "cancelled_at"])
    op.create_index("ix_orders_created_at", "orders", ["channel", "created_at"])
    op.create_index("ix_orders_exportable_at", "orders", ["channel", "exportable_at"])
    op.create_index("ix_orders_purge_after", "orders", ["purge_after"])
    op.create_table(
        "packages",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("retailops_shipment_id", sa.Text(), nullable=False),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.String(length=24), server_default="", nullable=False),
        sa.Column("label_key", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("channel", "order_refnum", "key", name=op.f("pk_packages")),
    )
    op.create_table(
        "payments",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("refnum", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("currency_code", sa.String(length=3), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("processing_type", sa.String(length=32), nullable=False),
        sa.Column("payment_type", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("captured", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("capturing", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("channel", "order_refnum", "refnum", name=op.f("pk_payments")),
    )
    op.create_index("ix_payments_refnum", "payments", ["channel", "refnum"])
    op.create_table(
        "pending_reports",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("refnum", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", "refnum", name=op.f("pk_pending_reports")),
    )
    op.create_index("ix_pending_reports_seen_at", "pending_reports", ["seen_at"])
    op.create_table(
        "periodic_work",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_periodic_work")),
    )
    op.create_table(
        "rates",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("setting", sa.Float(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("question_until", sa.Float(), nullable=False),
        sa.Column("command_until", sa.Float(), nullable=False),
        sa.Column("fact_until", sa.Float(), nullable=False),
        sa.Column("fact_credit", sa.Float(), nullable=False),
        sa.Column("grown_at", sa.Float(), nullable=False),
        sa.Column("cut_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rates")),
        # A crash may forget them, and so no call waits for a disk.
        prefixes=["UNLOGGED"] if is_postgresql else [],
    )
    op.create_table(
        "refunds",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("payment_refnum", sa.Text(), nullable=False),
        sa.Column("callback", sa.String(length=40), nullable=False),
        sa.Column("natural_key", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency_code", sa.String(length=3), nullable=False),
        sa.Column("is_store_credit", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
        sa.Column("rows", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("refnum", sa.Text(), server_default="", nullable=False),
        sa.Column("matched_callback", sa.String(length=40), server_default="", nullable=False),
        sa.Column("matched_key", sa.Text(), server_default="", nullable=False),
        sa.Column("repeats", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("seen", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("channel", "key", name=op.f("uq_refunds_channel_key")),
    )
    op.create_index("ix_refunds_natural_key", "refunds", ["channel", "callback", "natural_key"])
    op.create_index("ix_refunds_order_refnum", "refunds", ["channel", "order_refnum"])
    op.create_table(
        "reported_lines",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("uncertain", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reported_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("channel", "gateway", "order_refnum", "product", name=op.f("pk_reported_lines")),
    )
    op.create_table(
        "reservations",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("channel", "sku", "order_refnum", name=op.f("pk_reservations")),
    )
    op.create_index("ix_reservations_order_refnum", "reservations", ["channel", "order_refnum"])
    op.create_table(
        "schema_compatibility",
        sa.Column("revision", sa.String(length=32), nullable=False),
        sa.Column("usable_from", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_schema_compatibility")),
    )
    op.create_table(
        "sku_numbers",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_sku_numbers")),
        sa.UniqueConstraint("channel", "name", name=op.f("uq_sku_numbers_channel_name")),
    )
    op.create_index("ix_sku_numbers_key", "sku_numbers", ["channel", "key"])
    op.create_table(
        "source_cancellation_cursors",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", name=op.f("pk_source_cancellation_cursors")),
    )
    op.create_table(
        "stock",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("level", sa.LargeBinary(), nullable=False),
        sa.Column("sent", sa.LargeBinary(), nullable=True),
        sa.Column("uncertain", sa.LargeBinary(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sent_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refusal", sa.Text(), server_default="", nullable=False),
        sa.Column("is_changed", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_uncertain", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("stated_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("moved_at", sa.BigInteger(), nullable=True),
        sa.Column("again_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attention", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", "sku", name=op.f("pk_stock")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_stock_again", "stock", ["channel", "gateway", "again_at"], **_where("again_at is not null"))
    op.create_index("ix_stock_attention", "stock", ["channel", "gateway"], **_where("attention <> ''"))
    op.create_index(
        "ix_stock_owed", "stock", ["channel", "gateway", "is_changed", "turn", "sku"], **_where("seq > sent_seq")
    )
    op.create_table(
        "stock_disagreements",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("pushes", sa.BigInteger(), nullable=False),
        sa.Column("skus", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("stated", sa.BigInteger(), nullable=False),
        sa.Column("added_up", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_stock_disagreements")),
    )
    op.create_table(
        "sync_states",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("catalogue_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("catalogue_next_try_at", sa.BigInteger(), nullable=True),
        sa.Column("catalogue_last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("poll_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("poll_due_at", sa.BigInteger(), nullable=True),
        sa.Column("hinted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("channel", "gateway", name=op.f("pk_sync_states")),
    )
    op.create_table(
        "unseen_steps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("step_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unseen_steps")),
    )
    op.create_table(
        "write_probes",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_write_probes")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("verb", sa.String(length=40), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("command_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("about", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("is_possibly_done", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("last_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("last_code", sa.String(length=64), server_default="", nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("events", sa.LargeBinary(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("dropped_because", sa.Text(), nullable=True),
        sa.Column("late_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["command_id"], ["commands.id"], name=op.f("fk_deliveries_command_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_command_id", "deliveries", ["command_id"])
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["channel", "gateway", "next_try_at", "id"],
        **_where("state in ('owed', 'checking')"),
    )
    op.create_index(
        "ix_deliveries_lane",
        "deliveries",
        ["channel", "gateway", "lane", "id"],
        **_where("state in ('owed', 'checking', 'parked')"),
    )
    op.create_index(
        "ix_deliveries_late",
        "deliveries",
        ["channel", "gateway", "lane", "late_until"],
        **_where("late_until is not null"),
    )
    op.create_table(
        "operation_targets",
        sa.Column("operation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name=op.f("fk_operation_targets_operation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("operation_id", "kind", "id", name=op.f("pk_operation_targets")),
    )
    now = "(extract(epoch from clock_timestamp()) * 1000)::bigint" if is_postgresql else str(int(time.time() * 1000))
    op.execute(f"insert into heartbeat (id, at, seen) values (1, {now}, {now})")
    op.execute("insert into periodic_work (name, due_at) values ('retention', 0)")


def _where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, on both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
