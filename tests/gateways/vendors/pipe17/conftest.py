"""What several test modules of Pipe17's gateway begin with."""

from __future__ import annotations

import pytest

from app.records.database import Database
from tests.gateways.vendors.pipe17.merchant import Merchant
from tests.sandboxes import Sandbox


@pytest.fixture
def merchant(empty: Sandbox, database: Database) -> Merchant:
    return Merchant(empty, database)
