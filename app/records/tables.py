"""The tables: what has to outlive a process.

Times are aware UTC and stored as whole milliseconds; structures are stored as JSON bytes.  No table
holds an address of Pipe17 traffic except the body of a delivery that is still owed (R19).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.types import TypeDecorator

from app.domain.texts import mended

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Serial = BigInteger().with_variant(Integer, "sqlite")
"""A growing number; SQLite numbers rows by itself only where the type is spelled INTEGER."""


class Moment(TypeDecorator[datetime]):
    """An aware UTC time, kept as milliseconds since 1970 so that both databases compare it alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else int(value.timestamp() * 1000)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


class Amount(TypeDecorator[Decimal]):
    """Money, kept as whole ten-thousandths so that both databases add and compare it exactly.

    Raises ValueError for an amount with more than four decimals.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> int | None:
        if value is None:
            return None
        scaled = value.scaleb(4)
        if scaled != scaled.to_integral_value():
            raise ValueError("an amount has more than four decimals")
        return int(scaled)

    def process_result_value(self, value: int | None, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-4)


class FreeText(TypeDecorator[str]):
    """A sentence that may come from outside, kept with U+FFFD for what no database takes.  Never a key."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else mended(value)


channels = Table(
    "channels",
    metadata,
    Column("key", String(63), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("client_id", BigInteger),
    Column("channel_id", BigInteger),
    Column("registered_at", Moment, nullable=False),
    Column("forgotten_at", Moment),
)
"""Whose records these are: every other table's `channel` is a `key` of this one, which no renaming changes (R35).

`name` is what people see: the channel's, or of an account that had to leave it, one made for it.  The pair is null
until a server has started with the channel."""

channel_names = Table(
    "channel_names",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("channel", String(63), nullable=False),
)
"""Which records each name means, former names too: a process that still has one goes on with them."""

channel_accounts = Table(
    "channel_accounts",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("account", Text, nullable=False),
)
"""Whose account each gateway of a channel has, in the vendor's words or as part of a key's digest; never a secret."""

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

Index(
    "ix_handed_out_trimmed",
    handed_out.c.channel,
    handed_out.c.trimmed_refnum,
    sqlite_where=text("trimmed_refnum is not null"),
    postgresql_where=text("trimmed_refnum is not null"),
)

IS_OPEN_ORDER = handed_out.c.state == literal_column("'open'")
"""As the index needs it: a parameter would hide which state is meant."""

HAS_NUMBER = handed_out.c.retailops_order_id != literal_column("''")
IS_LEFT_OPEN = handed_out.c.left_open != literal_column("''")

Index(
    "ix_handed_out_number",
    handed_out.c.channel,
    handed_out.c.retailops_order_id,
    sqlite_where=HAS_NUMBER,
    postgresql_where=HAS_NUMBER,
)
Index("ix_handed_out_left_open", handed_out.c.channel, sqlite_where=IS_LEFT_OPEN, postgresql_where=IS_LEFT_OPEN)
Index("ix_handed_out_open", handed_out.c.channel, sqlite_where=IS_OPEN_ORDER, postgresql_where=IS_OPEN_ORDER)
Index(
    "ix_handed_out_called_off",
    handed_out.c.channel,
    handed_out.c.called_off_at,
    sqlite_where=text("called_off_at is not null and called_off_told_at is null"),
    postgresql_where=text("called_off_at is not null and called_off_told_at is null"),
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

payments = Table(
    "payments",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("order_refnum", Text, primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("processing_type", String(32), nullable=False),
    Column("payment_type", FreeText, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("captured", Amount, nullable=False, server_default="0"),
    Column("capturing", Amount, nullable=False, server_default="0"),
)
"""What was charged for each order, payment by payment; of an authorised one, what has been captured."""

Index("ix_payments_refnum", payments.c.channel, payments.c.refnum)

refunds = Table(
    "refunds",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("key", Text, nullable=False),
    Column("order_refnum", Text, nullable=False),
    Column("payment_refnum", Text, nullable=False),
    Column("callback", String(40), nullable=False),
    Column("natural_key", Text, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("is_store_credit", Boolean, nullable=False, server_default=text("false")),
    Column("lines", LargeBinary, nullable=False),
    Column("rows", LargeBinary),
    Column("state", String(12), nullable=False),
    Column("refnum", Text, nullable=False, server_default=""),
    Column("matched_callback", String(40), nullable=False, server_default=""),
    Column("matched_key", Text, nullable=False, server_default=""),
    Column("repeats", Integer, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
    Column("told_at", Moment),
    Column("released_at", Moment),
    Column("seen", Moment),
    Column("key_form", Integer, nullable=False, server_default="1"),
    UniqueConstraint("channel", "key"),
)
"""Money given back or held for it, payment by payment, and what was only recorded; never purged (R9, R23).

`seen`: when it was written, by the time that was seen passing (`heartbeat`).  `lines`: the units it is for.  `rows`:
what part of the amount is for which line, for tax and for shipping; null where that was not worked out here.
`key_form`: how `natural_key` spells RetailOps' numbers (`former_keys`)."""

Index("ix_refunds_order_refnum", refunds.c.channel, refunds.c.order_refnum)
Index("ix_refunds_natural_key", refunds.c.channel, refunds.c.callback, refunds.c.natural_key)

commands = Table(
    "commands",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("callback", String(40), nullable=False),
    Column("natural_key", Text, nullable=False),
    Column("order_refnum", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("events", LargeBinary, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("key_form", Integer, nullable=False, server_default="1"),
    UniqueConstraint("channel", "callback", "natural_key"),
)
"""The ledger of natural keys: a command with an effect binds its key for ever (R9).

`key_form`: how `natural_key` spells RetailOps' numbers (`former_keys`)."""

Index("ix_commands_order_refnum", commands.c.channel, commands.c.order_refnum)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("gateway", String(32), nullable=False),
    Column("verb", String(40), nullable=False),
    Column("lane", Text, nullable=False),
    Column("command_id", Serial, ForeignKey("commands.id", ondelete="CASCADE"), nullable=False),
    Column("body", LargeBinary),
    Column("about", LargeBinary, nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("is_possibly_done", Boolean, nullable=False, server_default=text("false")),
    Column("last_attempt_at", Moment),
    Column("next_try_at", Moment, nullable=False),
    Column("lease_token", String(32)),
    Column("lease_until", Moment),
    Column("last_code", String(64), nullable=False, server_default=""),
    Column("last_error", FreeText, nullable=False, server_default=""),
    Column("events", LargeBinary),
    Column("request_id", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("closed_at", Moment),
    Column("dropped_because", FreeText),
    Column("late_until", Moment),
)
"""Calls owed to vendors; the body goes when the call is delivered, the line stays (R8, R12, R28)."""

IS_OPEN = text("state in ('owed', 'checking', 'parked')")

Index(
    "ix_deliveries_lane",
    deliveries.c.channel,
    deliveries.c.gateway,
    deliveries.c.lane,
    deliveries.c.id,
    sqlite_where=IS_OPEN,
    postgresql_where=IS_OPEN,
)
Index(
    "ix_deliveries_due",
    deliveries.c.channel,
    deliveries.c.gateway,
    deliveries.c.next_try_at,
    deliveries.c.id,
    sqlite_where=text("state in ('owed', 'checking')"),
    postgresql_where=text("state in ('owed', 'checking')"),
)
Index("ix_deliveries_command_id", deliveries.c.command_id)
Index(
    "ix_deliveries_late",
    deliveries.c.channel,
    deliveries.c.gateway,
    deliveries.c.lane,
    deliveries.c.late_until,
    sqlite_where=text("late_until is not null"),
    postgresql_where=text("late_until is not null"),
)
"""Few rows: calls of which an attempt may still arrive at the vendor, so that later ones of the lane wait (R11)."""

stock = Table(
    "stock",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("level", LargeBinary, nullable=False),
    Column("sent", LargeBinary),
    Column("seq", BigInteger, nullable=False),
    Column("sent_seq", BigInteger, nullable=False, server_default="0"),
    Column("refusal", FreeText, nullable=False, server_default=""),
    Column("is_changed", Boolean, nullable=False, server_default=text("true")),
    Column("turn", BigInteger, nullable=False, server_default="0"),
    Column("is_uncertain", Boolean, nullable=False, server_default=text("false")),
    Column("stated_at", Moment, nullable=False, server_default="0"),
    Column("sent_at", Moment),
    Column("moved_at", Moment),
    Column("again_at", Moment),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("attention", Text, nullable=False, server_default=""),
    sqlite_with_rowid=False,
)
"""The absolute stock of each SKU and how far each gateway has received it; owed where seq > sent_seq (R13).

`is_changed`: the level differs from what the vendor was last sent; those rows go first, by `turn`, the `seq` at which
they changed.  Of the others `turn` is when they were last sent, in milliseconds.  `is_uncertain`: the vendor may have
another figure than the one in `sent`.  `sent_at` is when the vendor last answered for the SKU, `moved_at` when a
shipment or an order last moved its figure since `stated_at`.  At `again_at` it is owed again by itself, `tries` times
more after a refusal.  `attention` is a sentence for the operator.
"""

_IS_OWED_FACT = text("seq > sent_seq")
_IS_TO_BE_OWED = text("again_at is not null")

Index(
    "ix_stock_owed",
    stock.c.channel,
    stock.c.gateway,
    stock.c.is_changed,
    stock.c.turn,
    stock.c.sku,
    sqlite_where=_IS_OWED_FACT,
    postgresql_where=_IS_OWED_FACT,
)
Index(
    "ix_stock_again",
    stock.c.channel,
    stock.c.gateway,
    stock.c.again_at,
    sqlite_where=_IS_TO_BE_OWED,
    postgresql_where=_IS_TO_BE_OWED,
)
Index(
    "ix_stock_attention",
    stock.c.channel,
    stock.c.gateway,
    sqlite_where=text("attention <> ''"),
    postgresql_where=text("attention <> ''"),
)

fact_obstacles = Table(
    "fact_obstacles",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("fact", Text, primary_key=True),
    Column("code", String(16), primary_key=True),
    Column("subject", Text, primary_key=True),
)
"""What at a vendor stands in the way of a refused or skipped fact: `fact` is the SKU of stock, the product's key of
the catalogue; `code` and `subject` name the product, location or lock.  A fact is owed again once that is gone."""

Index(
    "ix_fact_obstacles_subject",
    fact_obstacles.c.channel,
    fact_obstacles.c.gateway,
    fact_obstacles.c.code,
    fact_obstacles.c.subject,
)

fact_streams = Table(
    "fact_streams",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("seq", BigInteger, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_try_at", Moment),
    Column("lease_token", String(32)),
    Column("lease_until", Moment),
    Column("last_error", FreeText, nullable=False, server_default=""),
    Column("catalogue_attempts", Integer, nullable=False, server_default="0"),
    Column("catalogue_next_try_at", Moment),
    Column("catalogue_last_error", FreeText, nullable=False, server_default=""),
    Column("wishes_until_ms", BigInteger),
    Column("wishes_next_look_at", Moment),
)
"""One row per (channel, gateway) that hears facts: the counter of `seq`, and who sends just now (R13).

`attempts`, `next_try_at` and `last_error` are stock's; the catalogue has its own, for one kind of fact that cannot be
told must not hold up the other.  `wishes_until_ms` says up to when, by the vendor's clock, it is known what its people
want to hear again.
"""

catalogue = Table(
    "catalogue",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("key", Text, nullable=False),
    Column("root_key", Text, nullable=False),
    Column("identity", Text, nullable=False, server_default=""),
    Column("parent_sku", Text, nullable=False, server_default=""),
    Column("sku", Text, nullable=False),
    Column("title", FreeText, nullable=False, server_default=""),
    Column("item", LargeBinary, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("sku_number", BigInteger, nullable=False, server_default="0"),
    Column("parent_key", Text, nullable=False, server_default=""),
    Column("nested_key", Text, nullable=False, server_default=""),
    Column("waits_for", Text, nullable=False, server_default=""),
    Column("claimed", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("channel", "key"),
)
"""The catalogue as RetailOps stated it last, a row for each product and each variant (R13, R26).

`item` and `nested_key`, the record this one was stated inside of, are what RetailOps stated and nothing else.  What
follows from the whole (`domain.catalogue_resolution`) stands beside it: `sku` is the SKU the record has, `waits_for`
the one it states and another record has; of several that state it the latest (`claimed`) has it.  `parent_key` is
the record it belongs to and `root_key` the product at the top, its own key for a product.

`key` never changes; `identity` is RetailOps' object, "" until it has named one; `title` is folded for searching;
`number` says which was named first, `sku_number` is the one vendors know it by.
"""

Index("ix_catalogue_sku", catalogue.c.channel, catalogue.c.sku)
Index(
    "ix_catalogue_identity",
    catalogue.c.channel,
    catalogue.c.identity,
    sqlite_where=text("identity <> ''"),
    postgresql_where=text("identity <> ''"),
)
Index("ix_catalogue_root", catalogue.c.channel, catalogue.c.root_key)
Index(
    "ix_catalogue_parent_sku",
    catalogue.c.channel,
    catalogue.c.parent_sku,
    sqlite_where=text("parent_sku <> ''"),
    postgresql_where=text("parent_sku <> ''"),
)

Index(
    "ix_catalogue_waits_for",
    catalogue.c.channel,
    catalogue.c.waits_for,
    sqlite_where=text("waits_for <> ''"),
    postgresql_where=text("waits_for <> ''"),
)

HAS_TITLE = text("title <> ''")

Index(
    "ix_catalogue_title",
    catalogue.c.channel,
    catalogue.c.number,
    catalogue.c.title,
    catalogue.c.root_key,
    sqlite_where=HAS_TITLE,
    postgresql_where=HAS_TITLE,
)
"""Everything a search for a part of a title reads, without the records themselves."""

sku_numbers = Table(
    "sku_numbers",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("name", Text, nullable=False),
    Column("key", Text, nullable=False),
    UniqueConstraint("channel", "name"),
)
"""The number of every SKU there ever was, which stays the SKU's whichever record has it, and is never given twice.

`name` is the SKU, or the record's key where it has none; `key` is the record that has it, or had it last.
"""

Index("ix_sku_numbers_key", sku_numbers.c.channel, sku_numbers.c.key)

catalogue_heard = Table(
    "catalogue_heard",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("root_key", Text, primary_key=True),
    Column("sent", LargeBinary),
    Column("seq", BigInteger, nullable=False),
    Column("sent_seq", BigInteger, nullable=False, server_default="0"),
    Column("refusal", FreeText, nullable=False, server_default=""),
    Column("is_changed", Boolean, nullable=False, server_default=text("true")),
    Column("turn", BigInteger, nullable=False, server_default="0"),
    Column("is_uncertain", Boolean, nullable=False, server_default=text("false")),
    Column("is_in_flight", Boolean, nullable=False, server_default=text("false")),
    Column("sent_at", Moment),
    Column("again_at", Moment),
)
"""How far each gateway has received each product with its variants; owed where seq > sent_seq (R13).

The columns mean what they mean in `stock`; `is_in_flight`: an attempt began whose outcome was never recorded.
"""

Index(
    "ix_catalogue_heard_owed",
    catalogue_heard.c.channel,
    catalogue_heard.c.gateway,
    catalogue_heard.c.is_changed,
    catalogue_heard.c.turn,
    catalogue_heard.c.root_key,
    sqlite_where=_IS_OWED_FACT,
    postgresql_where=_IS_OWED_FACT,
)
Index(
    "ix_catalogue_heard_again",
    catalogue_heard.c.channel,
    catalogue_heard.c.gateway,
    catalogue_heard.c.again_at,
    sqlite_where=_IS_TO_BE_OWED,
    postgresql_where=_IS_TO_BE_OWED,
)

categories = Table(
    "categories",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("path", Text, nullable=False),
    UniqueConstraint("channel", "path"),
)
"""Every category a product ever stood in, so that it keeps one number for ever."""

orders = Table(
    "orders",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("cart_id", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("hooks", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("exportable_at", Moment),
    Column("cancelled_at", Moment),
    Column("changed_at", Moment, nullable=False),
    Column("purge_after", Moment, nullable=False),
    Column("paid_at", Moment),
    UniqueConstraint("channel", "cart_id"),
)
"""Orders of a source that pushes them here, whole, until RetailOps needs them no more (R19, R28).

`hooks` holds what the source sent, one body a line, for what we do not understand yet.  `paid_at`: when the shopper's
money was first known of; a paid order is kept beyond its date until RetailOps has it.
"""

IS_PAID_FOR = orders.c.paid_at.is_not(None) & orders.c.state.in_(("pending", "review", "paid"))
"""Orders whose shopper has paid and which are not over at their source."""

Index("ix_orders_created_at", orders.c.channel, orders.c.created_at)
Index("ix_orders_exportable_at", orders.c.channel, orders.c.exportable_at)
Index("ix_orders_cancelled_at", orders.c.channel, orders.c.cancelled_at)
Index("ix_orders_purge_after", orders.c.purge_after)

carts = Table(
    "carts",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("cart_id", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("purge_after", Moment, nullable=False),
)
"""What shoppers are about to buy, until it is an order or forgotten (R28)."""

Index("ix_carts_purge_after", carts.c.purge_after)

reservations = Table(
    "reservations",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("order_refnum", Text, primary_key=True),
    Column("units", Integer, nullable=False),
    Column("acknowledged_at", Moment),
)
"""Units of orders that RetailOps' stock figures do not count yet (R25)."""

Index("ix_reservations_order_refnum", reservations.c.channel, reservations.c.order_refnum)

stock_disagreements = Table(
    "stock_disagreements",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("pushes", BigInteger, nullable=False),
    Column("skus", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("sku", Text, nullable=False),
    Column("stated", BigInteger, nullable=False),
    Column("added_up", BigInteger, nullable=False),
)
"""Stock pushes in which `quantity_available` differs from the sum of `quantity_detail`, counted, with an example."""

feeds = Table(
    "feeds",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("changes", BigInteger, nullable=False, server_default="0"),
    Column("built_changes", BigInteger, nullable=False, server_default="0"),
    Column("changed_at", Moment),
    Column("form", String(64), nullable=False, server_default=""),
    Column("build", BigInteger, nullable=False, server_default="0"),
    Column("begun_builds", BigInteger, nullable=False, server_default="0"),
    Column("etag", String(64), nullable=False, server_default=""),
    Column("modified_at", Moment),
    Column("built_at", Moment),
    Column("size", BigInteger, nullable=False, server_default="0"),
    Column("packed_size", BigInteger, nullable=False, server_default="0"),
    Column("listed", LargeBinary),
    Column("report", LargeBinary),
    Column("lease_token", String(32)),
    Column("lease_until", Moment),
)
"""What a vendor fetches here: which build holds, how much has changed since, and who builds just now.

`listed` is which numbers stand in it, `report` what was left out of it and what is about to leave it.  Of a vendor
that is told products instead only `form` is kept: what decided, besides the goods, what it was told.
"""

feed_pieces = Table(
    "feed_pieces",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("build", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)
"""The text of each feed, compressed, in pieces, so that nobody holds all of it."""

observed_orders = Table(
    "observed_orders",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("seen_at", Moment, nullable=False),
)
"""What an observer will be told of an order that was handed out, until its moment comes (R17, R28)."""

Index("ix_observed_orders_seen_at", observed_orders.c.seen_at)

told_lines = Table(
    "told_lines",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("order_refnum", Text, primary_key=True),
    Column("product", Text, primary_key=True),
    Column("doubts", Integer, nullable=False, server_default="0"),
    Column("told_at", Moment),
)
"""Which goods of which order an observer has been told of, so that none is counted twice; `doubts` counts the
attempts in a row whose outcome nobody knows."""

journal = Table(
    "journal",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("channel", String(63), nullable=False),
    Column("name", String(64), nullable=False),
    Column("order_refnum", Text, nullable=False),
    Column("status", Integer),
    Column("outcome", String(64), nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("request_id", String(64), nullable=False),
)
"""One line per callback and per vendor call; never a body (R16)."""

Index("ix_journal_at", journal.c.at)
Index("ix_journal_order_refnum", journal.c.channel, journal.c.order_refnum)

inbound_requests = Table(
    "inbound_requests",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("topic", String(40), primary_key=True),
    Column("status", Integer, primary_key=True, autoincrement=False),
    Column("reason", String(120), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("count", Integer, nullable=False),
)
"""Answers to vendors' own requests, counted by kind and period; never what was asked."""

late_news = Table(
    "late_news",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("gateway", String(32), nullable=False),
    Column("callback", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("code", String(80), nullable=False),
    Column("message", FreeText, nullable=False),
    Column("about", LargeBinary, nullable=False),
    Column("delivery_id", BigInteger),
    Column("request_id", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("told_at", Moment),
    Column("told_to", String(64), nullable=False, server_default=""),
    Column("told_request_id", String(64), nullable=False, server_default=""),
    Column("dismissed_at", Moment),
)
"""What turned out after a callback was answered, until RetailOps and the operator know it (R15)."""

Index("ix_late_news_told_at", late_news.c.told_at)
Index("ix_late_news_subject", late_news.c.channel, late_news.c.subject)

operations = Table(
    "operations",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("who", String(60), nullable=False),
    Column("act", String(40), nullable=False),
    Column("channel", String(63), nullable=False),
    Column("gateway", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("count", Integer, nullable=False),
)
"""Every act of an operator: who, when, what, why and what came of it (R34).

`reason` is the operator's own text.  Never purged, as the ledger is not: it says who let money go.
"""

Index("ix_operations_channel", operations.c.channel, operations.c.id)

operation_targets = Table(
    "operation_targets",
    metadata,
    Column("operation_id", Serial, ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("id", Text, primary_key=True),
)
"""The objects each act changed: deliveries, orders, refunds, late events, SKUs, products."""

rates = Table(
    "rates",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("setting", Float, nullable=False),
    Column("rate", Float, nullable=False),
    Column("tokens", Float, nullable=False),
    Column("at", Float, nullable=False),
    Column("question_until", Float, nullable=False),
    Column("command_until", Float, nullable=False),
    Column("fact_until", Float, nullable=False),
    Column("fact_credit", Float, nullable=False),
    Column("grown_at", Float, nullable=False),
    Column("cut_at", Float, nullable=False),
)
"""Each vendor key's rate as it was learned and what is left of it, shared by all processes (`transport.rates` says
what each number means); unlogged in PostgreSQL, for a crash may forget it (R14)."""

chores = Table(
    "chores",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("due_at", Moment, nullable=False),
)
"""Work that one process at a time does now and then: whoever moves `due_at` on has the turn."""

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("seen", Moment, nullable=False),
    Column("boot_id", String(64), nullable=False, server_default=""),
    Column("booted_at", Moment),
)
"""One row: `at` is when a running process wrote it last, `seen` the time that was seen passing until then (R36).

`seen` began as the time of day and stands still over steps.  SQLite only: `booted_at` is when, by the shared clock, the
start `boot_id` of the machine was."""

unseen_steps = Table(
    "unseen_steps",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("seen", Moment, nullable=False),
    Column("step_ms", BigInteger, nullable=False),
)
"""Steps of the shared clock that nobody saw passing, as it stood still or ran: at which `seen`, and by how much."""

schema_compatibility = Table(
    "schema_compatibility",
    metadata,
    Column("revision", String(32), primary_key=True),
    Column("usable_from", String(32), nullable=False),
)
"""Of each migration that has run the oldest one whose code can still use the database (P47)."""

write_probes = Table(
    "write_probes",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
"""What `/readyz` writes to see that the database takes anything; a row for each process that has done so lately."""
