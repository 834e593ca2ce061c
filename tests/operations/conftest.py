"""A channel served beside Pipe17's people."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.sandbox.vendors.pipe17 import INTEGRATION_ID, INTEGRATION_KEY
from tests.channels import channel_table
from tests.command_line import CommandLine
from tests.operations.reconcile_shop import Shop
from tests.retailops import Caller
from tests.sandboxes import Sandbox


@pytest.fixture
def shop(
    monkeypatch: pytest.MonkeyPatch,
    build_app: Callable[..., Flask],
    contract: Contract,
    pipe17: Sandbox,
    database_url: str,
) -> Shop:
    more = f'integration_id = "{INTEGRATION_ID}"\nintegration_refresh_s = 0.2'
    table = channel_table(pipe17.url, api_key=INTEGRATION_KEY, more=more)
    return Shop(Caller(build_app(table), contract), pipe17, CommandLine(monkeypatch, database_url, table))
