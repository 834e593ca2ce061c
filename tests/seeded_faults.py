"""Shows that the tests can fail: each known fault, put into a scratch copy, must turn its promise red.

`python -m tests.seeded_faults [name ...]` first runs the named tests on an unharmed copy, then one fault
after another.  It ends with 0 only if the copy was green and every fault is red.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests import ROOT

LEFT_BEHIND = (".git", ".venv", "venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "instance")


@dataclass(frozen=True)
class Fault:
    """One small replacement and the tests that must notice."""

    name: str
    promise: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    patience_s: float = 60.0
    """Tests that wait for ever have noticed too; this is how long that takes."""
    on_postgresql: bool = False
    """Its tests need a PostgreSQL server; all others run on SQLite only, for a fault needs to be noticed once."""


FAULTS = (
    Fault(
        "walk-through-all-orders-that-retailops-has-had",
        "P26",
        "app/storefront/order_store.py",
        ".where(IS_QUEUED, orders.c.exportable_at <= until",
        ".where(orders.c.exportable_at <= until",
        (
            "tests/storefront/test_order_store.py::"
            "test_p26_the_queue_holds_what_waits_and_not_what_retailops_has_had_for_a_while",
        ),
    ),
    Fault(
        "take-an-order-out-of-the-queue-that-may-come-back",
        "P26",
        "app/storefront/order_queue.py",
        "is_had, ~is_open)",
        "is_had)",
        (
            "tests/storefront/test_order_store.py::"
            "test_p26_the_queue_holds_what_waits_and_not_what_retailops_has_had_for_a_while",
        ),
    ),
    Fault(
        "leave-sqlite-to-guess-how-much-a-channel-holds",
        "P26",
        "app/records/migrating.py",
        'if connection.dialect.name == "sqlite":',
        "if False:",
        (
            "tests/records/test_plans.py::"
            "test_p26_no_statement_of_a_request_or_of_the_background_walks_through_what_grows",
        ),
    ),
    Fault(
        "look-for-rows-that-are-written-out-in-all-of-a-table",
        "P26",
        "app/records/statements.py",
        'if connection.dialect.name != "sqlite":',
        "if True:",
        (
            "tests/records/test_plans.py::"
            "test_p26_no_statement_of_a_request_or_of_the_background_walks_through_what_grows",
        ),
    ),
    Fault(
        "compile-a-statement-of-each-pull-anew",
        "P26",
        "app/records/cancelled_at_source.py",
        "    IS_OPEN_ORDER,  # written out",
        '    handed_out.c.state == "open",  # written out',
        (
            "tests/records/test_plans.py::"
            "test_p26_no_statement_of_a_request_or_of_the_background_walks_through_what_grows[sqlite]",
        ),
    ),
    Fault(
        "look-for-old-tracking-numbers-among-all-numbers",
        "P26",
        "app/records/search_keys.py",
        "is_tracking: ColumnElement[bool] = literal_column(IS_TRACKING_KEY)",
        "is_tracking: ColumnElement[bool] = (literal_column(IS_TRACKING_KEY) == 1)",
        (
            "tests/records/test_plans.py::"
            "test_p26_no_statement_of_a_request_or_of_the_background_walks_through_what_grows",
        ),
    ),
    Fault(
        "erase-whose-number-was-not-typed",
        "P39",
        "app/console/pages/erasing.py",
        'if request.form.get("number", "").strip() != refnum.strip():',
        "if False:",
        ("tests/console/test_pages.py::test_p39_the_person_of_an_order_is_erased_by_number_and_reason_and_once",),
    ),
    Fault(
        "deny-an-erasure-for-the-log-that-cannot-be-emptied",
        "P32",
        "app/records/database.py",
        "with suppress(TurnTimeout, DatabaseUnavailable):",
        "with suppress(TurnTimeout):",
        (
            "tests/records/test_database.py::"
            "test_p32_the_log_is_emptied_without_keeping_writers_waiting_and_what_is_erased_is_never_denied",
        ),
    ),
    Fault(
        "keep-writers-waiting-while-the-log-is-emptied",
        "P15",
        "app/records/engines.py",
        'driver.execute("PRAGMA busy_timeout=0")',
        "pass",
        (
            "tests/records/test_database.py::"
            "test_p32_the_log_is_emptied_without_keeping_writers_waiting_and_what_is_erased_is_never_denied",
        ),
        patience_s=20.0,
    ),
    Fault(
        "show-a-callback-with-the-status-of-another-of-its-request-id",
        "P40",
        "app/records/traces.py",
        "        of.name == row.callback,\n",
        "",
        (
            "tests/operations/test_lists.py::"
            "test_p40_a_callback_of_an_order_is_not_shown_with_what_came_of_another_of_the_same_request_id[sqlite]",
        ),
    ),
    Fault(
        "read-the-rest-of-a-file-as-the-process-itself",
        "P15",
        "app/console/csv_rows.py",
        "caller.channel.set(sender)",
        'caller.channel.set("")',
        ("tests/console/test_pages.py::test_csv_ends_with_a_row_that_says_that_there_are_more",),
    ),
    Fault(
        "say-nothing-of-an-open-breaker",
        "R14",
        "app/operations/vendor_limits.py",
        "        if self.open_breakers:\n",
        "        if self.open_breakers > 1:\n",
        ("tests/console/test_pages.py::test_r14_health_says_what_keeps_calls_from_a_vendor_and_what_to_do",),
    ),
    Fault(
        "keep-a-sentence-in-place-of-a-place",
        "P40",
        "app/channel/request_faults.py",
        "[BodyProblem(problem.pointer, problem.rule, effect)",
        "[BodyProblem(problem.message, problem.rule, effect)",
        (
            "tests/console/test_pages.py::"
            "test_p40_what_was_wrong_with_a_body_is_shown_by_place_and_rule_wherever_its_call_is",
        ),
    ),
    Fault(
        "keep-no-problem-of-an-entry",
        "P6",
        "app/channel/request_faults.py",
        'for problem in _kept(problems, "entry_refused")',
        'for problem in _kept(problems[1:], "entry_refused")',
        ("tests/callbacks/test_routes.py::test_p6_a_refusal_names_pointer_and_rule",),
    ),
    Fault(
        "let-each-process-overwrite-what-the-others-counted",
        "P26",
        "app/records/counters.py",
        'table.c.value + added["value"]',
        'added["value"]',
        ("tests/records/test_counters.py::test_p26_what_processes_count_adds_up",),
    ),
    Fault(
        "count-again-what-was-written",
        "P26",
        "app/records/journal.py",
        "        self._counted.clear()\n",
        "",
        ("tests/records/test_journal.py::test_what_is_counted_while_the_database_is_away_is_counted_once_it_is_back",),
    ),
    Fault(
        "give-up-an-index-when-a-transaction-lasts",
        "P47",
        "app/records/migrations/indexes.py",
        "        op.execute(f\"set lock_timeout = '{WAIT}'\")\n",
        "",
        (
            "tests/records/test_migrations.py::"
            "test_p47_an_index_of_a_table_with_rows_waits_for_transactions_and_holds_up_none[postgresql]",
        ),
        on_postgresql=True,
    ),
    Fault(
        "hold-up-traffic-while-an-index-is-made",
        "P47",
        "app/records/migrations/indexes.py",
        "            postgresql_where=condition,\n            postgresql_concurrently=True,\n",
        "            postgresql_where=condition,\n",
        (
            "tests/records/test_migrations.py::"
            "test_p47_an_index_of_a_table_with_rows_waits_for_transactions_and_holds_up_none[postgresql]",
        ),
        on_postgresql=True,
    ),
    Fault(
        "write-all-that-waited-for-the-database-at-once",
        "P26",
        "app/records/journal.py",
        "            if time.monotonic() >= stop_at_s:\n                break\n",
        "",
        (
            "tests/records/test_journal.py::"
            "test_r16_what_waited_for_the_database_is_written_in_transactions_that_end_in_time_and_each_line_once",
        ),
    ),
    Fault(
        "show-metrics-to-whoever-asks",
        "P20",
        "app/callbacks/health.py",
        "        if not max([",
        "        if not tokens and not max([",
        ("tests/operations/test_measurements.py::test_metrics_need_the_consoles_token",),
    ),
    Fault(
        "cite-a-rule-that-is-written-nowhere",
        "P43",
        "app/docs/explain/rules.md",
        "### R13\n",
        "### R13b\n",
        ("tests/test_docs.py::test_p43_every_cited_rule_promise_and_figure_is_a_heading",),
    ),
    Fault(
        "keep-silent-about-goods-without-a-price",
        "P37",
        "app/storefront/health.py",
        "    if unit.price is None:\n",
        "    if False:\n",
        (
            "tests/gateways/vendors/rally/test_ids_and_texts.py::test_p37_a_check_says_why_nothing_of_the_catalogue_can_be_bought",
        ),
    ),
    Fault(
        "believe-provinces-that-are-none",
        "P37",
        "app/storefront/addresses.py",
        "return not province.strip() or not names or _canonical(country_code, province) in names.values()",
        "return True",
        (
            "tests/gateways/vendors/rally/test_ids_and_texts.py"
            "::test_p37_a_check_names_settings_that_refuse_orders_or_match_nobody",
        ),
    ),
    Fault(
        "try-no-path-of-a-bare-key",
        "P37",
        "app/gateways/vendors/pipe17/connection/health.py",
        'reads["orders"] = options.shipments_path',
        "pass",
        ("tests/cli/test_check.py::test_p37_a_path_that_refuses_every_pull_is_named",),
    ),
    Fault(
        "count-carts-that-were-made-as-refused",
        "P37",
        "app/storefront/health.py",
        "if item.status >= 400}",
        "if item.status != 200}",
        (
            "tests/gateways/vendors/rally/test_storefront.py"
            "::test_a_cart_the_shop_had_made_goes_the_whole_way_to_retailops[sqlite]",
        ),
    ),
    Fault(
        "make-carts-for-any-key",
        "P2",
        "app/storefront/cart_server.py",
        'if not (is_right and scheme.casefold() == "bearer"):',
        'if not given or scheme.casefold() != "bearer":',
        (
            "tests/gateways/vendors/rally/test_storefront.py::test_p2_any_wrong_key_gets_one_and_the_same_401_and_nothing_happens",
        ),
    ),
    Fault(
        "carts-of-a-channel-that-is-set-aside",
        "P37",
        "app/storefront/cart_server.py",
        "    if is_set_aside:\n",
        "    if False:\n",
        ("tests/gateways/vendors/rally/test_storefront.py::test_r35_a_channel_that_is_set_aside_makes_no_carts",),
    ),
    Fault(
        "carts-without-a-key",
        "P2",
        "app/gateways/vendors/rally/inbound/storefront_address.py",
        "if merchant is None or not merchant.options.storefront_key:",
        "if merchant is None:",
        ("tests/gateways/vendors/rally/test_storefront.py::test_without_a_key_there_is_no_such_address",),
    ),
    Fault(
        "cart-ids-that-can-be-guessed",
        "P46",
        "app/storefront/cart_document.py",
        "_RANDOM_BYTES: Final = 20",
        "_RANDOM_BYTES: Final = 8",
        ("tests/storefront/test_shop.py::test_nobody_can_guess_a_carts_id",),
    ),
    Fault(
        "count-each-line-of-a-sku-alone",
        "P6",
        "app/storefront/cart_requests.py",
        "elif requested[line.sku] > left:",
        "elif line.quantity > left:",
        (
            "tests/gateways/vendors/rally/test_storefront.py::test_p6_every_fault_is_named_by_its_pointer_and_no_value_comes_back",
        ),
    ),
    Fault(
        "carts-of-goods-that-are-not-sold",
        "P6",
        "app/storefront/goods.py",
        "sku: Unit(product, item, units[sku]) if is_buyable(item, shop.options) else None",
        "sku: Unit(product, item, units[sku])",
        (
            "tests/gateways/vendors/rally/test_storefront.py::test_p6_every_fault_is_named_by_its_pointer_and_no_value_comes_back",
        ),
    ),
    Fault(
        "lose-the-variants-of-bare-lines",
        "P34",
        "app/gateways/vendors/rally/inbound/hook_requests.py",
        'if item.get("quantity") is None and item.get("variants"):',
        'if item.get("quantity") is None and False:',
        (
            "tests/gateways/vendors/rally/test_storefront.py::test_bare_line_items_are_understood_however_they_name_the_goods",
        ),
    ),
    Fault(
        "log-a-failed-call-without-its-order",
        "P25",
        "app/deliveries/failure_log.py",
        '| ({"order": order} if order else {})',
        '| ({"order": order} if not order else {})',
        ("tests/deliveries/test_troubles.py::test_p14_the_log_tells_of_an_owed_call_that_fails_in_the_background",),
    ),
    Fault(
        "find-numbers-only-as-they-are-written",
        "P38",
        "app/records/search_keys.py",
        "return mended(number).strip().casefold()",
        "return mended(number).strip()",
        ("tests/operations/test_find.py::test_p38_an_order_is_found_by_every_number_of_it_and_of_its_parts[sqlite]",),
    ),
    Fault(
        "find-no-sku-of-stock-alone",
        "P38",
        "app/records/stock_batches.py",
        'Number("", "sku", item.sku) for item in sent if changes[item.sku].sent_at is None',
        'Number("", "sku", item.sku) for item in ()',
        (
            "tests/operations/test_find.py::"
            "test_p38_a_sku_that_stands_in_stock_alone_is_found_from_its_first_moment_on[sqlite]",
        ),
    ),
    Fault(
        "list-calls-of-an-order-by-one-number-alone",
        "P38",
        "app/cli/callbacks.py",
        "orders = orders_with(database, scope_of(channel), number, _channels(configured, channel))",
        "orders = [(key, number) for key in _channels(configured, channel)]",
        (
            "tests/cli/test_find.py::"
            "test_p38_the_timeline_is_shown_by_any_number_and_its_json_has_what_is_known_of_each_moment",
        ),
    ),
    Fault(
        "find-what-other-channels-have",
        "P38",
        "app/records/searching.py",
        'where(fits, visible(func.coalesce(of.channel, ""), channels))',
        'where(fits, visible(func.coalesce(of.channel, ""), None))',
        (
            "tests/operations/test_find.py::"
            "test_p38_whole_numbers_come_before_longer_ones_and_a_reader_gets_those_of_its_channels_alone[sqlite]",
        ),
    ),
    Fault(
        "find-an-order-that-is-purged",
        "P38",
        "app/storefront/order_expiry.py",
        "            search_keys.forget(connection, channel, *gone)\n",
        "",
        (
            "tests/operations/test_find.py::"
            "test_p38_an_order_of_a_checkout_is_found_from_its_first_moment_and_its_money_by_either_side_s_number[sqlite]",
        ),
    ),
    Fault(
        "keep-the-tracking-numbers-of-an-erased-order-again",
        "P32",
        "app/records/search_keys.py",
        "return or_(~is_erased, may_come_back)",
        "return or_(~is_erased, is_erased, may_come_back)",
        (
            "tests/operations/test_erasure.py::"
            "test_p32_nothing_personal_of_an_erased_order_is_left_anywhere_and_its_ids_and_amounts_are[sqlite]",
        ),
    ),
    Fault(
        "forget-which-orders-were-purged",
        "P32",
        "app/storefront/order_expiry.py",
        "            remembered.note_erased(connection, channel, gone, now)\n",
        "",
        (
            "tests/operations/test_find.py::"
            "test_p38_an_order_of_a_checkout_is_found_from_its_first_moment_and_its_money_by_either_side_s_number[sqlite]",
        ),
    ),
    Fault(
        "find-what-was-purged-again-after-a-restart",
        "P32",
        "app/records/search_filling.py",
        "rows = _unpurged(connection, rows, shops)",
        "rows = list(rows)",
        (
            "tests/operations/test_find.py::"
            "test_p38_an_order_of_a_checkout_is_found_from_its_first_moment_and_its_money_by_either_side_s_number[sqlite]",
        ),
    ),
    Fault(
        "forget-an-erasure-that-came-before-anything-was-kept",
        "P32",
        "app/records/erasing.py",
        "    if not found and not handed_out.is_to_note(connection, channel, refnum):\n",
        "    if not found:\n",
        (
            "tests/operations/test_erasure.py::"
            "test_p32_an_order_of_which_nothing_is_kept_yet_is_erased_and_nothing_of_it_is_kept_later[sqlite]",
        ),
    ),
    Fault(
        "give-no-number-to-what-could-not-be-written",
        "P38",
        "app/records/search_filling.py",
        "                    self._learn(connection, lacking)\n",
        "                    self._after = after\n                    self._learn(connection, lacking)\n",
        (
            "tests/operations/test_find.py::"
            "test_p38_p47_what_code_of_before_has_written_is_found_after_the_walk_of_a_later_process[sqlite]",
        ),
    ),
    Fault(
        "learn-the-numbers-of-an-erased-order-that-is-held-back",
        "P32",
        "app/channel/held_back.py",
        "are_new = before.handed_out.keys().isdisjoint(item.refnum for item in fresh)",
        "are_new = True",
        (
            "tests/channel/test_order_edges.py::"
            "test_p32_an_erased_order_that_its_source_spoils_is_found_by_no_number_again",
        ),
    ),
    Fault(
        "report-the-purchase-of-an-erased-order-again",
        "P32",
        "app/channel/actions/order_pull.py",
        "if order.refnum not in before.erased]",
        "]",
        (
            "tests/gateways/vendors/retailrocket/test_gateway.py::"
            "test_p32_of_an_erased_order_that_its_source_still_gives_no_report_is_kept_again",
        ),
    ),
    Fault(
        "erase-all-but-the-tracking-numbers",
        "P32",
        "app/records/retention.py",
        "        search_keys.tracking_of,\n",
        "",
        (
            "tests/operations/test_erasure.py::"
            "test_p32_nothing_personal_of_an_erased_order_is_left_anywhere_and_its_ids_and_amounts_are[sqlite]",
        ),
    ),
    Fault(
        "erase-all-but-what-stands-in-the-log-of-sqlite",
        "P32",
        "app/cli/orders.py",
        "act.is_dry_run or database.empty_log()",
        "True",
        (
            "tests/operations/test_erasure.py::"
            "test_p32_nothing_personal_of_an_erased_order_is_left_anywhere_and_its_ids_and_amounts_are[sqlite]",
        ),
    ),
    Fault(
        "erase-an-order-whose-report-is-open",
        "P32",
        "app/records/delivery_rows.py",
        "is_its = or_(deliveries.c.lane == refnum, deliveries.c.command_id.in_(of_order))",
        "is_its = or_(deliveries.c.lane == refnum)",
        (
            "tests/operations/test_erasure.py::"
            "test_p32_a_report_that_becomes_a_call_meanwhile_undoes_the_erasure[sqlite]",
        ),
    ),
    Fault(
        "sell-again-what-an-erased-order-has-bought",
        "R25",
        "app/storefront/order_expiry.py",
        '            if known != "taken":\n',
        "            if known:\n",
        (
            "tests/operations/test_erasure.py::test_p32_an_unpaid_order_goes_as_if_its_date_had_come_"
            "and_units_that_retailops_has_not_counted_stay_held[sqlite]",
        ),
    ),
    Fault(
        "keep-only-the-last-attempt",
        "P38",
        "app/records/outcomes.py",
        "    if added := list(rows):\n",
        "    if added := list(rows)[:0]:\n",
        (
            "tests/operations/test_timeline.py::"
            "test_p38_a_timeline_holds_hand_outs_callbacks_with_events_every_attempt_and_what_operators_did[sqlite]",
        ),
        patience_s=120.0,
    ),
    Fault(
        "show-requests-no-prefix-finds",
        "P25",
        "app/cli/callbacks.py",
        "is_begin = len(request_id) >= REQUEST_PREFIX",
        "is_begin = len(request_id) > REQUEST_PREFIX",
        ("tests/cli/test_timelines.py::test_on_80_columns_no_name_is_broken_and_what_is_shown_of_a_request_finds_it",),
    ),
    Fault(
        "write-the-api-key-into-the-address-all-the-same",
        "P20",
        "app/cli/certification.py",
        'query = "" if key_in_header else ',
        'query = "" if not actions else ',
        (
            "tests/cli/test_certify.py"
            "::test_p20_the_key_of_the_api_stands_in_the_query_or_in_a_header_and_never_in_both",
        ),
    ),
    Fault(
        "divide-exactly-for-the-sdk-tool",
        "P3",
        "app/cli/verify/reference.py",
        "if not (abs(quotient) < 2**53 and quotient.is_integer()):",
        "if not quotient.is_integer():",
        ("tests/cli/verify/test_sdk_tool.py::test_p3_its_replay_knows_numbers_as_far_as_the_sdks_tool",),
    ),
    Fault(
        "judge-for-the-sdk-tool-by-our-rules",
        "P3",
        "app/cli/verify/sdk_tool.py",
        "    if example.is_published:\n",
        "    if example.is_published and not example:\n",
        (
            "tests/cli/verify/test_sdk_tool.py::test_p3_its_replay_judges_by_the_rules_the_sdk_has_published_and_says_so",
        ),
    ),
    Fault(
        "name-failures-of-the-server-last",
        "P3",
        "app/cli/verify/causes.py",
        "        return Group.FAILED\n",
        "        return Group.REST\n",
        (
            "tests/cli/verify/test_causes.py::test_p3_several_faults_at_once_are_named_in_the_first_40_lines_the_worst_first"
            "[three_at_once-piped]",
        ),
    ),
    Fault(
        "name-causes-in-full-whatever-room-there-is",
        "P3",
        "app/cli/verify/show.py",
        "if sum(needs.values()) <= room:",
        "if sum(needs.values()):",
        (
            "tests/cli/verify/test_causes.py::test_p3_several_faults_at_once_are_named_in_the_first_40_lines_the_worst_first"
            "[nothing_right-piped]",
        ),
    ),
    Fault(
        "sandbox-page-shows-keys",
        "P25",
        "app/sandbox/page.py",
        " and not _SECRET.search(name):",
        ":",
        ("tests/sandbox/test_page.py::test_the_page_shows_requests_without_secrets_and_only_its_own_forms_work",),
    ),
    Fault(
        "sandbox-page-shows-a-table-of-tokens",
        "P25",
        "app/sandbox/page.py",
        "    if _SECRET.search(name):\n        return",
        "    if False:\n        return",
        ("tests/sandbox/test_host.py::test_a_new_vendors_sandbox_is_a_folder_and_nothing_else",),
    ),
    Fault(
        "sandbox-forgets-at-the-end",
        "P41",
        "app/sandbox/host.py",
        "                state.save()\n",
        "                pass\n",
        ("tests/sandbox/test_host.py::test_a_new_vendors_sandbox_is_a_folder_and_nothing_else",),
    ),
    Fault(
        "rally-sandbox-takes-any-body",
        "P41",
        "app/sandbox/vendors/rally/findings.py",
        "        if self.problems:\n            raise",
        "        if False:\n            raise",
        ("tests/sandbox/vendors/rally/test_rally.py::test_refunds_stay_within_the_charge_and_count_once",),
    ),
    Fault(
        "rally-sandbox-believes-what-nobody-signed",
        "P41",
        "app/sandbox/vendors/rally/calling.py",
        'requested.sign != "none" and not is_right:',
        'requested.sign != "none" and not is_right and signature:',
        ("tests/sandbox/vendors/rally/test_rally.py::test_an_answer_that_drifts_is_an_error_and_changes_nothing",),
    ),
    Fault(
        "sandbox-answers-a-preflight-by-itself",
        "P41",
        "app/sandbox/routes.py",
        'provide_automatic_options="OPTIONS" not in methods',
        "provide_automatic_options=route.method != ANY",
        ("tests/sandbox/vendors/rally/test_rally.py::test_the_storefront_gets_a_session_and_a_page",),
    ),
    Fault(
        "sandbox-admits-any-key",
        "P41",
        "app/sandbox/routes.py",
        "if not any(hmac",
        "if False and not any(hmac",
        ("tests/sandbox/test_host.py::test_a_new_vendors_sandbox_is_a_folder_and_nothing_else",),
    ),
    Fault(
        "sandbox-takes-any-body",
        "P41",
        "app/sandbox/host.py",
        "for problem in self.shapes.problems(shape, body)]",
        "for problem in ()]",
        ("tests/sandbox/test_host.py::test_a_new_vendors_sandbox_is_a_folder_and_nothing_else",),
    ),
    Fault(
        "shape-takes-a-fraction-for-an-integer",
        "P41",
        "app/sandbox/shapes.py",
        "if self._is_on and not isinstance(",
        "if False and not isinstance(",
        ("tests/sandbox/test_shapes.py::test_every_fault_is_named_by_place_and_rule_in_the_order_of_the_body",),
    ),
    Fault(
        "pipe17-sandbox-lets-a-number-name-two",
        "P9",
        "app/sandbox/vendors/pipe17/writes.py",
        "    if name not in body:\n",
        "    if True:\n",
        ("tests/sandbox/vendors/pipe17/test_pipe17.py::test_p9_a_created_fulfilment_counts_at_once_but_is_seen_late",),
    ),
    Fault(
        "sandbox-reads-another-vendors-file",
        "P41",
        "app/sandbox/state.py",
        "msgspec.convert(whole[name], kind))",
        "whole[name])",
        ("tests/sandbox/test_host.py::test_a_new_vendors_sandbox_is_a_folder_and_nothing_else",),
    ),
    Fault(
        "sandbox-channel-with-the-usual-ports",
        "P41",
        "app/cli/init.py",
        "(ports or {}).get(int(found[0]), found[0])",
        "found[0]",
        ("tests/cli/test_sandbox.py::test_p41_from_nothing_to_an_order_of_a_checkout_played_on_the_page",),
    ),
    Fault(
        "demo-goes-on-after-a-step-that-did-not-hold",
        "P41",
        "app/cli/demo/playing.py",
        "        if not played[-1].held:\n            break\n",
        "",
        ("tests/cli/demo/test_playing.py::test_p41_a_step_that_does_not_hold_is_the_last_and_says_what_was_seen",),
    ),
    Fault(
        "demo-takes-a-failure-for-done",
        "P41",
        "app/cli/demo/playing.py",
        "expect(not is_failed and not reply",
        "expect(not reply",
        (
            "tests/cli/demo/test_playing.py::"
            "test_p41_an_answer_that_retailops_would_throw_away_or_that_fails_does_not_hold",
        ),
    ),
    Fault(
        "demo-that-leaves-its-processes",
        "P41",
        "app/cli/demo/stage.py",
        "            stage.stop()",
        "            pass",
        ("tests/cli/test_sandbox.py::test_a_demo_that_is_ended_while_it_starts_leaves_nothing_behind",),
    ),
    Fault(
        "demo-that-is-interrupted-while-it-ends-its-processes",
        "P41",
        "app/cli/demo/interruptions.py",
        "            signal.signal(number, lambda number, _frame: came.append(number))",
        "            pass",
        (
            "tests/cli/demo/test_interruptions.py::"
            "test_p41_what_comes_while_processes_are_started_or_ended_takes_effect_afterwards",
        ),
    ),
    Fault(
        "own-server-looked-for-behind-a-proxy",
        "P41",
        "app/transport/straight.py",
        "session.trust_env = False",
        "session.trust_env = True",
        ("tests/transport/test_straight.py::test_a_proxy_of_the_environment_is_for_others_than_this_machine",),
    ),
    Fault(
        "serve-looks-for-its-port-where-it-does-not-listen",
        "P41",
        "app/cli/serve.py",
        "socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)",
        "socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)",
        ("tests/cli/test_serve.py::test_the_port_is_looked_at_where_the_server_will_listen",),
    ),
    Fault(
        "timeline-that-hides-codes-without-words",
        "P40",
        "app/console/templates/order.html",
        "event.code != it.code or event.message",
        "event.message",
        ("tests/console/test_pages.py::test_p40_a_moment_of_the_timeline_says_nothing_twice",),
    ),
    Fault(
        "send-under-a-lease-that-ends",
        "P44",
        "app/transport/connections.py",
        'self.is_lease_short = self.phase != "sent" and self._end.is_lease_short()',
        "self.is_lease_short = False",
        (
            "tests/transport/test_client.py::test_p44_p45_nothing_is_sent_under_a_lease_that_may_end_before_the_call_does",
        ),
    ),
    Fault(
        "leave-facts-of-a-lost-lease",
        "P44",
        "app/deliveries/sync.py",
        "was_tried=was_tried, error=str(error)):\n",
        "was_tried=was_tried, error=str(error)) and False:\n",
        (
            "tests/records/test_restating.py::test_p33_p44_a_sender_that_lost_its_lease_sends_the_present_level_once_more",
        ),
    ),
    Fault(
        "record-a-batch-while-calls-of-it-are-under-way",
        "P27",
        "app/deliveries/parallel_calls.py",
        "            if not helper.cancel():\n                helper.result()\n",
        "            helper.cancel()\n",
        (
            "tests/gateways/vendors/rally/test_parallel.py"
            "::test_p27_calls_for_one_sku_never_overlap_and_the_newest_arrives_last",
        ),
    ),
    Fault(
        "each-product-sends-its-category",
        "R13",
        "app/gateways/vendors/rally/facts.py",
        "        with self._turns.setdefault(path, threading.Lock()):\n",
        "        with threading.Lock():\n",
        (
            "tests/gateways/vendors/rally/test_parallel.py"
            "::test_r13_a_category_is_sent_once_and_before_all_products_that_name_it",
        ),
    ),
    Fault(
        "what-was-never-tried-stays-in-doubt",
        "P44",
        "app/deliveries/sync.py",
        "                if untouched:\n                    kind",
        "                if not untouched:\n                    kind",
        (
            "tests/gateways/vendors/rally/test_parallel.py"
            "::test_p44_a_vendor_that_dies_in_the_middle_leaves_in_doubt_only_what_it_was_sent",
            "tests/gateways/vendors/rally/test_parallel.py"
            "::test_p21_a_worker_that_stops_in_the_middle_records_what_was_taken_and_gives_back_the_rest[sqlite]",
        ),
    ),
    Fault(
        "a-batch-goes-on-while-the-worker-stops",
        "P21",
        "app/deliveries/parallel_calls.py",
        "return None if failures or self._is_stopping() else next(left, None)\n",
        "return None if failures else next(left, None)\n",
        (
            "tests/gateways/vendors/rally/test_parallel.py"
            "::test_p21_a_worker_that_stops_in_the_middle_records_what_was_taken_and_gives_back_the_rest[sqlite]",
        ),
    ),
    Fault(
        "the-sync-takes-the-threads-of-callbacks",
        "P14",
        "app/transport/limits.py",
        '            if kind != "fact" and self._inside() >= self._most_inside():\n',
        "            if len(self._waiting) + len(self._under_way) >= self._most_inside():\n",
        ("tests/transport/test_limits.py::test_r14_facts_have_threads_of_their_own_and_keep_no_callback_out",),
    ),
    Fault(
        "leave-calls-of-a-lost-lease",
        "P9",
        "app/records/outcomes.py",
        "            elif outcome.settled.is_possibly_done:\n",
        "            elif outcome.settled is None:\n",
        ("tests/records/test_outbox.py::test_p9_p44_a_call_of_a_lost_lease_that_may_have_been_sent_settles_anew",),
    ),
    Fault(
        "tell-nobody-of-an-overtaken-call",
        "P44",
        "app/records/outcomes.py",
        "            _note_if_overtaken(connection, outcome.delivery, now)\n",
        "            pass\n",
        ("tests/records/test_outbox.py::test_p44_a_call_that_may_have_arrived_after_later_ones_of_its_order_is_told",),
    ),
    Fault(
        "go-by-ones-own-clock",
        "P45",
        "app/clock.py",
        "return utc_now() if booted_s is None else",
        "return utc_now() if booted_s != 0.0 else",
        ("tests/records/test_clocks.py::test_p45_a_process_whose_clock_is_a_day_ahead_decides_as_the_others",),
    ),
    Fault(
        "believe-the-first-reading-of-two-clocks",
        "P45",
        "app/clock.py",
        "    return min(readings)[1]\n",
        "    return readings[0][1]\n",
        ("tests/records/test_clocks.py::test_p45_a_process_that_stands_still_between_its_two_clocks_reads_them_again",),
    ),
    Fault(
        "believe-every-lease",
        "P45",
        "app/records/leases.py",
        "return or_(until.is_(None), until <= now, until > beyond)",
        "return or_(until.is_(None), until <= now)",
        ("tests/records/test_clocks.py::test_p45_a_lease_further_ahead_than_any_can_be_is_over",),
    ),
    Fault(
        "a-stock-that-is-gone-still-has-the-goods",
        "R13",
        "app/gateways/vendors/retailrocket/product_api.py",
        "self._send(sending.with_flags(repeat(False)), stock_id, call)",
        "self._send(sending.with_flags(repeat(True)), stock_id, call)",
        (
            "tests/gateways/vendors/retailrocket/test_gateway.py::"
            "test_r13_after_a_change_of_settings_what_says_something_else_is_told_again",
        ),
    ),
    Fault(
        "write-after-the-lease-was-lost",
        "P44",
        "app/records/leases.py",
        ", table.c.lease_token == token)",
        ")",
        (
            "tests/records/test_restating.py::test_p33_p44_a_sender_that_lost_its_lease_sends_the_present_level_once_more",
            "tests/gateways/vendors/retailrocket/test_feed.py::test_p26_many_changes_make_one_build_by_one_process_and_all_serve_it",
        ),
    ),
    Fault(
        "count-every-step",
        "P45",
        "app/records/heartbeat.py",
        "return timedelta() <= step <= LONGEST_STEP",
        "return timedelta() <= step",
        ("tests/records/test_clocks.py::test_p45_only_time_that_was_seen_passing_counts_for_credits_and_purges",),
    ),
    Fault(
        "wait-for-the-time-to-come-again",
        "P45",
        "app/records/heartbeat.py",
        "    if step < _BACK:\n",
        "    if step is None:\n",
        ("tests/records/test_clocks.py::test_p45_nothing_waits_for_a_time_that_the_clock_has_left",),
    ),
    Fault(
        "keep-leases-of-before-a-restart",
        "P45",
        "app/records/heartbeat.py",
        'not in ("", boot_id()):',
        'in ("none",):',
        ("tests/records/test_clocks.py::test_p45_another_start_of_the_machine_ends_every_lease",),
    ),
    Fault(
        "compare-keys-as-text",
        "P2",
        "app/channel/receiving.py",
        "matches = [hmac.compare_digest(known, given) for known, _ in self._keys]",
        "matches = [bool(given) and known.lower().startswith(given.lower()) for known, _ in self._keys]",
        ("tests/callbacks/test_routes.py::test_p2_every_wrong_key_gets_one_and_the_same_401_and_nothing_happens",),
    ),
    Fault(
        "send-unjudged-answers",
        "P4",
        "app/contract/outgoing.py",
        "    problems = callback.check_answer(answer)\n    if not problems:",
        "    problems = ()\n    if not problems:",
        ("tests/contract/test_caller.py::test_what_cannot_be_mended_is_a_fault_of_ours",),
    ),
    Fault(
        "one-bad-row-costs-all",
        "P5",
        "app/channel/actions/inventory_push.py",
        "        if bad and index in bad:\n            continue\n",
        "        if bad:\n            return Levels({}, [])\n",
        ("tests/callbacks/test_routes.py::test_p5_one_bad_row_never_costs_the_others",),
    ),
    Fault(
        "value-in-problem",
        "P6",
        "app/contract/problems.py",
        "yield Problem.at(pointer_to(place, pointer), rule, sentence(rule, detail, self._owner(error)))",
        "yield Problem.at(pointer_to(place, pointer), rule, f'{value}')",
        ("tests/callbacks/test_routes.py::test_p6_no_value_of_a_refused_body_is_repeated_in_reply_or_log",),
    ),
    Fault(
        "skip-the-watchdog",
        "P7",
        "app/watchdog.py",
        "                use.cut()\n",
        "                pass\n",
        (
            "tests/transport/test_client.py::"
            "test_p7_p13_each_fault_ends_in_time_as_the_error_that_is_true_of_it_and_tells_no_secret[drip_body-TIMED_OUT]",
        ),
        patience_s=15.0,
    ),
    Fault(
        "let-the-kernel-go-on-sending",
        "P44",
        "app/transport/connections.py",
        "        self._linger(RESETS)\n",
        "        self._linger(ENDS_ORDERLY)\n",
        (
            "tests/transport/test_client.py::"
            "test_p44_of_a_call_that_was_given_up_nothing_more_is_sent_when_the_network_is_back",
        ),
    ),
    Fault(
        "throw-a-known-outcome-away",
        "P44",
        "app/channel/command_transactions.py",
        "    except (DatabaseUnavailable, DatabaseRefused):\n        _keep(request.services, begun, settled)\n",
        "    except (DatabaseUnavailable, DatabaseRefused):\n",
        (
            "tests/channel/test_known_outcomes.py::"
            "test_p44_answers_heard_while_the_database_is_away_are_told_as_they_are_and_recorded_when_it_is_back[sqlite]",
        ),
    ),
    Fault(
        "send-again-what-was-answered",
        "P44",
        "app/deliveries/dispatcher.py",
        "                known = self._keeper.known\n",
        "                known = frozenset[int]()\n",
        (
            "tests/channel/test_known_outcomes.py::"
            "test_p44_what_was_answered_is_not_sent_again_while_it_waits_to_be_recorded",
        ),
    ),
    Fault(
        "overtake-a-late-attempt",
        "P44",
        "app/records/claims.py",
        "_is_any(_EARLIER.c.late_until > _NOW)",
        "_is_any(_EARLIER.c.late_until < _NOW)",
        (
            "tests/records/test_outbox.py::"
            "test_p44_later_calls_of_a_lane_wait_while_an_earlier_attempt_may_still_arrive",
        ),
    ),
    Fault(
        "hear-only-who-holds-the-lease",
        "P44",
        "app/records/outcomes.py",
        "            if is_done or (outcome",
        "            if False and is_done or (outcome",
        (
            "tests/records/test_outbox.py::"
            "test_p22_p44_a_lease_that_ends_is_taken_over_and_only_a_definite_answer_counts_without_it",
        ),
    ),
    Fault(
        "call-overtaken-what-was-over",
        "P44",
        "app/records/outcomes.py",
        " and not is_over\n",
        "\n",
        (
            "tests/records/test_outbox.py::"
            "test_p44_a_call_that_was_over_before_later_ones_of_its_order_began_is_not_told",
        ),
    ),
    Fault(
        "wait-for-an-answer-without-a-connection",
        "P9",
        "app/transport/connections.py",
        'raise NewConnectionError(self, "no connection") from problem',
        "raise problem",
        ("tests/transport/test_client.py::test_p9_a_connection_that_ends_while_it_is_made_is_surely_not_done",),
    ),
    Fault(
        "take-a-refused-certificate-for-http",
        "P7",
        "app/transport/failures.py",
        "for each in (root, *root.args)):",
        "for each in (root,)):",
        (
            "tests/transport/test_client.py"
            "::test_p7_p8_through_a_proxy_and_tls_the_deadline_holds_and_only_a_known_certificate_is_trusted",
        ),
    ),
    Fault(
        "follow-redirects",
        "P8",
        "app/transport/connections.py",
        "                body = read_body(answer, self._max_reply_bytes)\n",
        "                if 300 <= answer.status < 400 and answer.headers.get('Location'):\n"
        "                    prepared.url = answer.headers['Location']\n"
        "                    return self._try(prepared, shown, attempt)\n"
        "                body = read_body(answer, self._max_reply_bytes)\n",
        ("tests/transport/test_client.py::test_p8_a_redirect_is_never_followed",),
    ),
    Fault(
        "ignore-possibly-done",
        "P9",
        "app/deliveries/transitions.py",
        '    return verb.repeat == "lookup" and (is_held_decision(delivery, verb) or delivery.is_possibly_done)',
        "    return False",
        (
            "tests/channel/test_refunds.py::test_p9_a_refund_of_unknown_outcome_is_looked_up_and_paid_once",
            "tests/channel/test_order_life.py::test_r10_a_cancellation_of_unknown_outcome_is_found_out_in_the_background",
        ),
    ),
    Fault(
        "no-time-to-settle",
        "P9",
        "app/deliveries/transitions.py",
        "now - delivery.last_attempt_at >= timedelta(seconds=settle_s)",
        "now >= delivery.last_attempt_at",
        ("tests/system/test_kill.py::test_p9_nothing_is_sent_again_before_the_vendor_had_its_time_to_show_it",),
    ),
    Fault(
        "drop-the-ledger",
        "P10",
        "app/channel/command_transactions.py",
        "        return Plan(), bound.events, False",
        "        return command.plan(connection), bound.events, False",
        (
            "tests/channel/test_refunds.py::test_p10_ten_equal_requests_at_once_pay_once",
            "tests/channel/test_order_life.py::test_p10_a_shipment_ten_times_at_once_is_one_fulfilment_per_package",
        ),
    ),
    Fault(
        "acknowledge-all-in-one-transaction",
        "P17",
        "app/channel/commands.py",
        "        if len(portions[-1]) >= PORTION:\n",
        "        if False:\n",
        (
            "tests/channel/test_order_life.py"
            "::test_p17_many_acknowledgements_are_kept_in_portions_so_that_asking_again_gets_on[sqlite]",
        ),
    ),
    Fault(
        "swallow-corrections",
        "P11",
        "app/channel/command_transactions.py",
        "    if command.is_repeat_of(bound.digest):",
        "    if bound.digest:",
        ("tests/channel/test_order_life.py::test_p11_a_package_told_again_with_other_tracking_is_never_swallowed",),
    ),
    Fault(
        "hammer-a-sick-vendor",
        "P14",
        "app/transport/breaker.py",
        "    threshold: int = 5",
        "    threshold: int = 1_000_000",
        ("tests/transport/test_client.py::test_p14_a_sick_vendor_is_left_alone_after_five_failures",),
    ),
    Fault(
        "acknowledged-when-pulled",
        "P17",
        "app/records/pulls.py",
        "        times=handed_out.c.times + 1,",
        "        acknowledged_at=_HANDED_AT,\n        times=handed_out.c.times + 1,",
        ("tests/channel/test_order_life.py::test_p17_an_order_is_handed_out_until_acknowledged_and_never_after",),
    ),
    Fault(
        "keep-a-level-for-each-spelling-of-a-sku",
        "P27",
        "app/channel/actions/inventory_push.py",
        "if kept not in by_sku and sku not in named:",
        "if kept in by_sku and sku not in named:",
        (
            "tests/channel/test_stock_spellings.py::test_r32_p27_one_sku_in_two_spellings_has_one_level_so_the_older_never_comes_after_the_newer",
        ),
    ),
    Fault(
        "know-no-blank-but-the-plain-one",
        "P27",
        "app/records/tables/stock.py",
        """HAS_BLANKS = f"sku <> trim(sku, '{BLANKS}')\"""",
        'HAS_BLANKS = "sku <> trim(sku)"',
        (
            "tests/channel/test_stock_spellings.py::test_r32_p27_one_sku_in_two_spellings_has_one_level_so_the_older_never_comes_after_the_newer",
        ),
    ),
    Fault(
        "look-for-tired-orders-in-the-records-alone",
        "P18",
        "app/channel/actions/order_pull.py",
        "page.passed_tired = page.passed_tired or is_tired",
        "page.passed_tired = False",
        (
            "tests/channel/test_order_edges.py::test_r18_an_order_that_others_pull_too_often_during_its_first_pull_still_comes",
            "tests/channel/test_order_edges.py::test_r18_an_order_often_handed_out_comes_again_after_a_long_silence_of_retailops",
        ),
    ),
    Fault(
        "forget-on-the-next-page-which-orders-are-still-to-be-given",
        "P18",
        "app/channel/actions/order_pull.py",
        "passed_tired=place.has_passed_tired",
        "passed_tired=False",
        (
            "tests/channel/test_order_edges.py::test_p18_a_walk_of_several_pages_has_each_order_once_after_a_silence_and_beside_other_pulls",
        ),
    ),
    Fault(
        "count-the-hand-outs-of-later-walks",
        "P18",
        "app/records/pulls.py",
        "elif times - sum(ms >= pull_ms for ms in _moments_ms(hand_outs)) >= TIRED_AFTER:",
        "elif times >= TIRED_AFTER:",
        (
            "tests/channel/test_order_edges.py::test_p18_a_walk_of_several_pages_has_each_order_once_after_a_silence_and_beside_other_pulls",
        ),
    ),
    Fault(
        "take-the-blanks-off-the-number-of-an-order-held-back",
        "P35",
        "app/contract/outgoing.py",
        'refnum = opaque(order.get("channel_order_refnum"))',
        'refnum = text(order.get("channel_order_refnum"))',
        ("tests/contract/test_caller.py::test_one_bad_order_never_costs_the_page",),
    ),
    Fault(
        "forget-what-came-before-the-source-failed",
        "P18",
        "app/channel/actions/order_pull.py",
        "            fault = error\n",
        "            raise\n",
        (
            "tests/channel/test_order_edges.py::test_p18_orders_that_came_before_the_source_failed_are_given_and_the_walk_goes_on_behind_them",
        ),
    ),
    Fault(
        "a-key-ends-at-its-quotation-mark",
        "P27",
        "app/records/statements.py",
        """.replace('"', '\\\\"')""",
        "",
        ("tests/records/test_stock.py::test_p27_keys_of_any_characters_are_found_as_one_parameter[postgresql]",),
        on_postgresql=True,
    ),
    Fault(
        "take-an-order-on-both-legs",
        "P18",
        "app/channel/actions/order_pull.py",
        "is_tired == place.is_second_leg and candidate.refnum not in page.places",
        "is_tired == place.is_second_leg and candidate.refnum not in page.cancelled",
        (
            "tests/channel/test_order_edges.py::test_r18_an_order_that_another_pull_counts_meanwhile_stands_on_a_page_once",
        ),
    ),
    Fault(
        "page-begins-with-the-last-order",
        "P18",
        "app/channel/paging.py",
        "if key_of(item.refnum) > place.after_key if is_same_ms",
        "if key_of(item.refnum) >= place.after_key if is_same_ms",
        (
            "tests/channel/test_order_life.py::test_p18_every_order_is_reached_once_while_others_arrive_and_are_acknowledged",
        ),
    ),
    Fault(
        "forget-what-a-credit-paid",
        "P19",
        "app/channel/actions/order_returned.py",
        'if any(entry.state == "matched" and entry.released_at is None for entry in before):',
        "if False:",
        (
            "tests/channel/test_refunds.py::"
            "test_r23_a_return_a_credit_has_paid_is_not_paid_after_a_statement_without_money",
        ),
    ),
    Fault(
        "refund-what-is-asked",
        "P19",
        "app/channel/refunds.py",
        "amount = charge.left if is_same_amount(rest, charge.left) else min(rest, charge.left)",
        "amount = rest",
        (
            "tests/channel/test_refunds.py::test_p19_a_return_draws_on_the_newest_payment_first_and_on_no_more_than_is_left",
        ),
    ),
    Fault(
        "secrets-in-the-log",
        "P20",
        "app/logs.py",
        '                value = value.replace(secret, "***")\n',
        "                pass\n",
        ("tests/test_logs.py::test_p20_a_secret_is_blotted_out_where_it_stands_in_json_or_in_an_address",),
    ),
    Fault(
        "an-escaped-secret-in-the-log",
        "P20",
        "app/logs.py",
        "tuple({_in_json(form) for form in found})",
        "tuple(found)",
        ("tests/test_logs.py::test_p20_a_secret_is_blotted_out_where_it_stands_in_json_or_in_an_address",),
    ),
    Fault(
        "unknown-cancellation-is-success",
        "P22",
        "app/channel/commands.py",
        'state = "checking" if is_held and report.state in ("owed", "parked") else report.state',
        "state = report.state",
        ("tests/system/test_kill.py::test_p22_a_cancellation_cut_off_by_a_kill_is_unknown_until_it_is_found_out",),
    ),
    Fault(
        "record-without-the-lease",
        "P22",
        "app/records/outcomes.py",
        "        if row is not None and row.lease_token == outcome.token:\n",
        "        if row is not None:\n",
        (
            "tests/records/test_outbox.py::"
            "test_p22_p44_a_lease_that_ends_is_taken_over_and_only_a_definite_answer_counts_without_it",
        ),
    ),
    Fault(
        "forget-the-dead-sender",
        "P22",
        "app/records/claims.py",
        "row.attempts, bool(row.is_possibly_done) or row.lease_token is not None,",
        "row.attempts, bool(row.is_possibly_done),",
        (
            "tests/records/test_outbox.py::"
            "test_p22_p44_a_lease_that_ends_is_taken_over_and_only_a_definite_answer_counts_without_it",
        ),
    ),
    Fault(
        "overtake-within-an-order",
        "P26",
        "app/records/claims.py",
        "    _EARLIER.c.id < deliveries.c.id,\n",
        "    _EARLIER.c.id < 0,\n",
        ("tests/records/test_outbox.py::test_p26_many_claimers_take_every_call_once_and_keep_each_lanes_order",),
    ),
    Fault(
        "keep-the-oldest-stock",
        "P27",
        "app/records/stock_merges.py",
        "    level = excluded.level, stated_at",
        "    stated_at",
        ("tests/channel/test_order_life.py::test_p27_the_newest_stock_wins_after_the_vendor_was_away",),
    ),
    Fault(
        "forget-what-changed-while-sending",
        "P27",
        "app/records/stock_batches.py",
        "sent_seq=_GIVEN.seq",
        "sent_seq=stock.c.seq",
        ("tests/records/test_stock.py::test_p27_a_value_that_changed_while_it_was_sent_is_sent_again",),
    ),
    Fault(
        "send-equal-levels-where-only-changes-are-wanted",
        "P27",
        "app/records/stock_merges.py",
        "\"(stock.refusal <> '' or stock.is_uncertain)\"",
        '"(true)"',
        (
            "tests/records/test_restating.py"
            "::test_p33_where_only_changes_are_wanted_equal_levels_are_sent_again_only_after_a_refusal",
        ),
    ),
    Fault(
        "unconfigured-pair-looks-like-success",
        "P31",
        "app/channel/dry_run.py",
        'result.events.insert(0, Event("error", "CHANNEL_NOT_CONFIGURED", message))',
        'result.events.insert(0, Event("info", "CHANNEL_NOT_CONFIGURED", message))',
        (
            "tests/callbacks/test_routes.py::test_p31_a_real_key_for_an_unconfigured_pair_changes_nothing_and_never_looks_like_success",
        ),
    ),
    Fault(
        "keep-stale-bodies",
        "P32",
        "app/records/retention.py",
        '            body=None,\n            state="parked",',
        '            state="parked",',
        (
            "tests/records/test_retention.py::test_p32_a_body_nobody_could_deliver_is_redacted_180_days_after_its_last_change",
        ),
    ),
    Fault(
        "trust-any-signature",
        "P2",
        "app/gateways/vendors/rally/signing.py",
        '        if hmac.compare_digest(sign(secret, message).encode("ascii"), given):\n',
        "        if given:\n",
        ("tests/gateways/vendors/rally/test_signing.py::test_anything_else_is_no_signature",),
    ),
    Fault(
        "leave-a-forks-database-unwatched",
        "P7",
        "app/watchdog.py",
        "        os.register_at_fork(after_in_child=self._begin_anew)\n",
        "",
        ("tests/records/test_database.py::test_p7_a_forked_process_watches_its_own_uses_after_an_idle_while",),
    ),
    Fault(
        "hold-back-cancellations",
        "P17",
        "app/channel/order_json.py",
        "order.carries_money and not order.is_cancelled and not",
        "order.carries_money and not",
        (
            "tests/gateways/vendors/rally/test_edges.py"
            "::test_r18_a_cancellation_is_told_although_the_sums_of_the_order_do_not_match_any_more",
        ),
    ),
    Fault(
        "forget-what-a-lost-attempt-told",
        "P27",
        "app/records/stock_batches.py",
        "    _note_uncertain(connection, batch)\n",
        "",
        ("tests/records/test_stock.py::test_p27_p26_what_a_sender_that_died_may_have_told_is_known_to_the_next",),
    ),
    Fault(
        "currency-nobody-takes",
        "P37",
        "app/domain/order_limits.py",
        "    if currency_code in RETAILOPS_CURRENCIES:\n",
        "    if len(currency_code) == 3:\n",
        (
            "tests/channel/test_set_aside.py::"
            "test_p37_every_currency_either_reaches_retailops_or_sets_its_channel_aside",
        ),
    ),
    Fault(
        "set-aside-delivers",
        "P37",
        "app/deliveries/dispatcher.py",
        "if stream[0] in self._channels and stream not in self._paused]",
        "if stream not in self._paused]",
        (
            "tests/channel/test_set_aside.py::"
            "test_p37_one_channels_fault_stops_one_channel_and_what_it_has_pending_waits",
        ),
    ),
    Fault(
        "name-is-the-key",
        "R35",
        "app/domain/channel_identity.py",
        "        item, own = by_name.get(former), found.get(channel.name)\n",
        "        item, own = None, found.get(channel.name)\n",
        (
            "tests/channel/test_shops_that_change.py::"
            "test_r35_owed_calls_and_kept_orders_survive_a_renaming_that_is_said_and_nothing_is_served_before[sqlite]",
        ),
    ),
    Fault(
        "former-name-taken-twice",
        "R35",
        "app/domain/channel_identity.py",
        "        if owner:\n",
        "        if owner == channel.name:\n",
        ("tests/domain/test_channel_identity.py::test_r35_a_former_name_takes_its_records_along_and_is_consumed_once",),
    ),
    Fault(
        "another-account-goes-on",
        "R35",
        "app/domain/channel_identity.py",
        "        if before not in channel.former_accounts\n",
        "        if before == channel.name\n",
        (
            "tests/domain/test_channel_identity.py::"
            "test_r35_another_account_under_a_kept_name_is_set_aside_until_it_is_said",
        ),
    ),
    Fault(
        "new-account-believed-told",
        "R35",
        "app/channel/registration.py",
        "        channels.send_all_again(connection, key, gateway)\n",
        "",
        (
            "tests/channel/test_shops_that_change.py::"
            "test_r35_another_account_under_a_kept_name_is_served_only_when_it_is_said_and_reads_nothing_of_the_former",
        ),
        patience_s=90.0,
    ),
    Fault(
        "calls-follow-another-account",
        "R35",
        "app/channel/registration.py",
        "            channels.leave_calls(connection, key, gateway, now)\n",
        "            pass\n",
        (
            "tests/channel/test_shops_that_change.py::"
            "test_r35_a_new_gateway_and_another_partner_of_it_leave_the_orders_alone",
        ),
    ),
    Fault(
        "new-key-is-a-stranger",
        "R35",
        "app/gateways/vendors/pipe17/__init__.py",
        "        return [_of_key(key) for key in keys if key]\n",
        "        return []\n",
        (
            "tests/channel/test_shops_that_change.py::"
            "test_r35_a_replaced_bare_key_is_the_same_account_where_the_old_one_is_named_or_somebody_says_so",
        ),
    ),
    Fault(
        "strangers-fill-the-records",
        "R35",
        "app/gateways/strangers.py",
        "    MOST = 100\n",
        "    MOST = 100_000\n",
        ("tests/channel/test_shops_that_change.py::test_r35_a_mistyped_organisation_is_told_and_mending_it_is_enough",),
    ),
    Fault(
        "vanished-without-a-word",
        "R35",
        "app/channel/registration.py",
        "    return [(item, what) for item, what in found if what]\n",
        "    return [(item, what) for item, what in found if not what]\n",
        (
            "tests/channel/test_shops_that_change.py::"
            "test_r35_what_is_left_of_a_channel_is_told_until_it_is_forgotten_and_a_settled_one_goes_silently[sqlite]",
        ),
    ),
    Fault(
        "forget-the-numbers-first",
        "R35",
        "app/records/forgetting.py",
        "sorted(_tables(), key=lambda table: table is search_keys)",
        "sorted(_tables(), key=lambda table: table is not search_keys)",
        (
            "tests/operations/test_find.py::"
            "test_r35_what_a_channel_was_found_by_is_not_filled_again_while_it_is_forgotten[sqlite]",
        ),
    ),
    Fault(
        "fill-what-was-read-before-it-was-forgotten",
        "R35",
        "app/records/search_filling.py",
        "                    lacking, after = self._walks[0](connection, self._after)\n",
        "",
        (
            "tests/operations/test_find.py::"
            "test_r35_what_a_channel_was_found_by_is_not_filled_again_while_it_is_forgotten[sqlite]",
        ),
    ),
    Fault(
        "ledger-forgotten",
        "R9",
        "app/records/forgetting.py",
        'STAYS = frozenset({"commands", "refunds", ',
        'STAYS = frozenset({"commands", ',
        (
            "tests/channel/test_shops_that_change.py::"
            "test_r35_what_is_left_of_a_channel_is_told_until_it_is_forgotten_and_a_settled_one_goes_silently[sqlite]",
        ),
    ),
    Fault(
        "paid-order-purged",
        "R28",
        "app/storefront/order_expiry.py",
        "    return IS_PAID_FOR & ~is_acknowledged()\n",
        '    return orders.c.refnum == ""\n',
        (
            "tests/channel/test_shops_that_change.py::"
            "test_r28_a_paid_order_that_retailops_does_not_have_is_held_at_its_date_and_told_after_a_week",
        ),
    ),
    Fault(
        "location-not-looked-for",
        "P37",
        "app/gateways/vendors/pipe17/connection/health.py",
        '    if location is None:\n        return "does not exist at Pipe17, or this key is not shown it"\n',
        '    if location is None:\n        return ""\n',
        ("tests/cli/test_check.py::test_p37_locations_that_can_never_be_served_are_named_with_what_mends_them",),
    ),
    Fault(
        "forget-restated",
        "P33",
        "app/channel/actions/inventory_push.py",
        "    return sink.restate_every_s\n",
        "    return None\n",
        (
            "tests/gateways/vendors/pipe17/test_restated.py"
            "::test_p33_the_last_unit_can_be_sold_after_a_shipment_that_pipe17_subtracted_by_itself",
        ),
    ),
    Fault(
        "changed-not-first",
        "P33",
        "app/records/synced_facts.py",
        "        for is_changed in (True, False):\n",
        "        for is_changed in (False, True):\n",
        (
            "tests/records/test_restating.py"
            "::test_p33_changed_levels_go_first_in_the_order_they_changed_and_the_others_longest_unsent_first",
            "tests/records/test_restating.py::test_p33_no_sku_starves_and_changed_ones_never_wait_for_restated_ones",
        ),
    ),
    Fault(
        "restated-to-the-back",
        "P33",
        "app/records/stock_merges.py",
        "                when stock.seq > stock.sent_seq then stock.turn\n",
        "",
        (
            "tests/records/test_restating.py"
            "::test_p33_changed_levels_go_first_in_the_order_they_changed_and_the_others_longest_unsent_first",
        ),
    ),
    Fault(
        "refused-never-again",
        "P33",
        "app/deliveries/sync.py",
        "                refused.obstacles_gone(connection, channel, token, polled.gone, now),\n",
        "",
        (
            "tests/gateways/vendors/pipe17/test_restated.py::test_p33_what_people_unlock_is_sent_by_itself",
            "tests/gateways/vendors/pipe17/test_restated.py"
            "::test_p33_stock_of_a_product_that_people_make_later_arrives_with_and_without_a_statement",
        ),
    ),
    Fault(
        "refused-again-by-every-look",
        "P33",
        "app/records/obstacles.py",
        "                        _OBSTACLES.subject.in_(some),\n",
        "",
        (
            "tests/records/test_restating.py"
            "::test_p33_ten_thousand_refused_levels_are_never_owed_again_by_a_look_that_finds_nothing",
        ),
    ),
    Fault(
        "created-never-tried-again",
        "P33",
        "app/deliveries/sync.py",
        "    refused.products_made(connection, batch.channel, batch.gateway, skus, at)\n",
        "",
        (
            "tests/gateways/vendors/pipe17/test_restated.py::test_p33_stock_of_a_product_that_we_create_arrives_by_itself",
        ),
    ),
    Fault(
        "place-of-a-facility-without-location-emptied",
        "P33",
        "app/gateways/vendors/pipe17/stock/stock_rows.py",
        "if unplaced.isdisjoint(sending.note[place].facilities)",
        "",
        (
            "tests/gateways/vendors/pipe17/test_restated.py"
            "::test_p33_a_place_keeps_its_figure_while_its_facility_is_stated_and_has_no_location",
        ),
    ),
    Fault(
        "place-kept-for-another-facility",
        "P33",
        "app/gateways/vendors/pipe17/stock/stock_rows.py",
        "if unplaced.isdisjoint(sending.note[place].facilities)",
        "if not unplaced",
        (
            "tests/gateways/vendors/pipe17/test_restated.py"
            "::test_p33_a_place_keeps_its_figure_while_its_facility_is_stated_and_has_no_location",
        ),
    ),
    Fault(
        "alias-one-only",
        "P33",
        "app/gateways/vendors/pipe17/stock/stock_rows.py",
        "own + self._rows_of_others(sending, match, own, served)",
        "own",
        (
            "tests/gateways/vendors/pipe17/test_restated.py"
            "::test_p33_of_two_products_with_one_sku_the_very_sku_has_the_figure_and_the_other_none",
        ),
    ),
    Fault(
        "send-again-what-was-moved",
        "P33",
        "app/records/stock_sync.py",
        '.values(moved_at=bindparam("at", type_=Moment))',
        ".values(moved_at=None)",
        (
            "tests/records/test_restating.py"
            "::test_p33_a_level_that_an_order_or_a_shipment_moved_is_not_sent_again_by_itself_but_shown",
        ),
    ),
    Fault(
        "stale-stock-said-to-be-sent",
        "P40",
        "app/console/templates/parts.html",
        "{%- if it.again_at and not it.is_owed and it.moved_at is defined and it.moved_at %}",
        "{%- if false %}",
        (
            "tests/console/test_pages.py"
            "::test_p40_a_page_says_of_stock_that_was_moved_that_it_waits_and_not_that_it_is_sent",
        ),
    ),
    Fault(
        "lost-attempt-not-sent-again",
        "P44",
        "app/records/stock_batches.py",
        "changes[item.sku].uncertain is not None",
        "False",
        (
            "tests/records/test_restating.py"
            "::test_p33_p44_after_an_attempt_of_unknown_outcome_the_present_level_is_sent_once_more_after_settle",
        ),
    ),
    Fault(
        "delta-believes-its-own-note",
        "P33",
        "app/gateways/vendors/pipe17/stock/ingest.py",
        "if (record := held.get(row.key)) and record.has(row.figure):",
        "if True:",
        (
            "tests/gateways/vendors/pipe17/test_restated.py::test_p33_delta_leaves_out_only_what_pipe17_has_as_it_was_sent_last",
        ),
    ),
    Fault(
        "sku-only-first-line",
        "P34",
        "app/domain/line_matching.py",
        "if is_same(line.sku, sku)]):\n            return found\n",
        "if is_same(line.sku, sku)]):\n            return found[:1]\n",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_a_package_and_unshipped_units_named_by_sku_alone_fill_the_lines_of_that_sku",
        ),
    ),
    Fault(
        "removed-units-forgotten",
        "P34",
        "app/channel/unshipped.py",
        "    left = order.removed_and_open\n",
        "    left: Counter[str] = Counter()\n",
        (
            "tests/channel/test_order_memory.py::test_p34_units_an_update_took_off_are_closed_with_the_completion",
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p34_units_taken_off_after_shipping_began_go_back_with_the_completion",
        ),
        patience_s=120.0,
    ),
    Fault(
        "label-not-replaced",
        "P11",
        "app/channel/shipments.py",
        "        if found.is_cut:\n",
        "        if False:\n",
        ("tests/channel/test_order_memory.py::test_p11_the_same_units_under_a_new_number_replace_the_label",),
    ),
    Fault(
        "a-carrier-that-cannot-be-read-takes-away-the-one-before",
        "P34",
        "app/storefront/kept_orders.py",
        "carrier=parcel.carrier or before.carrier",
        "carrier=parcel.carrier",
        (
            "tests/gateways/vendors/rally/test_completions.py::test_p11_a_mended_carrier_and_a_new_label_reach_rally_and_say_so",
        ),
    ),
    Fault(
        "a-return-under-a-number-nobody-has-is-passed-over",
        "P34",
        "app/channel/returned_goods.py",
        "    if not name.refnum:\n        return True\n",
        "    if not name.refnum:\n        return False\n",
        ("tests/channel/test_order_memory.py::test_p34_a_number_nobody_has_or_several_have_changes_nothing",),
    ),
    Fault(
        "each-of-many-packages-is-compared-with-each",
        "P7",
        "app/channel/labels.py",
        "islice(_twins(known, shipped, payload), len(alike) + 1)",
        "_twins(known, shipped, payload)",
        (
            "tests/channel/test_order_memory.py"
            "::test_p11_two_equal_boxes_get_two_new_labels_and_one_alone_is_no_replacement",
        ),
    ),
    Fault(
        "a-guessed-line-is-never-given-back",
        "P34",
        "app/channel/shipments.py",
        "        moved = give_way(order.lines, share, by_sku, room)\n",
        "        moved: dict[str, int] = {}\n",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_units_that_name_a_line_make_those_give_way_that_named_its_sku_alone",
        ),
    ),
    Fault(
        "units-taken-off-by-their-sku-hold-the-package-that-names-the-line",
        "P34",
        "app/channel/shipments.py",
        "give_way(order.lines, replace(share, left_over=left_over), taken_off, room).items()",
        "()",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_units_taken_off_by_their_sku_alone_are_others_than_those_that_ship_by_name",
        ),
    ),
    Fault(
        "shipped-units-are-taken-off-before-open-ones",
        "P34",
        "app/domain/line_matching.py",
        "    for kept in (shipped, {}):\n",
        "    for kept in ({},):\n",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_units_taken_off_by_their_sku_alone_are_others_than_those_that_ship_by_name",
        ),
    ),
    Fault(
        "units-named-as-unshipped-make-none-give-way",
        "P34",
        "app/channel/unshipped.py",
        "        moved = give_way(order.lines, part, by_sku, room)\n",
        "        moved: dict[str, int] = {}\n",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_units_closed_by_name_make_those_give_way_that_shipped_by_their_sku_alone",
        ),
    ),
    Fault(
        "units-taken-off-make-none-give-way",
        "P34",
        "app/channel/unshipped.py",
        "        moved = give_way(order.lines, Share((refnum,), (), units), by_sku, room)\n",
        "        moved: dict[str, int] = {}\n",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_units_closed_by_name_make_those_give_way_that_shipped_by_their_sku_alone",
        ),
    ),
    Fault(
        "closed-units-are-forgotten-by-the-line-that-was-named",
        "P34",
        "app/records/handed_out.py",
        "    named = _counted(found.closed_as_named, completion.named or unshipped, sign)\n",
        "    named = units\n",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_units_closed_by_name_make_those_give_way_that_shipped_by_their_sku_alone",
        ),
    ),
    Fault(
        "a-return-by-name-is-of-no-unit-shipped-by-its-sku",
        "P19",
        "app/domain/line_matching.py",
        "if other.sku == line.sku and other is not line and",
        "if other is line and",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p19_units_shipped_by_their_sku_alone_leave_the_money_to_the_lines_that_are_named",
        ),
    ),
    Fault(
        "units-that-gave-way-are-counted-as-returned-before-they-shipped",
        "P19",
        "app/channel/settling.py",
        "    shipped = completed.shipped(Counter(refunds.returned_units(entries)))\n",
        "    shipped = completed.order.shipped\n",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p19_units_shipped_by_their_sku_alone_leave_the_money_to_the_lines_that_are_named",
        ),
    ),
    Fault(
        "any-success-is-a-read-of-retail-rocket",
        "P9",
        "app/gateways/vendors/retailrocket/api.py",
        "                _refuse_other_success(reply)\n",
        "",
        (
            "tests/gateways/vendors/retailrocket/test_answers.py"
            "::test_p9_of_any_other_success_nobody_knows_what_was_stored",
        ),
    ),
    Fault(
        "shoppers-are-charged-for-cancelled-orders",
        "P19",
        "app/channel/actions/order_settle_payment.py",
        'order.as_of(connection).state == "cancelled":\n',
        'order.as_of(connection).state == "":\n',
        (
            "tests/channel/test_refunds.py"
            "::test_p19_an_authorised_payment_is_captured_once_and_only_what_was_captured_goes_back",
        ),
    ),
    Fault(
        "the-server-outlives-a-killed-serve",
        "P21",
        "app/cli/server_process.py",
        "preexec_fn=_bound_to_us() if own_session else None,",
        "preexec_fn=None,",
        ("tests/cli/test_serve.py::test_p21_what_serve_starts_ends_with_it_also_when_it_is_killed",),
    ),
    Fault(
        "a-later-part-of-a-cancellation-takes-the-first-ones-key",
        "P19",
        "app/channel/refunds.py",
        " if part.key not in in_effect)",
        ")",
        ("tests/channel/test_refunds.py::test_p19_a_repeated_cancellation_gives_back_what_has_become_free_since",),
    ),
    Fault(
        "a-refund-refused-once-stays-refused-in-the-answer",
        "P19",
        "app/channel/commands.py",
        "cancellations[-2] if len(cancellations) > 1 else 0",
        "0",
        ("tests/channel/test_refunds.py::test_p19_a_repeated_cancellation_gives_back_what_has_become_free_since",),
    ),
    Fault(
        "a-stated-price-is-paid-with-every-repeat",
        "P19",
        "app/channel/closed_money.py",
        "for part in (meant, count))",
        "for part in (meant, item.units))",
        ("tests/channel/test_refunds.py::test_p19_a_repeated_completion_pays_no_unit_again_whose_cost_is_unknown",),
    ),
    Fault(
        "shipping-a-credit-paid-is-paid-by-a-repeat",
        "P19",
        "app/channel/settling.py",
        "        credited -= part\n        amounts.append(row.amount - part)\n",
        "        amounts.append(row.amount)\n",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p19_shipping_that_a_credit_paid_is_not_paid_by_a_repeated_completion",
        ),
    ),
    Fault(
        "a-credit-of-units-and-shipping-keeps-the-units-alone",
        "P19",
        "app/channel/settling.py",
        "            for name in names:\n",
        "            for name in names[:1]:\n",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p19_shipping_that_a_credit_paid_is_not_paid_by_a_repeated_completion",
        ),
    ),
    Fault(
        "a-refused-update-answers-one-that-is-in-force",
        "P10",
        "app/channel/command_transactions.py",
        "has_news or (plan.answers_alone and _is_refused(connection, command, bound))",
        "has_news",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_r9_an_update_or_a_label_that_rally_refused_is_sent_again_and_answers_no_other",
        ),
    ),
    Fault(
        "an-order-whose-cancellation-is-refused-stays-cancelled-at-the-shop",
        "P11",
        "app/channel/actions/order_cancel.py",
        "            if answer.kept_orders is not None:\n",
        "            if False:\n",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p11_an_order_that_rally_refused_to_close_is_called_paid_again",
        ),
    ),
    Fault(
        "an-order-whose-last-package-is-refused-stays-completed-at-the-shop",
        "P11",
        "app/channel/shipments.py",
        "            answer.reopen_kept_order(refnum)\n",
        "",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p11_a_package_that_rally_refused_stands_on_no_order_and_completes_none[sqlite]",
        ),
    ),
    Fault(
        "an-order-that-retailops-completed-is-open-again-at-the-shop",
        "P11",
        "app/channel/command.py",
        'known.state == "open" and known.waits_for_shipping:',
        "known.waits_for_shipping:",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p11_a_package_that_rally_refused_stands_on_no_order_and_completes_none[sqlite]",
        ),
    ),
    Fault(
        "a-last-package-completes-an-order-though-one-before-it-was-refused",
        "P11",
        "app/channel/commands.py",
        "        for command in refused[lane]:\n",
        "        for command in ():\n",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p11_a_last_package_completes_an_order_at_rally_only_with_all_packages_before_it[sqlite]",
        ),
    ),
    Fault(
        "a-package-that-waits-completes-an-order-though-one-before-it-was-refused",
        "P11",
        "app/channel/shipments.py",
        "        parcels.note_none_is_last(connection, channel, answer.delivery.gateway, refnum)\n",
        "",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p11_a_last_package_completes_an_order_at_rally_only_with_all_packages_before_it[sqlite]",
        ),
    ),
    Fault(
        "a-package-that-is-refused-stays-on-the-order",
        "P11",
        "app/channel/shipments.py",
        "            answer.kept_orders.forget_parcel(connection, refnum, answer.body.key)\n",
        "",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p11_a_package_that_rally_refused_stands_on_no_order_and_completes_none[sqlite]",
        ),
    ),
    Fault(
        "an-order-of-which-all-has-shipped-is-open-again-at-the-shop",
        "P11",
        "app/channel/command.py",
        'known.state == "open" and known.waits_for_shipping:',
        'known.state == "open":',
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p11_a_package_that_rally_refused_stands_on_no_order_and_completes_none[sqlite]",
        ),
    ),
    Fault(
        "subtract-an-order-that-is-cancelled-until-it-is-acknowledged",
        "R25",
        "app/channel/actions/order_cancel.py",
        "            reservations.acknowledged(connection, order.channel, source, order.refnum, order.clock())\n",
        "",
        (
            "tests/channel/test_reservations.py"
            "::test_r25_retailops_counts_an_order_that_it_cancels_with_no_acknowledgement",
        ),
    ),
    Fault(
        "forget-the-cancellations-that-were-not-noted-at-once",
        "P18",
        "app/channel/source_cancellations.py",
        "if len(noted) == len(fresh):",
        "if noted:",
        (
            "tests/gateways/vendors/rally/test_gateway.py"
            "::test_r18_more_cancellations_than_are_noted_at_once_are_noted_by_the_next_pull",
        ),
    ),
    Fault(
        "figures-left-out-by-delta-note-nothing",
        "P33",
        "app/gateways/vendors/pipe17/stock/ingest.py",
        '                row.settle("")\n',
        "                row.sending.rows.remove(row)\n",
        ("tests/gateways/vendors/pipe17/test_stock.py::test_in_the_mode_delta_only_figures_that_changed_are_told",),
    ),
    Fault(
        "a-cancellation-that-is-refused-frees-the-units",
        "R25",
        "app/channel/actions/order_cancel.py",
        '            handed_out.set_state(connection, order.channel, order.refnum, "cancelled")\n',
        '            handed_out.set_state(connection, order.channel, order.refnum, "cancelled")\n'
        "            reservations.cancelled(connection, order.channel, source, order.refnum)\n",
        (
            "tests/channel/test_reservations.py"
            "::test_r25_a_cancellation_frees_the_units_only_once_rally_has_accepted_it[sqlite]",
        ),
    ),
    Fault(
        "a-cancellation-that-is-accepted-frees-nothing",
        "R25",
        "app/channel/actions/order_cancel.py",
        "        if cancellation.is_decided:\n",
        "        if False:\n",
        (
            "tests/channel/test_reservations.py"
            "::test_r25_a_cancellation_frees_the_units_only_once_rally_has_accepted_it[sqlite]",
        ),
    ),
    Fault(
        "news-of-an-order-that-is-over-keep-it-longer",
        "P32",
        "app/storefront/order_progress.py",
        "stored.purge_after if is_over and stored.state == state else shop.order_date",
        "shop.order_date",
        (
            "tests/storefront/test_shop.py"
            "::test_p32_news_of_an_order_that_is_over_keep_nobodys_data_longer[sqlite-update]",
            "tests/storefront/test_shop.py"
            "::test_p32_news_of_an_order_that_is_over_keep_nobodys_data_longer[sqlite-create]",
        ),
    ),
    Fault(
        "money-that-comes-after-all-has-gone-back-counts-as-refunded-by-the-merchant",
        "P19",
        "app/gateways/vendors/rally/order_commands.py",
        ' == "refunded" and kept[1].is_refunded_by_merchant(refund.payment_refnum):',
        ' == "refunded":',
        (
            "tests/gateways/vendors/rally/test_edges.py"
            "::test_p19_money_that_came_after_all_had_gone_back_goes_back_once_by_us_or_by_the_merchant[sqlite]",
        ),
    ),
    Fault(
        "a-repeated-create-opens-no-fraud-review",
        "P17",
        "app/storefront/orders.py",
        "opens_review=bool(checkout.is_under_review) and checkout.raw not in stored.hooks",
        "opens_review=False",
        (
            "tests/gateways/vendors/rally/test_orders.py"
            "::test_p17_a_repeated_create_opens_a_fraud_review_that_it_did_not_name_before",
        ),
    ),
    Fault(
        "a-create-that-is-sent-again-opens-the-review-that-has-ended",
        "P17",
        "app/storefront/orders.py",
        " and checkout.raw not in stored.hooks",
        "",
        (
            "tests/gateways/vendors/rally/test_orders.py"
            "::test_p17_a_repeated_create_opens_a_fraud_review_that_it_did_not_name_before",
        ),
    ),
    Fault(
        "money-that-comes-after-the-merchants-refund-counts-as-refunded-with-it",
        "P19",
        "app/storefront/order_document.py",
        " and (self.merchant_refunded is None or payment in self.merchant_refunded)",
        "",
        (
            "tests/gateways/vendors/rally/test_edges.py"
            "::test_p19_money_that_comes_after_the_merchants_own_refund_goes_back_by_us[sqlite]",
        ),
    ),
    Fault(
        "what-the-merchant-has-refunded-is-forgotten-with-the-next-news",
        "P19",
        "app/storefront/order_progress.py",
        "    refunded = document.merchant_refunded\n",
        "    refunded: tuple[str, ...] | None = ()\n",
        (
            "tests/gateways/vendors/rally/test_edges.py"
            "::test_p19_money_that_comes_after_the_merchants_own_refund_goes_back_by_us[sqlite]",
        ),
    ),
    Fault(
        "a-refund-told-again-takes-later-money-for-given-back",
        "P19",
        "app/storefront/orders.py",
        "news.is_called_refunded and news.raw not in stored.hooks)",
        "news.is_called_refunded)",
        (
            "tests/gateways/vendors/rally/test_orders.py"
            "::test_p19_a_refund_that_is_told_again_word_for_word_is_not_about_money_that_came_since",
        ),
    ),
    Fault(
        "a-review-named-while-one-is-open-is-not-remembered",
        "P17",
        "app/storefront/orders.py",
        "        if document != before or news.is_under_review:\n",
        "        if document != before:\n",
        (
            "tests/gateways/vendors/rally/test_orders.py"
            "::test_p17_a_repeated_create_opens_a_fraud_review_that_it_did_not_name_before",
        ),
    ),
    Fault(
        "what-the-merchant-refunds-after-us-is-paid-twice",
        "P19",
        "app/storefront/order_progress.py",
        "document.is_paid_back and not news.is_called_refunded",
        "document.is_paid_back",
        (
            "tests/gateways/vendors/rally/test_edges.py"
            "::test_p19_money_that_came_after_all_had_gone_back_goes_back_once_by_us_or_by_the_merchant[sqlite]",
        ),
    ),
    Fault(
        "refused-rejection-for-good",
        "P11",
        "app/channel/actions/order_complete.py",
        "    refused_in_part = (REJECTION_REFUSED,)\n",
        "",
        (
            "tests/channel/test_order_memory.py"
            "::test_p11_units_whose_rejection_was_refused_are_rejected_when_the_order_is_completed_again",
        ),
    ),
    Fault(
        "refused-rejection-counts-as-closed",
        "P34",
        "app/channel/actions/order_complete.py",
        "            handed_out.forget_rejected(connection, channel, answer.body)\n",
        "            pass\n",
        ("tests/channel/test_order_memory.py::test_p34_units_whose_rejection_was_refused_may_ship_after_all",),
    ),
    Fault(
        "closed-at-the-vendor-left-open",
        "P34",
        "app/gateways/vendors/pipe17/order_commands.py",
        "(*events, *still_open) if is_waiting else still_open",
        "(*events, *still_open)",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_units_that_were_closed_at_the_vendor_are_not_left_open_once_the_order_is_completed_again",
        ),
    ),
    Fault(
        "an-order-whose-completion-is-refused-stays-completed-at-the-shop",
        "P11",
        "app/channel/actions/order_complete.py",
        "            answer.reopen_kept_order(refnum)\n",
        "",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p11_an_order_that_rally_refused_to_close_is_called_paid_again",
        ),
    ),
    Fault(
        "an-order-that-has-shipped-is-called-open-again",
        "P11",
        "app/channel/command.py",
        'known.state == "open" and known.waits_for_shipping:',
        'known.state == "open":',
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p11_an_order_that_rally_refused_to_close_is_called_paid_again",
        ),
    ),
    Fault(
        "a-late-capture-of-a-cancelled-order-is-kept",
        "P19",
        "app/channel/actions/order_settle_payment.py",
        'known is None or known.state != "cancelled" or answer.gateway is None',
        "True",
        (
            "tests/channel/test_refunds.py"
            "::test_p19_an_authorised_payment_is_captured_once_and_only_what_was_captured_goes_back",
        ),
    ),
    Fault(
        "a-repeat-compares-a-price-with-nothing",
        "P10",
        "app/channel/closed_money.py",
        "meant = min(item.units, count + max(line.quantity - line.paid_units, 0))",
        "meant = item.units",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_r9_what_rally_refused_is_sent_again_by_a_repeat_though_its_money_went_back",
        ),
    ),
    Fault(
        "a-price-of-added-units-is-not-compared",
        "P19",
        "app/channel/closed_money.py",
        "meant = min(item.units, count + max(line.quantity - line.paid_units, 0))",
        "meant = count",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p19_a_price_above_what_was_paid_pays_what_was_paid_and_says_both_sums",
        ),
    ),
    Fault(
        "a-refused-completion-is-refused-for-ever",
        "P10",
        "app/channel/command_transactions.py",
        'return last.state == "refused" or any(',
        "return any(",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_r9_what_rally_refused_is_sent_again_by_a_repeat_though_its_money_went_back",
        ),
    ),
    Fault(
        "an-order-whose-completion-is-refused-twice-counts-as-completed",
        "P10",
        "app/channel/actions/order_complete.py",
        '        if not any(call.verb == "complete_order" and call.state != "refused" for call in calls):\n',
        "        if completion.number == 1:\n",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_r9_what_rally_refused_is_sent_again_by_a_repeat_though_its_money_went_back",
        ),
    ),
    Fault(
        "an-old-refusal-of-an-update-answers-a-new-one",
        "P10",
        "app/channel/commands.py",
        '"record_return", "cancel_order", "update_order",\n',
        '"record_return", "cancel_order",\n',
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_r9_an_update_or_a_label_that_rally_refused_is_sent_again_and_answers_no_other",
        ),
    ),
    Fault(
        "a-refused-label-is-refused-for-ever",
        "P10",
        "app/channel/labels.py",
        "    if not is_refused and before.label in",
        "    if before.label in",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_r9_an_update_or_a_label_that_rally_refused_is_sent_again_and_answers_no_other",
        ),
    ),
    Fault(
        "a-line-gives-way-more-than-it-was-guessed",
        "P34",
        "app/domain/line_matching.py",
        "            by_sku[named] -= units\n",
        "",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_units_that_name_a_line_make_those_give_way_that_named_its_sku_alone",
        ),
    ),
    Fault(
        "label-of-any-equal-box",
        "P11",
        "app/channel/labels.py",
        "    if not candidates or not is_one_shipment or len(twins) != len(alike):\n",
        "    if not candidates:\n",
        (
            "tests/channel/test_order_memory.py"
            "::test_p11_two_equal_boxes_get_two_new_labels_and_one_alone_is_no_replacement",
        ),
    ),
    Fault(
        "refused-correction-repeats-the-old-answer",
        "P11",
        "app/channel/command_transactions.py",
        "    has_news = bool(plan.owed or plan.events)\n",
        "    has_news = bool(plan.owed)\n",
        ("tests/channel/test_refunds.py::test_p11_a_return_with_other_money_is_refused_under_the_same_number",),
    ),
    Fault(
        "half-a-correction-unsaid",
        "P11",
        "app/gateways/vendors/pipe17/fulfilments.py",
        "        if is_sent:\n",
        "        if is_sent and not reason:\n",
        ("tests/channel/test_order_life.py::test_p11_a_package_told_again_with_other_tracking_is_never_swallowed",),
    ),
    Fault(
        "meta-given-back-unmended",
        "P34",
        "app/domain/lenient_values.py",
        "        case str():\n            return mended(value)\n        case Decimal():",
        "        case str():\n            return value\n        case Decimal():",
        ("tests/gateways/vendors/rally/test_texts.py::test_p34_half_an_emoji_in_a_hook_costs_its_own_text",),
    ),
    Fault(
        "line-number-beyond-64-bits",
        "P5",
        "app/channel/line_changes.py",
        "        return found if found is not None and -(2**63) <= found < 2**63 else None\n",
        "        return found\n",
        (
            "tests/gateways/vendors/rally/test_completions.py::test_p34_an_update_by_sku_alone_takes_off_the_last_line_first",
            "tests/channel/test_texts_and_entries.py"
            "::test_p5_a_line_number_that_retailops_could_not_read_back_is_told_and_never_a_fault",
        ),
    ),
    Fault(
        "skus-of-the-catalogue-trimmed",
        "P35",
        "app/channel/catalogue_values.py",
        "        found = value\n    elif value is None",
        "        found = value.strip()\n    elif value is None",
        (
            "tests/gateways/vendors/rally/test_ids_and_texts.py"
            "::test_p35_a_sku_keeps_its_blanks_from_the_catalogue_to_the_order",
        ),
    ),
    Fault(
        "unknown-parents-make-another-credit",
        "P19",
        "app/channel/actions/payment_credit.py",
        "parents=tuple(sorted(refnum for _, refnum in named)))",
        "parents=payload.parents)",
        (
            "tests/gateways/vendors/rally/test_ids_and_texts.py"
            "::test_p35_a_credit_finds_the_payment_of_a_trimmed_number_and_no_unknown_number_makes_it_another",
        ),
    ),
    Fault(
        "two-spellings-of-a-number-are-two",
        "P19",
        "app/contract/reading.py",
        "    return identifier(canonical(text(value)))\n",
        "    return identifier(value)\n",
        ("tests/channel/test_refunds.py::test_p10_a_return_is_paid_once_and_a_repeat_gets_the_same_answer",),
    ),
    Fault(
        "pipe17-texts-unmended",
        "P34",
        "app/gateways/wire_objects.py",
        "return mended(value).strip() if",
        "return value.strip() if",
        (
            "tests/gateways/vendors/pipe17/test_ids.py::test_p34_what_nobody_can_read_in_a_free_text_costs_its_character_alone",
        ),
    ),
    Fault(
        "a-line-stated-again-stays-off",
        "P19",
        "app/channel/actions/order_update.py",
        "[tuple(map(str, line)) for line in spelled], *removed))\n",
        "[tuple(map(str, line)) for line in spelled]))\n",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p19_units_taken_off_by_mistake_and_stated_again_are_not_given_back",
        ),
    ),
    Fault(
        "what-a-source-leaves-out-of-a-label-unsaid",
        "P11",
        "app/channel/labels.py",
        "    if known[1] and known[2] != rest[2]:\n",
        "    if known[1] and not known[2]:\n",
        (
            "tests/gateways/vendors/rally/test_completions.py::test_p11_a_mended_carrier_and_a_new_label_reach_rally_and_say_so",
        ),
    ),
    Fault(
        "sale-price-below-zero-kept",
        "P36",
        "app/channel/catalogue_values.py",
        '("sale_price", _sale_price)',
        '("sale_price", _price)',
        ("tests/channel/test_catalogue_reading.py::test_p36_a_sale_price_below_zero_ends_the_sale_and_is_named",),
    ),
    Fault(
        "corrections-unsaid",
        "P11",
        "app/channel/labels.py",
        '    events.insert(0, Event("info", "SHIPMENT_CORRECTED", message, named))\n',
        "",
        (
            "tests/gateways/vendors/rally/test_completions.py::test_p11_a_mended_carrier_and_a_new_label_reach_rally_and_say_so",
        ),
    ),
    Fault(
        "unshipped-price-zero-pays-nothing",
        "P19",
        "app/channel/closed_money.py",
        "price = min(stated or paid, paid + tax)",
        "price = min(stated, paid + tax)",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p19_units_that_will_not_ship_and_have_no_price_give_back_what_was_paid_for_them",
        ),
    ),
    Fault(
        "unshipped-above-what-was-paid",
        "P19",
        "app/channel/closed_money.py",
        "price = min(stated or paid, paid + tax)",
        "price = stated or paid",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p19_a_price_above_what_was_paid_pays_what_was_paid_and_says_both_sums",
        ),
    ),
    Fault(
        "taken-off-is-not-given-back",
        "P19",
        "app/channel/closed_money.py",
        'Piece((*rows, RefundLine("tax", tax))).less(extra, currency)',
        "Piece()",
        (
            "tests/gateways/vendors/rally/test_money.py::test_p19_units_taken_off_before_shipping_go_back_when_the_order_is_completed",
        ),
    ),
    Fault(
        "refused-facts-are-not-counted",
        "P14",
        "app/deliveries/failure_log.py",
        "(count + len(refused), subject, reason)",
        "(len(refused), subject, reason)",
        ("tests/deliveries/test_troubles.py::test_p14_many_refused_facts_are_one_line_that_counts",),
        patience_s=30.0,
    ),
    Fault(
        "cancellation-counts-units-twice",
        "P19",
        "app/channel/bought.py",
        "units[row.line_refnum] = max(units[row.line_refnum] - row.quantity, 0)",
        "units[row.line_refnum] += 0",
        (
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p34_a_cancellation_by_the_acknowledged_number_alone_gives_everything_back[sqlite]",
        ),
    ),
    Fault(
        "a-shipment-00-has-a-number",
        "P34",
        "app/channel/actions/order_shipment_submit.py",
        'not number(shipment.get("retailops_shipment_id"))',
        'not shipment.get("retailops_shipment_id")',
        ("tests/gateways/vendors/rally/test_ids.py::test_p34_zero_in_any_spelling_is_no_number[sqlite]",),
    ),
    Fault(
        "rows-from-derived-rows",
        "P19",
        "app/storefront/order_changes.py",
        "    base = order.as_bought\n",
        "    base = Bought(lines=order.lines, discounts=order.discounts, taxes=order.taxes)\n",
        ("tests/storefront/test_order_changes.py::test_p19_the_same_statements_in_any_order_give_the_same_figures",),
    ),
    Fault(
        "tax-by-share-of-the-whole",
        "P19",
        "app/domain/order_arithmetic.py",
        "        if self.is_by_rate:\n",
        "        if False:\n",
        (
            "tests/storefront/test_order_changes.py::test_p19_each_authoritys_tax_is_that_of_a_fresh_order_of_the_same_goods",
        ),
    ),
    Fault(
        "refused-change-is-kept",
        "P34",
        "app/channel/actions/order_update.py",
        "    def refused(answer",
        "    def accepted(answer",
        (
            "tests/gateways/vendors/rally/test_money.py::test_p34_a_line_rally_refuses_is_not_kept_and_costs_no_shipment",
        ),
    ),
    Fault(
        "price-below-zero-is-kept",
        "P34",
        "app/storefront/order_changes.py",
        "change.unit_price is not None and change.unit_price < 0:",
        "change.unit_price is not None and change.unit_price < -99:",
        (
            "tests/gateways/vendors/rally/test_money.py::test_p34_a_line_rally_refuses_is_not_kept_and_costs_no_shipment",
        ),
    ),
    Fault(
        "price-change-in-silence",
        "P34",
        "app/channel/line_changes.py",
        "            events += _price_kept([entry], [line], currency)\n",
        "",
        ("tests/gateways/vendors/rally/test_money.py::test_p34_a_price_that_cannot_change_is_said",),
    ),
    Fault(
        "return-above-what-was-paid-in-silence",
        "P19",
        "app/channel/actions/order_returned.py",
        "        if above := goods.above(money):\n",
        "        if above := None:\n",
        ("tests/gateways/vendors/rally/test_money.py::test_p19_rows_of_a_return_say_what_retailops_says",),
    ),
    Fault(
        "shortfall-off-the-tax",
        "P19",
        "app/domain/order_arithmetic.py",
        "        short = min(-difference, sum(amounts[:count], ZERO))\n",
        "        short = ZERO\n",
        ("tests/gateways/vendors/rally/test_money.py::test_p19_rows_of_a_return_say_what_retailops_says",),
    ),
    Fault(
        "gift-by-its-list-price",
        "P19",
        "app/channel/return_requests.py",
        "if subtotal is None else subtotal",
        "if not subtotal else subtotal",
        (
            "tests/gateways/vendors/rally/test_money.py::test_p19_a_fee_withheld_from_the_whole_return_and_a_free_gift_leave_other_rows_as_stated",
        ),
    ),
    Fault(
        "unknown-action-in-silence",
        "P34",
        "app/channel/actions/order_returned.py",
        "if money > 0 and reason == NO_MOVER",
        "if money < 0 and reason == NO_MOVER",
        (
            "tests/gateways/vendors/rally/test_money.py::test_p19_a_fee_withheld_from_the_whole_return_and_a_free_gift_leave_other_rows_as_stated",
        ),
    ),
    Fault(
        "sku-counts-from-what-is-left",
        "P34",
        "app/channel/line_changes.py",
        "quantity=line.ordered)",
        "quantity=line.quantity)",
        (
            "tests/gateways/vendors/rally/test_money.py::test_p34_lines_of_one_sku_named_by_sku_alone_never_make_a_third_one",
        ),
    ),
    Fault(
        "shipping-stays-paid",
        "P19",
        "app/channel/settling.py",
        "completed.is_all_closed and not completed.has_shipped",
        "completed.is_all_closed and completed.has_shipped",
        ("tests/gateways/vendors/rally/test_money.py::test_p19_shipping_goes_back_where_nothing_ships",),
    ),
    Fault(
        "credit-before-the-completion-forgotten",
        "P19",
        "app/channel/settling.py",
        "item.first_id > after",
        "item.first_id < after",
        (
            "tests/gateways/vendors/rally/test_money.py::test_p19_a_credit_of_the_difference_before_the_completion_counts_against_it",
        ),
    ),
    Fault(
        "return-after-the-completion-paid-again",
        "P19",
        "app/channel/actions/order_returned.py",
        "if not is_released and (paid",
        "if is_released and (paid",
        (
            "tests/gateways/vendors/rally/test_money.py::test_p19_a_return_of_units_taken_off_is_paid_once_before_or_after_the_completion",
        ),
    ),
    Fault(
        "rows-above-what-was-paid",
        "P19",
        "app/channel/settling.py",
        "unpaid.fit(order, piece.rows, piece.amount) if is_known(order) else piece.rows",
        "piece.rows",
        ("tests/gateways/vendors/rally/test_money.py::test_p19_a_credit_on_one_line_leaves_the_completion_the_others",),
    ),
    Fault(
        "swapped-goods-given-back",
        "P19",
        "app/channel/closed_money.py",
        "tax))).less(extra, currency)",
        "tax)))",
        ("tests/gateways/vendors/rally/test_money.py::test_p19_money_for_goods_swapped_in_is_not_given_back",),
    ),
    Fault(
        "set-off-stays-set-off",
        "P19",
        "app/channel/closed_money.py",
        "return more.less(more.amount - rest, currency)",
        "return more.less(more.amount - rest, currency) if not earlier else Piece()",
        (
            "tests/gateways/vendors/rally/test_money.py"
            "::test_p19_completions_in_any_pieces_come_to_what_one_completion_pays[sqlite]",
        ),
    ),
    Fault(
        "closed-units-paid-again",
        "P10",
        "app/channel/unshipped.py",
        "allot(order.lines, stated, order.closed_as_named - removed_before, room, taken_off)",
        "allot(order.lines, stated, Counter[str](), room, taken_off)",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_units_taken_off_and_units_named_as_unshipped_are_closed_once_each",
            "tests/gateways/vendors/rally/test_completions.py"
            "::test_p10_a_second_completion_closes_and_pays_what_no_earlier_one_named",
        ),
        patience_s=120.0,
    ),
    Fault(
        "found-by-number-guesses",
        "P34",
        "app/channel/command.py",
        "        if len(found) > 1:\n",
        "        if len(found) > 2:\n",
        ("tests/channel/test_order_memory.py::test_p34_a_number_nobody_has_or_several_have_changes_nothing",),
    ),
    Fault(
        "zeros-cost-the-command",
        "P34",
        "app/contract/packages.py",
        "stated = tuple(item for item in items if item.quantity > 0)",
        "stated = tuple(items)",
        ("tests/channel/test_order_memory.py::test_p34_packages_of_zeros_are_info_and_cost_no_neighbour",),
        patience_s=120.0,
    ),
    Fault(
        "returned-units-uncounted",
        "P34",
        "app/channel/returned_goods.py",
        "        if share.line_refnums and (share.left_over or share.units[1]):\n",
        "        if False:\n",
        (
            "tests/channel/test_order_memory.py"
            "::test_p34_a_return_of_more_than_shipped_is_recorded_as_stated_with_a_warning",
        ),
    ),
    Fault(
        "a-cent-too-much-declines",
        "P19",
        "app/channel/refunds.py",
        "    rounding = line_tolerance(line_count, charges[0].currency_code)\n",
        "    rounding = Decimal(0)\n",
        ("tests/channel/test_refunds.py::test_p19_a_credit_within_a_cent_a_line_of_what_is_left_pays_what_is_left",),
    ),
    Fault(
        "sale-price-zero-sells",
        "P36",
        "app/domain/prices.py",
        "    return amount if amount is not None and full is not None and amount < full else None\n",
        "    return stated\n",
        (
            "tests/gateways/test_one_reading.py::"
            "test_p36_a_lamp_with_a_sale_price_of_nothing_is_sold_for_nothing_nowhere",
            "tests/gateways/test_one_reading.py::test_p36_what_every_vendor_is_told_of_a_sku_agrees",
        ),
    ),
    Fault(
        "address-not-encoded",
        "P36",
        "app/channel/catalogue_values.py",
        "    return web_addresses.read(found, context.shop_url) if found else None\n",
        "    return found or None\n",
        ("tests/gateways/test_one_reading.py::test_p36_what_every_vendor_is_told_of_a_sku_agrees",),
    ),
    Fault(
        "codes-by-case",
        "P36",
        "app/domain/spellings.py",
        "    code = text.strip().upper()\n    if not (text.isascii() and _CURRENCY.match(code)):",
        "    code = text.strip()\n    if not (text.isascii() and _CURRENCY.match(code.upper())):",
        ("tests/gateways/test_one_reading.py::test_p36_what_every_vendor_is_told_of_a_sku_agrees",),
    ),
    Fault(
        "negative-refuses-row",
        "P34",
        "schemas/inventory_push_v1.json",
        'more is promised than there is.",\n                  "type": ["number", "string", "null"],\n'
        '                  "minimum": -999999999999999,\n',
        'more is promised than there is.",\n                  "type": ["number", "string", "null"],\n'
        '                  "minimum": 0,\n',
        ("tests/channel/test_stock_figures.py::test_r6_below_zero_is_named_twenty_times_and_counted_beyond",),
    ),
    Fault(
        "top-counts-always",
        "P36",
        "app/domain/stock_levels.py",
        '    return added if stock_from == "details" else min(top, added)\n',
        '    return added if stock_from == "details" else top\n',
        (
            "tests/channel/test_stock_figures.py::test_p36_every_kept_level_is_what_a_slower_reader_makes_of_its_row",
            "tests/channel/test_stock_figures.py::"
            "test_p36_where_total_and_sources_disagree_the_setting_says_what_counts",
        ),
    ),
    Fault(
        "prices-nobody-can-pay",
        "P37",
        "app/gateways/vendors/rally/health.py",
        "    yield from health.of_goods(merchant)\n",
        "",
        ("tests/gateways/vendors/rally/test_ids_and_texts.py::test_p37_a_check_names_tables_that_stop_every_checkout",),
    ),
    Fault(
        "own-throttle-fails-a-cancellation",
        "P14",
        "app/channel/actions/order_cancel.py",
        "    awaits_throttle = True\n",
        "",
        (
            "tests/channel/test_lane_waiting.py::"
            "test_p14_a_cancellation_behind_an_acknowledgement_that_our_rate_holds_up_waits_for_its_turn",
        ),
    ),
    Fault(
        "paid-by-a-code-is-not-paid",
        "P37",
        "app/gateways/vendors/rally/inbound/hook_money.py",
        '        stated = {"payment_method_name": stated} if stated.strip() else {}\n',
        "        stated = {}\n",
        (
            "tests/gateways/vendors/rally/test_second_tab.py::"
            "test_p37_without_a_payment_method_nothing_is_placed_and_the_answer_has_no_ids",
        ),
    ),
    Fault(
        "what-a-person-could-not-send-is-forgotten",
        "P33",
        "app/cli/facts.py",
        "        if not act.is_dry_run and any(item.owed or item.moved for item in found.values()):\n",
        "        if not act.is_dry_run and any(item.owed for item in found.values()):\n",
        ("tests/operations/test_send_again.py::test_p33_moved_figures_are_named_and_left_whoever_sends_them[sqlite]",),
    ),
    Fault(
        "which-figure-asked-of-everybody",
        "P36",
        "app/channel/actions/inventory_push.py",
        "    if disagreement is not None and not all(sink.by_location for sink in sinks.values()):\n",
        "    if disagreement is not None:\n",
        (
            "tests/channel/test_stock_figures.py::"
            "test_p36_a_vendor_told_by_location_gets_the_details_and_nobody_is_asked_which_figure_counts",
        ),
    ),
    Fault(
        "product-keeps-its-variants-sku",
        "P36",
        "app/domain/catalogue_resolution.py",
        "        if newest in above and above.index(newest) + 1 > depth:\n",
        "        if False:\n",
        ("tests/channel/test_whole_pushes.py::test_p36_a_product_and_its_variant_with_one_sku_are_one_article",),
    ),
    Fault(
        "pieces-judged-alone",
        "P36",
        "app/channel/actions/catalog_push.py",
        "None if is_whole else names)",
        "None)",
        (
            "tests/channel/test_whole_pushes.py::"
            "test_p36_skus_that_change_hands_in_one_push_are_displaced_by_nobody[sqlite-in pieces]",
        ),
    ),
    Fault(
        "displaced-for-ever",
        "P36",
        "app/records/catalogue_statements.py",
        "        for column in (catalogue.c.sku, catalogue.c.waits_for, catalogue.c.parent_sku):\n",
        "        for column in (catalogue.c.sku, catalogue.c.parent_sku):\n",
        (
            "tests/channel/test_whole_pushes.py::"
            "test_p36_who_lost_its_sku_comes_back_when_it_is_free_and_was_never_switched_off",
        ),
    ),
    Fault(
        "no-parent-is-no-statement",
        "P36",
        "app/records/catalogue_statements.py",
        '    elif "parent_sku" in fields:\n        nested_key = ""\n',
        "",
        (
            "tests/channel/test_whole_pushes.py::"
            "test_p36_random_pushes_leave_what_a_plain_model_says_in_any_order_and_in_any_pieces[sqlite]",
        ),
    ),
    Fault(
        "circle-without-a-word",
        "P36",
        "app/channel/actions/catalog_push.py",
        "    for item in accepted.in_cycle:\n",
        "    for item in ():\n",
        (
            "tests/channel/test_whole_pushes.py::"
            "test_p36_records_that_belong_to_each_other_are_told_and_nothing_is_lost",
        ),
    ),
    Fault(
        "colour-sold-as-an-article",
        "P36",
        "app/records/catalogue.py",
        "        if row.key == root_key or row.key in groups:\n",
        "        if row.key == root_key:\n",
        (
            "tests/channel/test_whole_pushes.py::"
            "test_p36_what_has_variants_is_a_group_at_every_depth_and_a_nameless_one_hands_its_own_on",
        ),
    ),
    Fault(
        "known-object-needs-a-sku",
        "P34",
        "app/records/catalogue_statements.py",
        "    row = work.by_identity.get(identity) if identity else None\n    if row is None and sku:",
        "    row = work.by_identity.get(identity) if identity and sku else None\n    if row is None and sku:",
        ("tests/channel/test_whole_pushes.py::test_p34_a_known_object_needs_no_sku_and_an_unknown_one_is_an_error",),
    ),
    Fault(
        "unread-options-become-none",
        "P34",
        "app/channel/catalogue_values.py",
        "    if faults and not found:\n        raise ValueError(faults[0][1])\n    for below, rule in faults:\n"
        "        context.ignore(below, rule)\n    return tuple(found)\n\n\nREADERS",
        "    for below, rule in faults:\n        context.ignore(below, rule)\n    return tuple(found)\n\n\nREADERS",
        ("tests/channel/test_catalogue_reading.py::test_p34_a_field_that_cannot_be_read_keeps_its_value_and_is_named",),
    ),
    Fault(
        "discontinued-is-no-word",
        "P34",
        "app/domain/spellings.py",
        "    if word in _NO or word in more_for_no:\n",
        "    if word in _NO:\n",
        ("tests/channel/test_catalogue_reading.py::test_p34_words_for_not_sold_are_a_setting_and_others_are_an_error",),
    ),
    Fault(
        "date-lost-without-a-word",
        "P34",
        "app/contract/reading.py",
        "        if found.year == 1:\n            return None\n",
        "",
        ("tests/contract/test_readers.py::test_p34_a_date_is_read_or_named",),
    ),
    Fault(
        "our-unpublishing-is-theirs",
        "P36",
        "app/gateways/vendors/pipe17/products/publishing.py",
        '(self.item is not None or last.state == "off")',
        "self.item is not None",
        (
            "tests/gateways/vendors/pipe17/test_products.py::"
            "test_a_product_retailops_switches_off_is_unpublished_and_comes_back",
        ),
    ),
    Fault(
        "no-record-no-word",
        "P34",
        "app/channel/dry_run.py",
        "    if judge is not None and not reading.problems:\n",
        "    if False:\n",
        (
            "tests/channel/test_catalogue_reading.py::"
            "test_p34_what_is_no_record_is_an_error_that_names_its_place_on_a_channel_without_catalogue_too",
        ),
    ),
    Fault(
        "204-counts-as-delivered",
        "P10",
        "app/gateways/vendors/retailrocket/api.py",
        "    if reply.status == NOTHING_FOUND:\n        said",
        "    if reply.status < 300:\n        return\n    if reply.status == NOTHING_FOUND:\n        said",
        (
            "tests/gateways/vendors/retailrocket/test_answers.py::"
            "test_p10_a_purchase_answered_204_is_not_taken_and_an_operator_hears_it",
        ),
    ),
    Fault(
        "first-feed-waits",
        "P33",
        "app/records/feeds.py",
        "            return now if row.changes else None\n",
        "            return now + timedelta(seconds=delay_s) if row.changes else None\n",
        (
            "tests/gateways/vendors/retailrocket/test_answers.py::"
            "test_the_first_feed_of_a_shop_waits_for_nothing_and_check_says_what_is_so",
        ),
    ),
    Fault(
        "long-bodies-are-gathered-in-memory",
        "P46",
        "app/callbacks/worker.py",
        "            if environ.get(LONG_BODY):\n",
        "            if False:\n",
        ("tests/callbacks/test_worker.py::test_p46_a_long_body_is_made_no_faster_than_its_client_reads",),
    ),
    Fault(
        "half-a-request-is-given-a-thread",
        "P46",
        "app/callbacks/framing.py",
        "        return data[count:] if self._missing == 0 else None\n",
        "        return data[count:]\n",
        ("tests/callbacks/test_worker.py::test_p46_a_request_in_any_pieces_is_the_request",),
    ),
    Fault(
        "refuse-with-one-exception-for-all",
        "P46",
        "app/errors.py",
        """    return HttpError(503, "OVERLOADED", f"too many {what} at once; send again", retry_after_s=10)
""",
        """    refusals = overloaded.__dict__
    return refusals.setdefault(what, HttpError(503, "OVERLOADED", f"too many {what} at once", retry_after_s=10))
""",
        ("tests/callbacks/test_large_bodies.py::test_p46_what_was_refused_for_want_of_room_is_let_go_of",),
    ),
    Fault(
        "spooled-bodies-without-bound",
        "P46",
        "app/callbacks/spool.py",
        "            if count > self._left_bytes:\n",
        "            if False:\n",
        (
            "tests/callbacks/test_worker.py::test_p46_large_bodies_share_a_room_and_small_ones_need_none",
            "tests/callbacks/test_worker.py::test_p46_a_large_body_that_hardly_comes_makes_room_for_one_that_does",
        ),
    ),
    Fault(
        "unread-answers-without-bound",
        "P46",
        "app/callbacks/giving_up.py",
        "        if total <= most_bytes:\n",
        "        if True:\n",
        (
            "tests/callbacks/test_worker.py::"
            "test_p46_clients_that_do_not_read_hold_no_thread_and_no_more_memory_than_allowed",
        ),
    ),
    Fault(
        "silent-clients-keep-their-places",
        "P46",
        "app/callbacks/accepting.py",
        "        if self._is_full() and not self._make_place():\n",
        "        if self._is_full():\n",
        ("tests/callbacks/test_worker.py::test_p46_where_there_are_too_many_clients_the_longest_silent_goes_first",),
    ),
    Fault(
        "accept-no-more-after-one-fault",
        "P46",
        "app/callbacks/loop.py",
        "        if self._stop_s is None:\n            self._accepting.start()\n        for connection in list",
        "        for connection in list",
        ("tests/callbacks/test_worker.py::test_p46_a_server_that_could_accept_nothing_for_a_moment_goes_on_accepting",),
    ),
    Fault(
        "look-at-all-of-a-head-for-each-byte",
        "P46",
        "app/callbacks/receiver.py",
        "            self._looked_at = len(data)\n",
        "",
        ("tests/callbacks/test_worker.py::test_p46_a_head_that_comes_byte_by_byte_costs_no_more_than_its_bytes",),
    ),
    Fault(
        "a-full-disk-ends-the-loop",
        "P46",
        "app/callbacks/receiver.py",
        "                self._framing.spool.complete()\n",
        "                pass\n",
        ("tests/callbacks/test_worker.py::test_p46_a_disk_that_is_full_costs_its_own_body_only",),
    ),
    Fault(
        "a-turn-is-lost-with-a-thread-that-cannot-start",
        "P46",
        "app/callbacks/threads.py",
        "                self._shares.end(sender)\n                raise",
        "                raise",
        ("tests/callbacks/test_fair_share.py::test_p46_where_no_thread_can_be_started_those_that_are_there_go_on",),
    ),
    Fault(
        "a-late-call-waits-for-a-time-that-the-clock-has-left",
        "P45",
        "app/records/leases.py",
        ".values(late_until=late_ms + int(step.total_seconds() * 1000))",
        ".values(late_until=late_ms)",
        (
            "tests/records/test_clocks.py::"
            "test_p44_p45_orders_wait_for_a_late_call_as_long_as_before_when_the_clock_goes_back",
        ),
    ),
    Fault(
        "a-return-is-known-by-how-its-goods-are-stated",
        "P19",
        "app/channel/return_requests.py",
        "str(money.normalize()), as_named(order, self.lines))",
        "str(money.normalize()), sorted((line.line_refnum, line.sku, line.quantity) for line in self.lines))",
        (
            "tests/gateways/vendors/rally/test_ids.py::test_p10_p19_a_return_is_the_same_however_its_goods_and_money_are_stated",
        ),
    ),
    Fault(
        "a-package-is-known-by-how-its-contents-are-stated",
        "P10",
        "app/channel/shipments.py",
        "sorted((*named, count) for named, count in units.items())",
        "sorted(map(_as_tuple, shipped.stated))",
        (
            "tests/gateways/vendors/rally/test_ids.py::"
            "test_p10_a_package_without_numbers_is_the_same_however_its_contents_are_stated",
        ),
    ),
    Fault(
        "a-transaction-is-known-by-its-place-among-all",
        "P10",
        "app/channel/actions/order_settle_payment.py",
        "/{alike[spelled]}/{spelled}",
        "/{len(found)}/{spelled}",
        ("tests/channel/test_refunds.py::test_p10_what_stands_beside_a_transaction_collects_none_of_it_again",),
    ),
    Fault(
        "slow-clients-are-never-late",
        "P46",
        "app/callbacks/loop.py",
        "            if connection.is_late(now_s):\n",
        "            if False:\n",
        (
            "tests/callbacks/test_worker.py::"
            "test_p15_a_client_that_sends_below_one_kib_a_second_is_cut_off_and_one_above_it_is_not",
            "tests/callbacks/test_worker.py::test_p15_a_client_that_does_not_read_is_cut_off",
        ),
    ),
    Fault(
        "queued-connections-are-reset-at-a-stop",
        "P21",
        "app/callbacks/accepting.py",
        "            while self._accept(listener) and time.monotonic() < until_s:\n",
        "            while False:\n",
        (
            "tests/callbacks/test_worker.py::"
            "test_p21_connections_that_wait_to_be_accepted_are_answered_when_the_process_is_to_stop",
        ),
    ),
    Fault(
        "requests-half-sent-are-dropped-at-a-stop",
        "P21",
        "app/callbacks/loop.py",
        "            elif now_s >= self._stop_s + BEGUN_STOP_S:\n",
        "            else:\n",
        (
            "tests/callbacks/test_worker.py::test_p21_a_request_that_is_on_its_way_when_the_process_is_to_stop_is_answered",
        ),
    ),
    Fault(
        "feed-without-its-token",
        "P20",
        "app/gateways/vendors/retailrocket/inbound/__init__.py",
        "        if shelf is None or not hmac.compare_digest(",
        "        if shelf is None or False and hmac.compare_digest(",
        (
            "tests/gateways/vendors/retailrocket/test_answers.py::"
            "test_a_feed_with_a_token_is_at_the_address_that_holds_it_and_nowhere_else",
        ),
    ),
    Fault(
        "facts-take-all",
        "P14",
        "app/transport/rates.py",
        "    if (rank > 0 and waits[0]) or (rank == 2 and waits[1] and not state.is_fact_due):\n",
        "    if rank == 1 and waits[0]:\n",
        ("tests/transport/test_rates.py::test_p14_facts_give_way_at_once_to_what_waits_in_another_process",),
    ),
    Fault(
        "commands-starve-facts",
        "P14",
        "app/transport/rates.py",
        "        credit = min(max(1.0, state.rate * BLOCK_S), credit + tokens / _COMMANDS_PER_FACT)\n",
        "        credit = 0.0\n",
        (
            "tests/transport/test_rates.py"
            "::test_p14_changed_facts_keep_a_fifth_of_the_rate_from_commands_and_no_more[True-5.0]",
        ),
    ),
    Fault(
        "rate-above-window",
        "P14",
        "app/transport/rates.py",
        "        tokens=min(sizes(rate, processes)[0], state.tokens + passed_s * rate),\n",
        "        tokens=min(max(1.0, rate) * processes, state.tokens + passed_s * rate),\n",
        (
            "tests/transport/test_rates.py"
            "::test_p14_over_any_window_no_more_than_the_rate_and_one_block_a_process_goes_out",
        ),
    ),
    Fault(
        "each-process-has-the-whole-rate",
        "P14",
        "app/records/rates.py",
        "                answer, changed = decide(_numbers(row), row.now)\n",
        "                answer, changed = decide(None, row.now)\n",
        ("tests/records/test_rates.py::test_p26_p14_processes_together_keep_to_the_rate_and_facts_to_their_fifth",),
    ),
    Fault(
        "no-halving",
        "P14",
        "app/transport/rates.py",
        "rate=max(plan.lowest, state.rate * plan.cut)",
        "rate=max(plan.lowest, state.rate)",
        (
            "tests/transport/test_rates.py"
            "::test_p14_the_learned_rate_stays_within_its_bounds_and_is_cut_once_in_ten_seconds",
        ),
    ),
    Fault(
        "our-throttle-is-the-vendors-refusal",
        "P14",
        "app/transport/limits.py",
        "            if turn.is_certain and turn.wait_s >= deadline.left_s():\n",
        "            if turn.is_certain:\n",
        ("tests/transport/test_limits.py::test_p14_our_own_throttle_is_a_failure_only_when_the_time_is_over",),
    ),
    Fault(
        "half-a-character-costs-the-body",
        "P34",
        "app/domain/json_bodies.py",
        "    if _has(_HAS_HALF, mended):\n",
        "    if False:\n",
        (
            "tests/channel/test_texts_and_entries.py::"
            "test_p34_half_an_emoji_or_a_number_out_of_range_costs_its_row_alone",
        ),
    ),
    Fault(
        "a-field-that-decides-nothing-refuses",
        "P34",
        "app/contract/requests.py",
        "            elif inner.decides and (",
        "            elif name and (",
        ("tests/channel/test_texts_and_entries.py::test_p34_a_bad_weight_item_or_package_costs_itself",),
    ),
    Fault(
        "one-bad-item-costs-the-command",
        "P34",
        "app/contract/requests.py",
        "            elif part.is_refusing:\n",
        "            elif part.place:\n",
        ("tests/channel/test_texts_and_entries.py::test_p34_a_bad_weight_item_or_package_costs_itself",),
    ),
    Fault(
        "money-above-what-named-units-cost-is-booked-as-tax-of-others",
        "P19",
        "app/channel/returned_money.py",
        "self._tax if self._goods else left.tax",
        "left.tax",
        ("tests/gateways/vendors/rally/test_money.py::test_p19_rows_of_a_return_say_what_retailops_says",),
    ),
    Fault(
        "money-for-goods-of-no-line-is-booked-as-tax",
        "P19",
        "app/channel/returned_money.py",
        "self._goods or self._of_any_line(money - tax.stated - shipping.stated, reason)",
        "self._goods",
        ("tests/gateways/vendors/rally/test_money.py::test_p19_rows_of_a_return_say_what_retailops_says",),
    ),
    Fault(
        "of-a-package-stated-twice-one-is-lost-without-a-word",
        "P34",
        "app/channel/shipments.py",
        "before.is_named_twice or _contents(before) != _contents(stated)",
        "before.is_named_twice",
        ("tests/channel/test_texts_and_entries.py::test_p34_what_one_body_states_twice_and_otherwise_is_named",),
    ),
    Fault(
        "of-an-order-acknowledged-twice-one-number-is-lost-without-a-word",
        "P34",
        "app/channel/actions/order_acknowledge.py",
        "            twice.add(item.order_refnum)\n",
        "            twice.update(())\n",
        ("tests/channel/test_texts_and_entries.py::test_p34_what_one_body_states_twice_and_otherwise_is_named",),
    ),
    Fault(
        "a-number-that-is-no-date-is-read-as-one",
        "P34",
        "app/contract/reading.py",
        "        if not isinstance(value, str) or _DIGITS.fullmatch(written):  # else digits are some date\n"
        "            return None\n        found = datetime",
        "        if not isinstance(value, str):\n            return _START + timedelta(seconds=float(written))\n"
        "        found = datetime",
        ("tests/contract/test_readers.py::test_p34_a_date_is_read_or_named",),
    ),
    Fault(
        "unreadable-units-are-closed",
        "P34",
        "app/channel/actions/order_complete.py",
        "        if payload.is_complete:\n",
        "        if payload.shipped is not None:\n",
        (
            "tests/channel/test_texts_and_entries.py::"
            "test_p34_what_will_not_ship_and_cannot_be_read_keeps_the_order_open_and_its_shipments_go_on",
        ),
    ),
    Fault(
        "a-permanent-error-says-send-again",
        "P34",
        "app/records/database_errors.py",
        """kinds & {"DataError", "IntegrityError"}:\n        return "refused"\n""",
        """kinds & {"DataError", "IntegrityError"}:\n        return "away"\n""",
        (
            "tests/channel/test_texts_and_entries.py::"
            "test_p34_every_error_of_the_database_is_taken_for_what_it_is[sqlite]",
        ),
    ),
    Fault(
        "old-code-refuses-every-newer-database",
        "P47",
        "app/records/compatibility.py",
        "too_new = sorted(name for name in newer if said.get(name) not in known)",
        "too_new = sorted(newer)",
        (
            "tests/records/test_migrations.py::"
            "test_p47_a_newer_database_is_used_by_the_code_it_names_and_by_no_other[sqlite]",
        ),
    ),
    Fault(
        "only-the-last-migration-is-asked",
        "P47",
        "app/records/compatibility.py",
        "newer = tuple(sorted({*said, revision}))",
        "newer = (revision,)",
        (
            "tests/records/test_migrations.py::"
            "test_p47_a_newer_database_is_used_by_the_code_it_names_and_by_no_other[sqlite]",
        ),
    ),
    Fault(
        "a-breaking-migration-is-not-seen",
        "P47",
        "app/records/transactions.py",
        "        if revision == self._usable_revision:\n            return\n",
        "        return\n",
        (
            "tests/records/test_migrations.py::"
            "test_p47_a_newer_database_is_used_by_the_code_it_names_and_by_no_other[sqlite]",
        ),
    ),
    Fault(
        "a-process-begun-anew-ends-the-server",
        "P47",
        "app/composition.py",
        "    except (DatabaseUnavailable, UnfitDatabase) as error:",
        "    except DatabaseUnavailable as error:",
        (
            "tests/records/test_migrations.py::"
            "test_p47_a_newer_database_is_used_by_the_code_it_names_and_by_no_other[sqlite]",
        ),
    ),
    Fault(
        "migrations-leave-no-word",
        "P47",
        "app/records/migrations/env.py",
        "    on_version_apply=compatibility.keep,\n",
        "",
        ("tests/records/test_migrations.py::test_p47_every_migration_says_from_which_code_on_it_can_be_used[sqlite]",),
    ),
    Fault(
        "keep-the-number-of-a-level-that-is-being-sent",
        "P27",
        "app/records/stock_merges.py",
        " and not excluded.is_leased",
        "",
        ("tests/records/test_stock.py::test_p27_a_value_that_changed_while_it_was_sent_is_sent_again[postgresql]",),
        on_postgresql=True,
    ),
    Fault(
        "write-together-in-a-channel-that-has-spellings-after-all",
        "P27",
        "app/records/stock.py",
        '        _DEMAND_NONE.execute_later(connection, {"of_channel": channel})\n',
        "        pass\n",
        (
            "tests/channel/test_pushes_together.py"
            "::test_p27_p33_pushes_that_share_a_commit_leave_and_answer_what_they_would_one_after_another[postgresql]",
        ),
        on_postgresql=True,
    ),
    Fault(
        "keep-nothing-although-it-was-answered",
        "P22",
        "app/records/pipelining.py",
        "                    failed = failed or result\n",
        "                    pass\n",
        (
            "tests/records/test_pipelining.py"
            "::test_p22_nothing_is_kept_where_any_of_it_fails[postgresql-with the commit-a key that is taken]",
        ),
        on_postgresql=True,
    ),
    Fault(
        "send-with-a-later-commit-what-was-rolled-back",
        "P22",
        "app/records/pipelining.py",
        "        self._later.clear()\n        if self.pgconn",
        "        if self.pgconn",
        ("tests/records/test_pipelining.py::test_p22_what_is_rolled_back_is_not_sent_with_a_later_commit[postgresql]",),
        on_postgresql=True,
    ),
    Fault(
        "take-a-figure-that-came-back-for-unchanged",
        "P33",
        "app/records/stock_merges.py",
        "            self.turned_seq = self.turned_seq or seq\n",
        "",
        ("tests/records/test_stock.py::test_p27_p33_a_figure_that_came_back_within_a_group_has_changed[postgresql]",),
        on_postgresql=True,
    ),
    Fault(
        "write-spellings-of-one-sku-together",
        "P27",
        "app/records/stock.py",
        "any(sku != sku.strip() for sku in skus) or (is_read and bool(_blanked(connection, channel)))",
        "False",
        (
            "tests/channel/test_pushes_together.py"
            "::test_p27_p33_pushes_that_share_a_commit_leave_and_answer_what_they_would_one_after_another"
            "[sqlite]",
        ),
    ),
    Fault(
        "answer-writes-whose-commit-failed",
        "P22",
        "app/records/group_commit.py",
        "become, is_promoted, is_behind = _IS_APART, False, False",
        "become, is_promoted, is_behind = _IS_KEPT, False, False",
        ("tests/records/test_group_commit.py::test_p22_no_write_returns_because_of_a_commit_that_failed[sqlite]",),
    ),
    Fault(
        "look-at-once-for-a-database-that-is-away",
        "P5",
        "app/deliveries/dispatcher.py",
        "            is_busy, pause_s = False, IDLE_S\n",
        "            is_busy, pause_s = False, 0.0\n",
        (
            "tests/deliveries/test_dispatcher.py::test_p5_a_database_that_is_away_is_looked_at_no_more_often_than_one_that_is_there",
        ),
    ),
    Fault(
        "write-what-was-given-up",
        "P26",
        "app/records/group_commit.py",
        "                    self._waiting.remove(write)\n                    raise",
        "                    raise",
        (
            "tests/records/test_group_commit.py::test_p26_a_write_that_was_given_up_is_not_written_after_a_newer_one[sqlite]",
        ),
    ),
    Fault(
        "begin-the-next-group-before-the-last-has-ended",
        "P7",
        "app/records/group_commit.py",
        "                is_behind = not before.wait(max(own.give_up_at - time.monotonic(), 0.0))\n",
        "                is_behind = False\n",
        (
            "tests/records/test_group_commit.py"
            "::test_p22_what_comes_during_a_commit_is_the_next_group_whoever_has_begun_it[postgresql]",
        ),
        on_postgresql=True,
    ),
    Fault(
        "begin-no-push-while-another-waits-for-its-commit",
        "P22",
        "app/callbacks/leading.py",
        "leader.inner >= MOST_INNER or",
        "True or",
        (
            "tests/callbacks/test_leading.py::test_p22_requests_that_share_a_commit_are_begun_by_the_thread_of_the_loop"
            "_while_others_wait[15]",
        ),
    ),
    Fault(
        "begin-requests-of-others-inside-a-push",
        "P15",
        "app/callbacks/leading.py",
        "lambda job: job.kind == kind",
        "lambda job: True",
        (
            "tests/callbacks/test_leading.py"
            "::test_p15_a_request_of_another_kind_is_not_begun_inside_one_that_waits_for_a_commit",
        ),
    ),
    Fault(
        "write-the-push-that-came-last-first",
        "P27",
        "app/records/group_commit.py",
        "self._waiting.append(write)",
        "self._waiting.appendleft(write)",
        (
            "tests/records/test_group_commit.py::test_p22_p27_writes_of_one_thread_share_a_commit_in_their_order[sqlite]",
        ),
    ),
    Fault(
        "plan-once-for-lists-of-any-length",
        "P7",
        "app/records/pipelining.py",
        "LONG: Final = 500",
        "LONG: Final = 10**9",
        (
            "tests/records/test_pipelining.py::test_p7_a_long_list_is_planned_for_itself[postgresql-later]",
            "tests/records/test_pipelining.py::test_p7_a_long_list_is_planned_for_itself[postgresql-at once]",
        ),
        on_postgresql=True,
    ),
    Fault(
        "plan-once-for-lists-that-the-drivers-cursors-send",
        "P7",
        "app/records/pipelining.py",
        "if prepare is None and any(map(_is_long, values)):",
        "if prepare is None and False:",
        ("tests/records/test_pipelining.py::test_p7_a_long_list_is_planned_for_itself[postgresql-at once]",),
        on_postgresql=True,
    ),
    Fault(
        "subtract-an-order-that-has-shipped-until-it-is-acknowledged",
        "P27",
        "app/channel/shipments.py",
        "        reservations.acknowledged(connection, order.channel, order.source, order.refnum, order.clock())\n",
        "",
        (
            "tests/channel/test_reservations.py"
            "::test_r25_retailops_counts_an_order_that_ships_or_ends_with_no_acknowledgement[sqlite-a shipment]",
        ),
    ),
    Fault(
        "subtract-an-order-that-has-ended-until-it-is-acknowledged",
        "P27",
        "app/channel/actions/order_complete.py",
        "        reservations.acknowledged(connection, order.channel, order.source, order.refnum, order.clock())\n",
        "",
        (
            "tests/channel/test_reservations.py"
            "::test_r25_retailops_counts_an_order_that_ships_or_ends_with_no_acknowledgement[sqlite-a completion]",
        ),
    ),
    Fault(
        "forget-the-cancellation-of-an-order-that-was-pulled-by-its-number",
        "P18",
        "app/records/cancelled_at_source.py",
        '        among(handed_out.c.refnum, "refnums"),\n        IS_OPEN_ORDER,',
        '        among(handed_out.c.refnum, "refnums"),\n        handed_out.c.times > 0,\n        IS_OPEN_ORDER,',
        (
            "tests/gateways/vendors/rally/test_gateway.py"
            "::test_r18_an_order_that_was_pulled_by_its_number_alone_is_sent_as_cancelled_too",
        ),
    ),
    Fault(
        "a-price-in-yen-agrees-with-that-of-its-units-to-the-cent",
        "P19",
        "app/channel/unshipped.py",
        "<= minor_unit(currency) * self.quantity",
        '<= Decimal("0.01") * self.quantity',
        ("tests/gateways/vendors/rally/test_money.py::test_p19_in_yen_a_units_price_is_rounded_to_the_yen",),
    ),
    Fault(
        "a-unit-price-in-yen-is-that-of-the-line-to-the-cent",
        "P19",
        "app/channel/line_changes.py",
        "abs(stated - effective) < minor_unit(currency)",
        'abs(stated - effective) < Decimal("0.01")',
        ("tests/gateways/vendors/rally/test_money.py::test_p19_in_yen_a_units_price_is_rounded_to_the_yen",),
    ),
    Fault(
        "hold-back-an-order-in-yen-that-is-one-yen-off",
        "P19",
        "app/channel/money.py",
        "return minor_unit(currency_code) * max(line_count, 1)",
        'return Decimal("0.01") * max(line_count, 1)',
        ("tests/channel/test_order_texts.py::test_p19_sums_may_differ_by_a_minor_unit_for_each_line[JPY-1]",),
    ),
    Fault(
        "take-an-order-paid-in-part-for-one-without-money",
        "P37",
        "app/storefront/order_document.py",
        "return self.is_paid or self.paid > 0",
        "return self.is_paid or self.paid >= self.total",
        (
            "tests/gateways/vendors/rally/test_second_tab.py"
            "::test_p37_a_charge_of_another_kind_or_of_a_part_is_taken_at_once_and_held_back",
        ),
    ),
    Fault(
        "forget-money-that-came-for-an-order-without-any",
        "P19",
        "app/storefront/order_progress.py",
        'document.transactions != before.transactions and standing != "unknown":',
        "document.transactions != before.transactions and payment_ledger.charges(connection, shop.channel, refnum):",
        (
            "tests/gateways/vendors/rally/test_edges.py"
            "::test_p19_money_that_came_for_an_order_that_cost_nothing_goes_back_with_it",
        ),
    ),
    Fault(
        "lock-all-that-is-held-back-at-once",
        "P18",
        "app/channel/held_back.py",
        "if item.refnum not in noted][:most]",
        "if item.refnum not in noted]",
        (
            "tests/channel/test_order_life.py"
            "::test_p18_the_operator_sees_what_is_held_back_a_page_with_each_pull[sqlite]",
        ),
    ),
    Fault(
        "refuse-an-update-that-only-announces-returns",
        "P11",
        "app/channel/actions/order_update.py",
        'if not self._lines and known.state != "cancelled":',
        'if not self._lines and known.state == "cancelled":',
        ("tests/gateways/vendors/rally/test_gateway.py::test_announced_returns_of_an_update_pay_nothing",),
    ),
    Fault(
        "write-what-failed-together-from-the-last-to-the-first",
        "P27",
        "app/records/group_commit.py",
        "for earlier in write.thread.writes:",
        "for earlier in ():",
        (
            "tests/records/test_group_order.py"
            "::test_p27_writes_of_one_thread_that_fail_together_are_written_in_their_order",
        ),
    ),
    Fault(
        "write-a-longer-push-before-the-one-around-it",
        "P27",
        "app/channel/actions/inventory_push.py",
        " or group_commit.is_begun_meanwhile():",
        ":",
        (
            "tests/channel/test_pushes_together.py"
            "::test_p27_a_longer_push_that_is_begun_while_another_waits_is_written_after_it[sqlite]",
        ),
    ),
    Fault(
        "take-the-commits-of-others-for-slow",
        "P22",
        "app/callbacks/short_requests.py",
        "0.0 < commit_s <= SHORT_COMMIT_S",
        "0.0 < elapsed_s <= SHORT_COMMIT_S",
        ("tests/callbacks/test_leading.py::test_what_counts_as_short",),
    ),
    Fault(
        "call-a-thread-that-is-busy-to-lead",
        "P22",
        "app/records/group_commit.py",
        "if write.thread.is_asleep), None)",
        "), None)",
        (
            "tests/records/test_group_commit.py"
            "::test_p22_a_group_ends_while_a_thread_of_which_a_write_waits_begins_another[sqlite]",
        ),
    ),
    Fault(
        "let-a-write-fail-for-another-of-its-group",
        "P34",
        "app/records/group_commit.py",
        "            if all(write is own for write in writes):\n                raise\n            return False",
        "            raise",
        (
            "tests/records/test_group_commit.py::test_p34_a_write_that_fails_costs_no_other_one_of_its_group[sqlite-error0]",
        ),
    ),
    Fault(
        "two-lost-connections-are-a-fault-of-ours",
        "P5",
        "app/records/transactions.py",
        "        except InvalidRequestError as error:",
        "        except PendingRollbackError as error:",
        (
            "tests/records/test_database.py::"
            "test_p5_a_connection_that_is_lost_as_soon_as_it_is_made_is_trouble_of_the_database",
        ),
    ),
    Fault(
        "ready-without-a-write",
        "P24",
        "app/records/readiness.py",
        "                reason = self._why_no_write()\n",
        "                pass\n",
        ("tests/records/test_trouble.py::test_p10_a_full_disk_is_503_leaves_nothing_half_written_and_passes",),
    ),
    Fault(
        "the-write-of-readiness-needs-no-page",
        "P24",
        "app/records/readiness.py",
        "PROBE_BYTES: Final = 16 * 1024",
        "PROBE_BYTES: Final = 16",
        ("tests/records/test_trouble.py::test_p10_a_full_disk_is_503_leaves_nothing_half_written_and_passes",),
    ),
    Fault(
        "sqlites-file-can-be-read-by-all",
        "P20",
        "app/records/private_files.py",
        "os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)",
        "os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)",
        ("tests/records/test_database.py::test_p20_sqlites_files_are_nobody_elses",),
    ),
    Fault(
        "a-file-of-before-stays-readable",
        "P20",
        "app/records/private_files.py",
        "            path.chmod(mode & 0o700)\n",
        "            pass\n",
        ("tests/records/test_database.py::test_p20_sqlites_files_are_nobody_elses",),
    ),
    Fault(
        "a-command-names-the-kind-of-its-trouble",
        "P24",
        "app/records/database_errors.py",
        "    if known := _known(error):\n        return known[1]\n",
        "",
        ("tests/cli/test_db.py::test_db_upgrade_says_what_is_wrong_without_the_password",),
    ),
    Fault(
        "a-key-without-a-limit",
        "P34",
        "schemas/inventory_push_v1.json",
        """                  "maxLength": 255,\n                  "pattern": "^[^\\\\x00\\ufdd0]*[^""",
        """                  "pattern": "^[^\\\\x00\\ufdd0]*[^""",
        (
            "tests/channel/test_texts_and_entries.py::"
            "test_p34_one_sku_too_long_for_an_index_never_costs_its_neighbours[sqlite]",
        ),
    ),
    Fault(
        "a-refused-entry-costs-its-neighbours",
        "P34",
        "app/channel/entry_by_entry.py",
        "            if len(part) > 1 and deadline.left_s() >= LEAST_TIME_S:\n",
        "            if len(part) < 0:\n",
        ("tests/channel/test_texts_and_entries.py::test_p34_a_refused_entry_never_costs_its_neighbours",),
    ),
    Fault(
        "cut-a-country-code",
        "P34",
        "app/gateways/vendors/rally/inbound/hook_requests.py",
        '    found["country_code"] = country_code(stated)\n',
        '    found["country_code"] = country_code(stated[:2])\n',
        ("tests/gateways/vendors/rally/test_countries.py::test_p34_a_country_code_is_translated_and_never_cut",),
    ),
    Fault(
        "ask-everybody-for-a-province",
        "P34",
        "app/storefront/pricing.py",
        "    return is_divided and has_provinces(country_code)\n",
        "    return is_divided\n",
        (
            "tests/gateways/vendors/rally/test_countries.py"
            "::test_p34_a_province_is_requested_only_where_a_table_goes_by_it_and_the_country_has_it",
        ),
    ),
    Fault(
        "discount-an-order-bump",
        "P19",
        "app/storefront/pricing.py",
        "ZERO if line.is_price_given else line.subtotal - share for",
        "line.subtotal - share for",
        (
            "tests/gateways/vendors/rally/test_carts.py"
            "::test_p19_a_line_at_rallys_own_price_takes_no_discount_in_whatever_order_things_happen",
        ),
    ),
    Fault(
        "accept-a-stale-cart",
        "P37",
        "app/storefront/placement.py",
        "    if has_skus and cart_check.has_stated_lines(cart, stated):\n",
        "    if has_skus and len(stated) == len(cart.lines):\n",
        (
            "tests/gateways/vendors/rally/test_second_tab.py::test_p37_lines_of_another_tab_are_refused_whatever_names_them",
        ),
    ),
    Fault(
        "goods-change-under-a-cart",
        "P37",
        "app/storefront/placement.py",
        "    if has_skus and cart_check.has_stated_lines(cart, stated):\n",
        "    if cart_check.has_stated_lines(cart, stated):\n",
        (
            "tests/gateways/vendors/rally/test_second_tab.py"
            "::test_p37_goods_that_got_another_sku_since_the_cart_was_shown_are_refused_once",
        ),
    ),
    Fault(
        "one-of-two-removals-of-a-line",
        "P37",
        "app/storefront/carts.py",
        "        less[item.line_id] += item.quantity\n",
        "        less[item.line_id] = item.quantity\n",
        ("tests/gateways/vendors/rally/test_carts.py::test_p37_units_of_a_line_removed_in_two_entries_add_up",),
    ),
    Fault(
        "billing-stays-at-the-former-address",
        "P37",
        "app/storefront/cart_changes.py",
        "    if is_one and news.billing_address is None:\n",
        "    if is_one and news.shipping_address is None:\n",
        (
            "tests/gateways/vendors/rally/test_carts.py"
            "::test_p37_an_address_that_is_said_to_be_that_of_shipping_goes_along_with_it",
        ),
    ),
    Fault(
        "refused-category-costs-the-product",
        "P34",
        "app/gateways/vendors/rally/facts.py",
        "                except Refused as error:\n                    return error.message\n",
        "                except Refused:\n                    raise\n",
        (
            "tests/gateways/vendors/rally/test_facts.py"
            "::test_p34_a_category_that_rally_refuses_costs_no_product_its_price",
        ),
    ),
    Fault(
        "a-product-deleted-at-rally-is-gone-for-ever",
        "P33",
        "app/gateways/vendors/rally/facts.py",
        "reason, lost = (LOST, note.product) if",
        'reason, lost = (LOST, "") if',
        (
            "tests/gateways/vendors/rally/test_facts.py"
            "::test_p33_a_product_that_was_deleted_at_rally_is_made_anew_when_it_is_stated_again",
        ),
    ),
    Fault(
        "refused-category-counts-as-a-product-not-made",
        "P34",
        "app/gateways/vendors/rally/facts.py",
        'f"one of its categories: {reason}", product_id=',
        'f"one of its categories: {reason}", product.item.sku, ',
        (
            "tests/gateways/vendors/rally/test_facts.py"
            "::test_p34_a_category_that_rally_refuses_costs_no_product_its_price",
        ),
    ),
    Fault(
        "the-last-spelling-of-a-facility-wins",
        "P23",
        "app/domain/stock_levels.py",
        "    pairs = {(facility_key(name), value) for name, value in by_facility.items()}\n",
        "    pairs = {(name, value) for name, value in by_facility.items()}\n",
        (
            "tests/gateways/vendors/retailrocket/test_gateway.py::test_p23_settings_that_could_do_harm_are_faults",
            "tests/gateways/vendors/pipe17/test_gateway.py::test_p23_settings_that_contradict_each_other_are_faults",
        ),
    ),
    Fault(
        "one-404-silences-a-product-at-rally",
        "P33",
        "app/records/catalogue_sync.py",
        "_EACH.values(is_uncertain=True, ",
        '_EACH.values(sent=b"{}", ',
        (
            "tests/gateways/vendors/rally/test_facts.py"
            "::test_p33_a_variant_that_rally_does_not_know_costs_the_others_neither_stock_nor_removal",
        ),
    ),
    Fault(
        "a-location-for-each-spelling-of-a-facility",
        "P33",
        "app/gateways/vendors/pipe17/connection/facilities.py",
        '                if made.done == "created":',
        '                if made.done == "linked":',
        (
            "tests/gateways/vendors/pipe17/test_integration.py"
            "::test_p33_a_location_is_made_once_however_often_and_in_whatever_spelling_its_facility_is_named",
        ),
    ),
    Fault(
        "coupons-by-the-order-they-are-named-in",
        "P37",
        "app/storefront/cart_changes.py",
        "    kept = [code for code in cart.coupons if code in named]\n",
        "    kept: list[str] = []\n",
        (
            "tests/gateways/vendors/rally/test_carts.py"
            "::test_p37_coupons_cost_the_same_in_whatever_order_they_are_named",
        ),
    ),
    Fault(
        "price-of-another-currency-inherited",
        "P36",
        "app/domain/catalogue.py",
        "    own = _OWN | _OF_CURRENCY if is_other_money else _OWN\n",
        "    own = _OWN\n",
        ("tests/domain/test_catalogue_values.py::test_p36_no_amount_is_inherited_in_another_currency",),
    ),
    Fault(
        "facility-by-unicode-form",
        "P36",
        "app/domain/stock_levels.py",
        'unicodedata.normalize("NFC", name)',
        "name",
        ("tests/domain/test_catalogue_values.py::test_p36_a_facility_has_one_name_however_it_is_written",),
    ),
    Fault(
        "facility-of-a-feed-by-case",
        "P36",
        "app/gateways/vendors/retailrocket/offers.py",
        "{stock_levels.facility_key(place): stock_id for",
        "{place: stock_id for",
        (
            "tests/gateways/vendors/retailrocket/test_feed.py"
            "::test_with_regional_stocks_all_are_empty_once_orders_hold_every_unit",
        ),
    ),
    Fault(
        "blank-switches-on",
        "P34",
        "app/channel/catalogue_fields.py",
        '            if name == "enabled" and read is None:\n',
        '            if name == "enabled" and read is feed:\n',
        ("tests/channel/test_catalogue_reading.py::test_p34_a_blank_switches_nothing_on_that_was_switched_off",),
    ),
    Fault(
        "option-of-unknown-shape-is-none",
        "P34",
        "app/domain/feed_shapes.py",
        "            yield below, value[name], _NO_OPTION\n        return",
        "            pass\n        return",
        ("tests/channel/test_catalogue_reading.py::test_p34_a_field_that_cannot_be_read_keeps_its_value_and_is_named",),
    ),
    Fault(
        "spellings-of-an-objects-number",
        "P34",
        "app/channel/catalogue.py",
        "    product_id, source_type = number(parts[0]), text(parts[1])\n",
        "    product_id, source_type = text(parts[0]), text(parts[1])\n",
        ("tests/channel/test_catalogue_reading.py::test_r7_an_object_has_one_number_however_it_is_spelled",),
    ),
    Fault(
        "rows-of-another-spelling-are-strangers",
        "R7",
        "app/records/catalogue_rows.py",
        "    return kind + canonical(identity.removeprefix(kind)) if identity.startswith(kind) else identity\n",
        "    return identity\n",
        (
            "tests/records/test_catalogue.py"
            "::test_r7_p47_what_was_kept_under_another_spelling_of_its_id_stays_the_row_of_its_object[sqlite]",
        ),
    ),
    Fault(
        "objects-are-looked-up-by-one-spelling",
        "R7",
        "app/records/cataloguing.py",
        "for name in (one.identity, one.spelled) if name",
        "for name in (one.identity,) if name",
        (
            "tests/records/test_catalogue.py"
            "::test_r7_p47_what_was_kept_under_another_spelling_of_its_id_stays_the_row_of_its_object[sqlite]",
        ),
    ),
    Fault(
        "rows-lose-the-spelling-that-old-processes-know",
        "P47",
        "app/records/cataloguing.py",
        '        "identity": row.spelled or row.identity,\n',
        '        "identity": row.identity,\n',
        (
            "tests/records/test_catalogue.py"
            "::test_r7_p47_what_was_kept_under_another_spelling_of_its_id_stays_the_row_of_its_object[sqlite]",
        ),
    ),
    Fault(
        "refuse-the-same-charge-for-ever",
        "P37",
        "app/storefront/placement.py",
        "    if not cart_check.was_refused(cart):\n",
        "    if document.lines:\n",
        (
            "tests/gateways/vendors/rally/test_second_tab.py"
            "::test_p37_a_charge_that_is_not_the_carts_total_is_refused_once_and_then_held_back",
        ),
    ),
    Fault(
        "answer-the-customer-to-an-order-hook",
        "P20",
        "app/gateways/vendors/rally/payloads.py",
        '        "status": status_of(shown.state, options),\n        "line_items"',
        '        "status": status_of(shown.state, options),\n        "customer": customer_json(order.customer, ""),\n'
        '        "line_items"',
        (
            "tests/gateways/vendors/rally/test_answers.py::test_p20_every_answer_to_a_hook_holds_only_the_contracts_fields",
        ),
    ),
    Fault(
        "strip-the-ids-of-transactions",
        "P35",
        "app/gateways/vendors/rally/inbound/hook_money.py",
        '        own_id = identifier(item.get("external_id"))\n',
        '        own_id = identifier(item.get("external_id")).strip()\n',
        (
            "tests/gateways/vendors/rally/test_ids_and_texts.py"
            "::test_p35_ids_of_transactions_come_back_byte_for_byte_and_none_is_taken_for_another",
        ),
    ),
    Fault(
        "hold-an-order-whose-review-is-over",
        "P37",
        "app/storefront/order_progress.py",
        "    if review is None and says_paid and shop.options.paid_clears_review:\n",
        "    if review is None and says_paid and not shop.options.paid_clears_review:\n",
        (
            "tests/gateways/vendors/rally/test_orders.py"
            "::test_p37_a_paid_without_mention_of_an_open_review_ends_it_unless_the_merchant_says_otherwise",
        ),
    ),
    Fault(
        "forget-why-hooks-were-refused",
        "P37",
        "app/records/journal.py",
        "            inbound.add(connection, self._counts)\n",
        "",
        (
            "tests/gateways/vendors/rally/test_ids_and_texts.py::test_p37_a_check_says_why_hooks_were_refused_in_the_last_hour",
        ),
    ),
    Fault(
        "trims-vendor-id",
        "P35",
        "app/gateways/wire_objects.py",
        "    if isinstance(value, str):\n        return value\n    return str(value)",
        "    if isinstance(value, str):\n        return value.strip()\n    return str(value)",
        ("tests/gateways/vendors/pipe17/test_ids.py::test_p35_every_id_of_pipe17s_comes_back_byte_for_byte",),
    ),
    Fault(
        "reads-another-request",
        "P35",
        "app/gateways/vendors/pipe17/orders/shipping_requests.py",
        "        return shipment if shipment.shipment_id == refnum else None\n",
        "        return shipment\n",
        ("tests/gateways/vendors/pipe17/test_ids.py::test_p35_a_request_is_read_by_its_own_id_alone",),
    ),
    Fault(
        "box-of-another-order",
        "P11",
        "app/gateways/vendors/pipe17/fulfilments.py",
        '    return f"{order_refnum}-{key}"\n',
        "    return key\n",
        ("tests/gateways/vendors/pipe17/test_ids.py::test_p11_one_box_for_two_orders_is_a_fulfilment_of_each",),
    ),
    Fault(
        "collision-taken-for-ours",
        "P9",
        "app/gateways/vendors/pipe17/connection/api.py",
        '                raise Unavailable("DUPLICATE_NOT_SHOWN", message) from error\n',
        "                return None\n",
        (
            "tests/gateways/vendors/pipe17/test_ids.py::"
            "test_p9_a_number_that_is_taken_counts_as_ours_only_once_it_is_seen_as_ours",
        ),
    ),
    Fault(
        "carrier-not-corrected",
        "P11",
        "app/gateways/vendors/pipe17/fulfilments.py",
        "    return stands.tracking_number == package.tracking_number and stands.carrier == carrier and is_dated\n",
        "    return stands.tracking_number == package.tracking_number and is_dated\n",
        (
            "tests/gateways/vendors/pipe17/test_ids.py::test_p11_number_carrier_and_date_of_a_package_are_corrected_by_a_tracking",
        ),
    ),
    Fault(
        "note-cut",
        "P34",
        "app/domain/attributes.py",
        "texts.split(value, LONGEST, shortest=SHORTEST), 1)",
        "texts.split(value, LONGEST, shortest=SHORTEST)[:1], 1)",
        ("tests/gateways/vendors/pipe17/test_ids.py::test_p34_a_note_of_any_length_reaches_retailops_whole",),
    ),
    Fault(
        "act-without-trace",
        "P39",
        "app/operations/acts.py",
        "        keep(connection, operator, act, row.channel, row.gateway, outcome, targets, now, detail)\n",
        "",
        ("tests/operations/test_acts.py::test_p39_each_act_on_a_call_is_kept_with_who_when_on_what_and_why[sqlite]",),
    ),
    Fault(
        "act-on-another-attempt",
        "P39",
        "app/records/delivery_rows.py",
        "            deliveries.c.attempts == row.attempts,\n",
        "",
        (
            "tests/operations/test_acts.py::"
            "test_p39_an_act_sent_twice_for_what_the_operator_saw_is_carried_out_and_kept_once[sqlite]",
        ),
    ),
    Fault(
        "paused-gateway-is-called",
        "P39",
        "app/transport/limits.py",
        "        if (self.channel, self.vendor) in self.paused:\n",
        "        if False:\n",
        (
            "tests/operations/test_pauses.py::"
            "test_p39_a_paused_gateway_gets_no_call_and_then_all_that_has_waited[sqlite]",
        ),
    ),
    Fault(
        "resume-without-trace",
        "P39",
        "app/operations/acts.py",
        '        keep(connection, operator, "resume", channel',
        '        (lambda *_: None)(connection, operator, "resume", channel',
        ("tests/operations/test_pauses.py::test_p39_a_pause_is_kept_with_who_and_why_and_harmless_twice[sqlite]",),
    ),
    Fault(
        "bulk-act-on-what-has-changed",
        "P39",
        "app/operations/bulk_acts.py",
        "        elif (row.state, row.attempts) != state:\n",
        "        elif False:\n",
        ("tests/operations/test_lists.py::test_p39_a_bulk_act_changes_exactly_what_was_previewed[sqlite]",),
    ),
    Fault(
        "reader-acts-on-another-channel",
        "P39",
        "app/operations/bulk_acts.py",
        "        if row is None or not scope.sees(row.channel):\n            left",
        "        if row is None:\n            left",
        ("tests/operations/test_lists.py::test_p39_a_bulk_act_changes_exactly_what_was_previewed[sqlite]",),
    ),
    Fault(
        "reader-sees-another-channel",
        "P40",
        "app/records/callback_log.py",
        'columns.kind == "callback", visible(columns.channel, channels)',
        'columns.kind == "callback"',
        ("tests/operations/test_lists.py::test_the_log_is_walked_to_its_end_and_finds_what_is_rare[sqlite]",),
    ),
    Fault(
        "a-rare-row-is-searched-for-without-a-bound",
        "P40",
        "app/records/bounded_search.py",
        "some = listed.limit(searched).subquery()",
        "some = listed.subquery()",
        ("tests/operations/test_lists.py::test_p40_a_reader_of_a_rare_channel_gets_pages_that_stop_and_go_on[sqlite]",),
    ),
    Fault(
        "an-open-late-event-is-searched-for-among-all",
        "P40",
        "app/records/late_events.py",
        "    if is_open or subject:\n        some = ",
        "    if subject:\n        some = ",
        ("tests/operations/test_lists.py::test_p40_a_reader_of_a_rare_channel_gets_pages_that_stop_and_go_on[sqlite]",),
    ),
    Fault(
        "what-is-held-back-is-searched-for-among-all-orders",
        "P40",
        "app/records/order_list.py",
        'is_held_back, only = chosen.state == "held back",',
        "is_held_back, only = False,",
        ("tests/operations/test_lists.py::test_p40_a_reader_of_a_rare_channel_gets_pages_that_stop_and_go_on[sqlite]",),
    ),
    Fault(
        "a-place-says-when-a-row-of-another-channel-was",
        "P40",
        "app/records/hook_log.py",
        "part if channels is None else to_the_second(part, before, 0)",
        "part",
        ("tests/operations/test_lists.py::test_p40_a_reader_of_a_rare_channel_gets_pages_that_stop_and_go_on[sqlite]",),
    ),
    Fault(
        "a-search-that-stops-at-a-whole-second-ends-it",
        "P40",
        "app/records/bounded_search.py",
        "to_ms(part.searched_to) // 1000 + 1",
        "-(-to_ms(part.searched_to) // 1000)",
        (
            "tests/operations/test_lists.py::test_p40_a_search_that_stops_at_a_whole_second_leaves_out_no_row_of_it[sqlite]",
        ),
    ),
    Fault(
        "a-page-by-seconds-never-goes-on",
        "P40",
        "app/records/bounded_search.py",
        "    if before is not None and place >= tuple(before):\n        return part\n",
        "",
        ("tests/operations/test_lists.py::test_p40_a_reader_of_a_rare_channel_gets_pages_that_stop_and_go_on[sqlite]",),
    ),
    Fault(
        "the-place-of-a-page-is-cut-off",
        "P40",
        "app/console/choosing.py",
        'request.args.get("after", "")[:LONGEST_PLACE]',
        'text("after")',
        (
            "tests/console/test_pages.py::"
            "test_p40_older_leads_on_whatever_the_last_number_is_and_a_place_of_no_list_is_an_error",
        ),
    ),
    Fault(
        "a-place-names-an-order-of-another-channel",
        "P40",
        "app/records/order_list.py",
        "    if part.searched_to is None:\n        return part\n",
        "    if True:\n        return part\n",
        ("tests/operations/test_lists.py::test_p40_a_reader_of_a_rare_channel_gets_pages_that_stop_and_go_on[sqlite]",),
    ),
    Fault(
        "what-waits-is-read-of-all-channels",
        "P40",
        "app/records/attention.py",
        "visible(held_back.c.channel, channels))",
        "visible(held_back.c.channel, None))",
        (
            "tests/operations/test_figures.py::"
            "test_p40_what_waits_is_read_of_the_readers_channels_alone_and_a_few_are_named[sqlite]",
        ),
    ),
    Fault(
        "page-leaves-a-row-out",
        "P40",
        "app/records/bounded_search.py",
        "return Part(rows[:limit], _place(rows[limit - 1], by))",
        "return Part(rows[:limit], _place(rows[limit], by))",
        ("tests/operations/test_lists.py::test_the_log_is_walked_to_its_end_and_finds_what_is_rare[sqlite]",),
    ),
    Fault(
        "carry-out-a-dry-run",
        "P39",
        "app/cli/acting.py",
        "        if self.is_dry_run:\n            return False\n",
        "",
        ("tests/cli/test_delivery_actions.py::test_a_parked_call_is_listed_explained_and_put_back[sqlite]",),
    ),
    Fault(
        "reconcile-writes-without-send",
        "P33",
        "app/cli/reconcile.py",
        "        if is_sent:\n            _send(",
        "        if True:\n            act = Act(act.operator, False, True, act.as_json)\n            _send(",
        (
            "tests/operations/test_reconcile.py::"
            "test_p33_what_people_changed_there_is_shown_with_both_figures_sent_and_gone_afterwards[sqlite]",
        ),
    ),
    Fault(
        "missing-record-is-zero",
        "P33",
        "app/gateways/vendors/pipe17/holdings.py",
        "if not any(ours.values()) else None",
        "",
        (
            "tests/operations/test_reconcile.py::"
            "test_p33_what_people_changed_there_is_shown_with_both_figures_sent_and_gone_afterwards[sqlite]",
        ),
    ),
    Fault(
        "keep-an-older-word-of-open-units",
        "P34",
        "app/channel/actions/order_complete.py",
        """        if not warned:
            # Of two""",
        """        if not warned and False:
            # Of two""",
        (
            "tests/channel/test_order_memory.py::test_p34_completions_that_wait_together_leave_nothing_named_once_the"
            "_source_counts_nothing_open",
        ),
    ),
    Fault(
        "each-process-takes-all-connections",
        "P42",
        "app/settings.py",
        "return max(2, self.database_connections // self.database_processes)",
        "return self.database_connections",
        (
            "tests/test_settings.py::test_p42_each_process_has_its_part_of_the_connections_also_while_a_release_doubles_the_processes",
        ),
    ),
    Fault(
        "tell-a-full-server-at-once",
        "P42",
        "app/records/connections.py",
        'if not is_full(getattr(error, "orig", error)) or left_s',
        "if True or left_s",
        (
            "tests/records/test_connections.py::"
            "test_p42_a_server_without_a_connection_left_is_waited_for_and_then_told_in_words[role]",
        ),
        on_postgresql=True,
    ),
    Fault(
        "keep-idle-connections",
        "P42",
        "app/records/connections.py",
        "left_s = self.close_idle(IDLE_S)",
        "left_s = self.close_idle(3600.0)",
        (
            "tests/records/test_connections.py::"
            "test_p42_connections_are_opened_on_demand_up_to_the_bound_and_closed_when_idle",
        ),
        on_postgresql=True,
    ),
    Fault(
        "wait-for-a-connection-only-briefly",
        "P42",
        "app/records/transactions.py",
        "return WAIT_S if deadline is None else max(deadline.left_s(), LEAST_WAIT_S)",
        "return 4.0",
        (
            "tests/records/test_connections.py::"
            "test_p42_whoever_waits_gets_the_next_connection_also_long_after_others_came",
        ),
        on_postgresql=True,
    ),
    Fault(
        "not-ready-because-busy",
        "P42",
        "app/records/readiness.py",
        "is_well = time.monotonic() - self._database.served_at_s < ANSWERED_S",
        "is_well = False",
        (
            "tests/records/test_connections.py::"
            "test_p42_connections_are_opened_on_demand_up_to_the_bound_and_closed_when_idle",
        ),
        on_postgresql=True,
    ),
    Fault(
        "hold-two-connections",
        "P42",
        "app/fair_turns.py",
        "if thread in self._holders:",
        "if False:",
        (
            "tests/test_fair_turns.py::test_a_second_turn_in_the_same_thread_is_a_fault_of_ours_and_nothing_is_lost_by_it",
        ),
    ),
    Fault(
        "migrate-over-a-connection-nobody-counts",
        "P42",
        "app/records/database.py",
        "            with self._turns.turn(holder, patience_s(), is_lasting=bool(holder)), as_unavailable():\n"
        "                cast",
        "            with as_unavailable():\n                cast",
        ("tests/records/test_connections.py::test_p42_a_migration_counts_against_the_connections_of_its_process",),
        on_postgresql=True,
    ),
    Fault(
        "send-facts-to-a-vendor-that-has-just-failed",
        "P14",
        "app/records/due_facts.py",
        "        at = max(first or LONG_AGO, second or LONG_AGO)\n",
        "        at = first or LONG_AGO\n",
        ("tests/records/test_due_streams.py::test_r13_a_look_for_all_gateways_finds_what_a_look_for_each_finds",),
    ),
    Fault(
        "look-without-a-pause-while-work-waits-for-a-thread",
        "P15",
        "app/deliveries/background_work.py",
        "for at_s in self._own_at_s.values() if at_s > now_s)",
        "for at_s in self._own_at_s.values())",
        (
            "tests/deliveries/test_work_threads.py::"
            "test_p15_one_look_serves_200_gateways_and_each_that_is_due_has_a_thread",
        ),
    ),
    Fault(
        "rely-on-notifications-that-do-not-arrive",
        "P26",
        "app/records/wakeups.py",
        "        was_heard = False\n        while not",
        "        was_heard = self.is_heard = True\n        while not",
        ("tests/records/test_wakeups.py::test_p26_where_notifications_do_not_arrive_nobody_relies_on_them",),
        on_postgresql=True,
    ),
    Fault(
        "one-channel-takes-the-last-turn",
        "P15",
        "app/fair_turns.py",
        "max(1, limit - self._lasting - 1)",
        "limit",
        (
            "tests/records/test_connections.py::test_p15_a_channel_whose_transactions_hang_leaves_the_others_a_connection",
        ),
        on_postgresql=True,
    ),
    Fault(
        "who-came-first-goes-first",
        "P15",
        "app/fair_turns.py",
        "key=lambda each: (each[1].held, each[1].served)",
        "key=lambda each: -each[1].served",
        (
            "tests/test_fair_turns.py::"
            "test_p15_of_those_that_wait_the_channel_that_holds_least_and_was_served_longest_ago_goes_first",
        ),
    ),
    Fault(
        "one-channel-takes-all-threads",
        "P15",
        "app/callbacks/threads.py",
        "most - max(1, most // 8)",
        "most",
        (
            "tests/callbacks/test_fair_share.py::"
            "test_p15_one_channel_alone_has_all_but_one_and_beyond_what_may_wait_is_told_at_once",
        ),
    ),
    Fault(
        "visitors-have-the-share-of-people",
        "P15",
        "app/callbacks/senders.py",
        "PEOPLE if self._is_signed_in(headers) else others",
        "PEOPLE",
        ("tests/callbacks/test_fair_share.py::test_p15_only_who_is_signed_in_has_the_share_of_people",),
    ),
    Fault(
        "visitors-take-a-channels-share",
        "P15",
        "app/callbacks/threads.py",
        ", VISITORS: most // 8}",
        "}",
        ("tests/callbacks/test_fair_share.py::test_p15_visitors_take_an_eighth_of_the_threads_and_no_more",),
    ),
    Fault(
        "visitors-keep-people-from-signing-in",
        "P15",
        "app/callbacks/senders.py",
        "SIGNING_IN if parts[:2] == _LOGIN else VISITORS",
        "VISITORS",
        ("tests/callbacks/test_fair_share.py::test_p15_visitors_who_fill_their_queue_keep_nobody_from_signing_in",),
    ),
    Fault(
        "a-later-act-ends-the-loop",
        "P46",
        "app/callbacks/loop.py",
        "partial(self._guarded, give_back, connection)",
        "partial(give_back, connection)",
        ("tests/callbacks/test_worker.py::test_p46_a_kept_answer_that_fails_ends_its_own_connection_only",),
    ),
    Fault(
        "strangers-take-a-channels-share",
        "P15",
        "app/callbacks/senders.py",
        "named = self._by_key.get(found[1]) if found else None",
        "named = next(iter(self._by_key.values()))",
        (
            "tests/callbacks/test_fair_share.py::"
            "test_p15_a_request_is_for_the_channel_it_names_and_whoever_names_none_is_a_stranger",
        ),
    ),
    Fault(
        "count-the-budget-from-the-thread",
        "P7",
        "app/callbacks/application.py",
        "Deadline(arrived_s + BUDGET_S)",
        "Deadline.in_s(BUDGET_S)",
        (
            "tests/callbacks/test_fair_share.py::"
            "test_p7_time_spent_waiting_for_a_thread_counts_against_the_time_for_the_answer",
        ),
    ),
    Fault(
        "take-a-second-host-in-an-ordinary-head",
        "P5",
        "app/callbacks/heads.py",
        'RFC9110_5_3_SINGLETON_FIELDS | {"EXPECT"}',
        '{"CONTENT-TYPE", "EXPECT"}',
        ("tests/callbacks/test_heads.py::test_p5_an_ordinary_head_is_read_as_gunicorn_reads_it[default-trusted]",),
    ),
    Fault(
        "inflate-before-a-key-is-found",
        "P46",
        "app/callbacks/body.py",
        "        raise wrong_key() if is_object else _no_object()\n",
        '        return Body(b"", content, "?")\n',
        (
            "tests/callbacks/test_large_bodies.py::"
            "test_p2_p46_a_larger_body_without_a_key_is_the_one_401_and_is_not_parsed[8388608-gzip]",
        ),
    ),
    Fault(
        "search-the-plain-spelling-only",
        "P46",
        "app/callbacks/key_search.py",
        "    if any(escape in window for escape in _ESCAPES):\n",
        "    if False:\n",
        (
            "tests/callbacks/test_large_bodies.py::"
            "test_p46_the_key_is_found_however_json_writes_it_and_wherever_a_piece_ends[escaped-name]",
        ),
    ),
    Fault(
        "any-number-of-values",
        "P46",
        "app/callbacks/body.py",
        "    if has_more_values(raw, most):\n",
        "    if False:\n",
        (
            "tests/callbacks/test_large_bodies.py::"
            "test_p46_a_large_body_has_no_more_values_than_one_of_the_allowed_size_can_need",
        ),
    ),
    Fault(
        "any-number-of-different-names",
        "P15",
        "app/callbacks/body.py",
        "    if has_more_different_names(raw, MOST_DIFFERENT_NAMES):\n",
        "    if False:\n",
        (
            "tests/callbacks/test_large_bodies.py::"
            "test_p15_a_body_of_too_many_different_names_is_refused_before_they_are_made",
        ),
    ),
    Fault(
        "every-name-is-a-new-one",
        "P46",
        "app/domain/json_values.py",
        "sum(count == 1 for count in times.values())",
        "sum(times.values())",
        ("tests/callbacks/test_large_bodies.py::test_a_body_of_many_rows_has_few_different_names[catalogue]",),
    ),
    Fault(
        "any-number-of-entries",
        "P7",
        "app/channel/receiving.py",
        "> MOST_ENTRIES:",
        "> 1_000_000_000:",
        ("tests/callbacks/test_routes.py::test_p7_a_list_of_more_entries_than_can_be_answered_in_time_is_refused",),
    ),
    Fault(
        "write-what-took-too-long-to-read",
        "P7",
        "app/callbacks/large_bodies.py",
        "        if not self._deadline.left_s():\n",
        "        if False:\n",
        ("tests/callbacks/test_large_bodies.py::test_p7_a_body_that_took_too_long_to_read_is_not_written",),
    ),
    Fault(
        "judge-only-the-first-of-many-rows",
        "P15",
        "app/contract/requests.py",
        "is_valid({**body, self._entries: []}) and all(map(judge, pieces))",
        "is_valid({**body, self._entries: rows[:AT_ONCE]})",
        ("tests/contract/test_bodies.py::test_p15_many_rows_are_judged_as_few_are",),
    ),
    Fault(
        "lose-the-end-of-a-long-list",
        "P15",
        "app/domain/json_bodies.py",
        "            del left[-AT_ONCE:]\n",
        "            del left[-AT_ONCE - 1 :]\n",
        ("tests/domain/test_json_bodies.py::test_p15_a_long_body_is_read_as_any_other",),
    ),
    Fault(
        "search-a-body-at-once",
        "P15",
        "app/domain/json_bodies.py",
        "        end = at + _WINDOW\n",
        "        end = at + len(raw)\n",
        ("tests/domain/test_json_bodies.py::test_p15_other_threads_have_their_turn_while_a_body_is_mended",),
    ),
    Fault(
        "large-bodies-of-one-channel-first",
        "P15",
        "app/fair_turns.py",
        "name, share = min(due, key=lambda each: (each[1].held, each[1].served))",
        "name, share = due[0]",
        ("tests/callbacks/test_large_bodies.py::test_r14_two_large_bodies_are_in_hand_and_channels_take_turns",),
    ),
    Fault(
        "the-loop-waits-for-a-request-that-takes-long",
        "P15",
        "app/callbacks/leading.py",
        "is_long = since_s > 0 and time.monotonic() - since_s > LONG_S\n",
        "is_long = False\n",
        ("tests/callbacks/test_leading.py::test_p15_a_request_that_was_expected_to_be_short_keeps_nobody_waiting",),
    ),
    Fault(
        "large-bodies-hold-threads",
        "P15",
        "app/callbacks/worker.py",
        "            self.waits_for = holder\n            return False\n",
        "            while not self._threads.take_place(holder):\n                time.sleep(0.01)\n",
        (
            "tests/callbacks/test_large_bodies.py::"
            "test_p15_two_merchants_with_large_bodies_leave_small_callbacks_their_threads[sqlite]",
        ),
    ),
    Fault(
        "place-without-a-thread",
        "P15",
        "app/callbacks/threads.py",
        "        return self._shares.may_begin(waiting[0])\n",
        "        return True\n",
        ("tests/callbacks/test_large_bodies.py::test_p15_a_place_is_given_to_a_channel_that_can_have_a_thread",),
    ),
    Fault(
        "say-nothing-while-no-place-comes",
        "P7",
        "app/callbacks/worker.py",
        "        for late in self._threads.withdraw(_Job.is_late):\n",
        "        for late in ():\n",
        (
            "tests/callbacks/test_large_bodies.py::"
            "test_p7_a_large_body_whose_place_does_not_come_in_time_is_told_so[sqlite]",
        ),
    ),
    Fault(
        "large-body-waits-for-the-vendor",
        "P15",
        "app/channel/services.py",
        "        self.leave_turn()\n",
        "",
        (
            "tests/callbacks/test_large_bodies.py::test_p15_a_large_body_has_left_its_place_before_its_vendor_is_waited_for",
        ),
    ),
    Fault(
        "read-any-answer",
        "P46",
        "app/transport/replies.py",
        "if has_more_values(self.body, MOST_VALUES):",
        "if False:",
        ("tests/transport/test_client.py::test_p46_an_answer_of_a_million_values_is_not_read",),
    ),
    Fault(
        "a-code-without-an-entry",
        "P43",
        "app/channel/actions/order_shipment_submit.py",
        '"NO_PACKAGES"',
        '"NO_PARCELS"',
        ("tests/domain/test_codes.py::test_p43_every_code_in_the_source_is_registered_where_it_is_sent",),
    ),
    Fault(
        "markdown-brings-html",
        "P43",
        "app/docs/rendering.py",
        '{"html": False}',
        '{"html": True}',
        ("tests/docs/test_served.py::test_p43_markdown_cannot_bring_html",),
    ),
    Fault(
        "docs-although-switched-off",
        "P43",
        "app/composition.py",
        "    if configured.docs:\n",
        "    if True:\n",
        ("tests/docs/test_served.py::test_p43_docs_off_means_that_there_are_none",),
    ),
    Fault(
        "an-arena-for-each-thread",
        "P28",
        "app/serving.py",
        "_memory.keep_flat()",
        "pass",
        ("tests/system/test_memory.py::test_p28_a_server_has_two_arenas_however_many_threads_it_has",),
    ),
    Fault(
        "any-token-opens-the-console",
        "P40",
        "app/console/access.py",
        "return found[0] if found else None",
        "return found[0] if found else self._roles[-1][1]",
        ("tests/console/test_safety.py::test_p40_each_token_opens_what_it_is_for",),
    ),
    Fault(
        "a-channels-token-shows-all-channels",
        "P40",
        "app/console/access.py",
        "alone = Scope(frozenset({channel.key}), configured.names)",
        "alone = everything",
        ("tests/console/test_safety.py::test_p40_each_token_opens_what_it_is_for",),
    ),
    Fault(
        "a-right-token-waits-as-well",
        "P40",
        "app/console/login.py",
        "        if role is None:\n            keep_waiting(access)\n",
        "        keep_waiting(access)\n        if role is None:\n",
        ("tests/console/test_safety.py::test_p40_many_wrong_tries_wait_without_a_thread_and_a_right_one_never_does",),
    ),
    Fault(
        "sessions-outlive-their-token",
        "P40",
        "app/console/access.py",
        "key = hmac.new(configured.console_token.encode(), ",
        'key = hmac.new(b"fixed", ',
        ("tests/console/test_safety.py::test_p40_a_session_ends_with_its_time_its_token_and_a_changed_letter",),
    ),
    Fault(
        "a-form-from-anywhere-acts",
        "P40",
        "app/console/guard.py",
        "    if not is_own_origin(request, configured.public_url):\n",
        "    if False:\n",
        ("tests/console/test_safety.py::test_p40_a_form_is_taken_from_our_own_pages_alone",),
    ),
    Fault(
        "a-form-needs-no-token",
        "P40",
        "app/console/sessions.py",
        'return hmac.compare_digest(self.form_token.encode(), form_token.encode("utf-8", "surrogatepass"))',
        "return True",
        ("tests/console/test_safety.py::test_p40_a_form_without_this_sessions_token_changes_nothing",),
    ),
    Fault(
        "a-reader-acts",
        "P40",
        "app/console/guard.py",
        "if found is not None and not found.role.may_act and request.endpoint not in HARMLESS:",
        "if False:",
        ("tests/console/test_safety.py::test_p40_a_bearer_needs_no_form_token_and_its_role_counts",),
    ),
    Fault(
        "the-login-leads-anywhere",
        "P40",
        "app/console/guard.py",
        '"//" not in target and "\\\\" not in target and target.isprintable()',
        "True",
        ("tests/console/test_safety.py::test_p40_after_the_login_the_way_back_is_a_page_of_the_console",),
    ),
    Fault(
        "an-answer-waits-in-its-thread",
        "P46",
        "app/callbacks/loop.py",
        "        if wait_s:\n",
        "        time.sleep(wait_s)\n        if False:\n",
        ("tests/callbacks/test_worker.py::test_p46_an_answer_that_is_kept_holds_no_thread",),
    ),
    Fault(
        "pages-take-the-database-for-as-long-as-they-like",
        "P46",
        "app/records/engines.py",
        "driver.set_progress_handler(lambda: time.monotonic() > until_s, STEPS_BETWEEN_LOOKS)",
        "pass",
        (
            "tests/records/test_database.py::test_a_page_that_reads_too_long_is_broken_off_and_the_next_user_of_its_connection_is_not",
        ),
        patience_s=20.0,
    ),
    Fault(
        "many-files-are-made-at-once",
        "P40",
        "app/console/csv_rows.py",
        "    if not _EXPORTING.acquire(blocking=False):\n",
        "    if _EXPORTING.acquire(blocking=False) and False:\n",
        ("tests/console/test_pages.py::test_p40_one_file_is_made_at_a_time_and_none_is_begun_that_cannot_be_read",),
    ),
    Fault(
        "a-file-is-read-for-ever",
        "P40",
        "app/console/csv_rows.py",
        "            if time.monotonic() > until_s:\n",
        "            if False:\n",
        ("tests/console/test_pages.py::test_csv_ends_with_a_row_that_says_that_there_are_more",),
    ),
    Fault(
        "find-a-number-only-as-it-stands",
        "P38",
        "app/operations/pasted_numbers.py",
        "    return seen.strip(signs)",
        "    return seen",
        ("tests/operations/test_find.py::test_p38_a_number_is_found_with_what_was_pasted_around_it",),
    ),
    Fault(
        "a-fault-after-the-calls-were-kept-is-not-done",
        "P38",
        "app/operations/refusals.py",
        ">= 400 and not done)",
        ">= 400)",
        ("tests/operations/test_timeline.py::test_p38_not_done_is_said_of_what_is_not_done_and_of_nothing_else",),
    ),
    Fault(
        "an-unknown-outcome-is-not-done",
        "P38",
        "app/operations/refusals.py",
        " and event.code != _UNKNOWN]",
        "]",
        ("tests/operations/test_timeline.py::test_p38_not_done_is_said_of_what_is_not_done_and_of_nothing_else",),
    ),
    Fault(
        "another-credit-ends-the-refusal-of-one",
        "P38",
        "app/operations/refusals.py",
        "elif entry.name not in _OF_SEVERAL:",
        "elif True:",
        ("tests/operations/test_timeline.py::test_p38_not_done_is_said_of_what_is_not_done_and_of_nothing_else",),
    ),
    Fault(
        "an-entry-nobody-can-read-is-every-order-of-its-batch",
        "P38",
        "app/operations/timeline_entries.py",
        'return order in named if named else event.event_type != "error"',
        "return order in named if named else True",
        ("tests/operations/test_timeline.py::test_p38_not_done_is_said_of_what_is_not_done_and_of_nothing_else",),
    ),
    Fault(
        "a-number-among-words-is-our-id-of-a-call",
        "P38",
        "app/operations/find.py",
        "    if pasted_numbers.bare(query) == number:\n",
        "    if True:\n",
        ("tests/operations/test_find.py::test_p38_a_number_is_found_with_what_was_pasted_around_it",),
    ),
    Fault(
        "our-id-of-a-call-is-a-number-of-its-order",
        "P38",
        "app/cli/timelines.py",
        "[hit for hit in hits if not hit.is_our_id] or hits",
        "hits",
        (
            "tests/cli/test_find.py::"
            "test_p38_the_timeline_is_shown_by_any_number_and_its_json_has_what_is_known_of_each_moment",
        ),
    ),
    Fault(
        "an-overview-reads-what-every-channel-left-open",
        "P40",
        "app/records/attention.py",
        "of.left_open_at > since, visible(of.channel, channels))",
        "of.left_open_at > since)",
        (
            "tests/operations/test_figures.py::"
            "test_p40_what_waits_is_read_of_the_readers_channels_alone_and_a_few_are_named",
        ),
    ),
    Fault(
        "another-shipment-ends-the-refusal-of-one",
        "P38",
        "app/operations/refusals.py",
        "return all(item in taken or",
        "return all(taken or",
        (
            "tests/operations/test_timeline.py::"
            "test_p38_what_retailops_was_refused_is_how_the_order_stands_until_it_is_done",
        ),
    ),
    Fault(
        "texts-command-the-terminal",
        "P20",
        "app/terminal.py",
        "return super().render_str(with_signs(text), **how)",
        "return super().render_str(text, **how)",
        ("tests/test_terminal.py::test_p20_no_text_commands_the_terminal_or_turns_round_what_stands_there",),
    ),
    Fault(
        "csv-cells-are-formulas",
        "P40",
        "app/console/csv_rows.py",
        'return f"\'{cell}" if cell.startswith(_BEGIN_FORMULAS) else cell',
        "return cell",
        ("tests/console/test_pages.py::test_orders_come_as_csv_and_no_cell_is_a_formula",),
    ),
    Fault(
        "many-calls-are-dropped-unasked",
        "P40",
        "app/console/pages/deliveries.py",
        'if not number or request.form.get("number", "").strip() != str(number):',
        "if not number:",
        ("tests/console/test_pages.py::test_p39_many_calls_are_dropped_as_previewed_when_their_number_is_typed",),
    ),
    Fault(
        "one-form-drops-other-calls",
        "P40",
        "app/console/pages/deliveries.py",
        'if "," in expected or expected.partition(".")[0] != str(delivery_id):',
        "if False:",
        ("tests/console/test_pages.py::test_p39_an_act_without_its_reason_or_for_another_state_does_nothing",),
    ),
    Fault(
        "a-release-does-not-ask-again",
        "P40",
        "app/console/pages/refunds.py",
        'if request.form.get("sure") != "yes" and expected == found.row.shown:',
        "if False:",
        ("tests/console/test_pages.py::test_p39_a_release_names_the_sum_and_asks_again[USD-12.5-12.50 USD]",),
    ),
    Fault(
        "numbers-lose-their-slashes",
        "P35",
        "app/console/choosing.py",
        "return [unquote(part) for part in parts[-count:]]",
        'return unquote(raw.partition("?")[0]).rstrip("/").split("/")[-count:]',
        ("tests/console/test_pages.py::test_p35_an_order_has_a_page_whatever_its_number_is[a/b]",),
    ),
    Fault(
        "pages-read-for-as-long-as-they-like",
        "P40",
        "app/console/guard.py",
        "caller.read_limit_s.set(READ_LIMIT_S)",
        "pass",
        ("tests/console/test_pages.py::test_p40_a_page_that_reads_too_long_is_broken_off_and_says_so",),
        patience_s=40.0,
    ),
    Fault(
        "page-says-that-a-vendor-has-what-it-refused",
        "P40",
        "app/console/templates/parts.html",
        "{%- if vendors and not owed and not refused and not uncertain %}",
        "{%- if vendors and not owed %}",
        ("tests/console/test_pages.py::test_p40_no_page_says_that_a_vendor_has_what_it_refused",),
    ),
    Fault(
        "overview-takes-certification-for-wrong-numbers",
        "P40",
        "app/operations/overview.py",
        "for item in wrong_pairs(connection, now - timedelta(hours=HOURS)) if not item.is_of_fixtures",
        "for item in wrong_pairs(connection, now - timedelta(hours=HOURS))",
        (
            "tests/cli/test_check.py::"
            "test_r3_a_pair_nobody_has_is_told_with_its_numbers_and_certification_is_not_mistaken_for_one",
        ),
    ),
    Fault(
        "a-name-with-a-typing-error-looks-like-nothing-to-do",
        "P38",
        "app/cli/records.py",
        "if name and name not in known and name not in also and (what, name) not in said:",
        "if False:",
        ("tests/cli/test_find.py::test_p38_a_word_that_nothing_has_is_said_and_does_not_look_like_nothing_to_do",),
    ),
)


