"""What several test modules of Pipe17's gateway begin with."""

from __future__ import annotations

import pytest

from app.records.database import Database
from tests.conftest import Sandbox
from tests.gateways.vendors.pipe17.merchant import Merchant


@pytest.fixture
def merchant(empty: Sandbox, database: Database) -> Merchant:
    return Merchant(empty, database)
