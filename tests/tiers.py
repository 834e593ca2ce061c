"""Which tests are slow, and in what order the files run."""

from __future__ import annotations

from pathlib import Path

from tests import ROOT

SLOW = (
    "callbacks/test_large_bodies.py",
    "callbacks/test_openapi_fuzz.py",
    "callbacks/test_routes.py::test_p15_a_large_callback_at_an_ill_vendor",
    "callbacks/test_routes.py::test_p5_twenty_thousand_mutated_bodies_never_make_a_5xx",
    "callbacks/test_served.py",
    "callbacks/test_worker.py",
    "channel/test_known_outcomes.py",
    "channel/test_lane_waiting.py",
    "channel/test_late_events.py",
    "channel/test_order_histories.py",
    "channel/test_refunds.py",
    "channel/test_reservations.py",
    "channel/test_shops_that_change.py",
    "channel/test_texts_and_entries.py::test_p34_a_key_of_any_length",
    "cli/test_cli.py",
    "cli/test_db.py",
    "cli/test_delivery_actions.py",
    "cli/test_env_file.py",
    "cli/test_new_gateway.py",
    "cli/test_sandbox.py",
    "cli/test_serve.py",
    "cli/test_server_process.py",
    "cli/test_work.py",
    "cli/verify/",
    "console/test_browser.py",
    "console/test_pages.py::test_p40_every_link_leads",
    "contract/test_openapi.py",
    "docs/test_browser.py",
    "docs/test_start_pages.py",
    "domain/test_json_bodies.py::test_p34_a_hostile_body",
    "domain/test_json_bodies.py::test_p34_what_lies_across_windows",
    "gateways/",
    "operations/test_erasure.py",
    "operations/test_reconcile.py",
    "records/test_rates.py",
    "records/test_trouble.py",
    "sandbox/vendors/rally/test_shop.py",
    "storefront/test_addresses.py::test_the_formats_are_not_read_at_start",
    "system/",
    "test_house.py",
    "transport/test_client.py",
    "transport/test_limits.py",
    "transport/test_rates.py",
)
"""What starts processes or a browser, walks every vendor, or takes seconds to wait; so are all tests of PostgreSQL."""


LONGEST = (
    "system/test_install.py", "system/test_chaos.py", "system/test_postgres.py", "docs/test_start_pages.py",
    "system/test_rolling.py", "cli/test_new_gateway.py", "console/test_browser.py", "callbacks/test_routes.py",
    "channel/test_order_life.py", "records/test_trouble.py", "system/test_memory.py", "channel/test_refunds.py",
    "system/test_scenarios.py", "system/test_vendor_illness.py", "system/test_kill.py",
    "system/test_stopped_and_wrong.py", "sandbox/vendors/rally/test_shop.py", "gateways/test_conformance.py",
    "channel/test_order_memory.py", "docs/test_browser.py", "system/test_pause.py", "cli/test_serve.py",
    "gateways/vendors/rally/test_money.py", "transport/test_client.py", "gateways/vendors/rally/test_gateway.py",
    "records/test_connections.py", "transport/test_rates.py", "gateways/vendors/retailrocket/test_gateway.py",
    "console/test_pages.py", "cli/test_delivery_actions.py", "operations/test_reconcile.py",
    "channel/test_texts_and_entries.py", "records/test_rates.py", "gateways/vendors/rally/test_edges.py",
    "channel/test_reservations.py", "gateways/vendors/rally/test_facts.py",
    "gateways/vendors/rally/test_completions.py", "callbacks/test_worker.py", "gateways/vendors/pipe17/test_ids.py",
    "callbacks/test_openapi_fuzz.py", "channel/test_late_events.py", "cli/test_sandbox.py",
    "gateways/vendors/rally/test_rate.py", "channel/test_known_outcomes.py", "domain/test_json_bodies.py",
    "gateways/vendors/pipe17/test_restated.py", "test_house.py", "channel/test_shops_that_change.py",
    "transport/test_limits.py", "system/test_connections.py", "test_walks.py",
)  # fmt: skip
"""Files that take long, the longest first, those that mostly wait between those that work; xdist keeps this order
(pyproject.toml)."""


def is_left_out(path: Path, marks: str) -> bool:
    """Whether a file or folder of tests need not be read: it is slow as a whole, and pytest's `-m` is "not slow"."""
    if marks != "not slow" or not path.is_relative_to(ROOT / "tests"):
        return False
    place = path.relative_to(ROOT / "tests").as_posix() + ("/" if path.is_dir() else "")
    return any(place.startswith(slow) for slow in SLOW if "::" not in slow)


def turn(place: str) -> int:
    """When a file runs, by its place under tests/: the longest first, then the other tests of the whole system."""
    return LONGEST.index(place) if place in LONGEST else len(LONGEST) + (not place.startswith("system/"))