@dataclass(frozen=True)
class Verdict:
    """What a run of pytest said."""

    failed: tuple[str, ...]
    passed: int
    trouble: str
    seconds: float

    @property
    def is_red(self) -> bool:
        """A test said no; a module that cannot be imported says nothing about a promise."""
        return bool(self.failed) and not self.trouble

    @property
    def is_green(self) -> bool:
        return not self.failed and self.passed > 0 and not self.trouble


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.seeded_faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="Only these faults; without any, all.")
    names = parser.parse_args().names
    unknown = set(names) - {fault.name for fault in FAULTS}
    if unknown:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    with tempfile.TemporaryDirectory(prefix="channel-faults-") as scratch:
        copy = Path(scratch) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        for on_postgresql in sorted({fault.on_postgresql for fault in chosen}):
            meant = (fault.tests for fault in chosen if fault.on_postgresql is on_postgresql)
            tests = list(dict.fromkeys(test for listed in meant for test in listed))
            patience_s = 300.0 + 15.0 * len(tests)
            unharmed = _run(copy, tests, patience_s=patience_s, on_postgresql=on_postgresql)
            found = f"{unharmed.passed} passed, {len(unharmed.failed)} failed, {unharmed.seconds:.0f} s"
            print(f"unharmed{' on PostgreSQL' if on_postgresql else ''}: {found}", flush=True)
            if not unharmed.is_green:
                print(f"the named tests must be green first: {unharmed.trouble or ', '.join(unharmed.failed)}")
                return 1
        width = max(len(fault.name) for fault in chosen)
        missed = 0
        for fault in chosen:
            word, seconds = _try(copy, fault)
            missed += word != "red"
            print(f"{fault.name:{width}}  {fault.promise:4}  {word}  {seconds:.1f} s", flush=True)
    print("every fault was noticed" if not missed else f"{missed} of {len(chosen)} faults were not noticed")
    return 1 if missed else 0


def _try(copy: Path, fault: Fault) -> tuple[str, float]:
    file = copy / fault.file
    sound = file.read_text()
    times = sound.count(fault.old)
    if times != 1:
        return f"does not fit: its text stands {times} times in {fault.file}", 0.0
    file.write_text(sound.replace(fault.old, fault.new))
    try:
        verdict = _run(copy, fault.tests, patience_s=fault.patience_s, on_postgresql=fault.on_postgresql)
    finally:
        file.write_text(sound)
    if verdict.is_red:
        return "red", verdict.seconds
    return (f"no verdict: {verdict.trouble}" if verdict.trouble else "GREEN"), verdict.seconds


def _run(copy: Path, tests: Iterable[str], *, patience_s: float, on_postgresql: bool) -> Verdict:
    report = copy / "verdict.xml"
    report.unlink(missing_ok=True)
    options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    options += [] if on_postgresql else ["-m", "not postgresql"]
    # Bytecode of a file that was changed twice within its timestamp's second would be stale.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy), "SEED": "1"}
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=copy, env=environment, capture_output=True, text=True, timeout=patience_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Verdict(("the run had no end",), 0, "", time.monotonic() - begun)
    seconds = time.monotonic() - begun
    if done.returncode not in (0, 1) or not report.exists():
        return Verdict(
            (), 0, f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-600:].strip()}", seconds
        )
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = tuple(case.get("name", "") for case in cases if case.find("failure") is not None)
    broken = [case for case in cases if case.find("error") is not None]
    passed = [case for case in cases if not list(case)]
    trouble = f"{len(broken)} tests could not be set up or ended" if broken and not failed else ""
    return Verdict(failed, len(passed), trouble, seconds)


if __name__ == "__main__":
    sys.exit(main())
