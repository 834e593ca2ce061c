"""What the tests of the contract share: the contract itself, and the files that are its examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.contract.schemas import Contract, load_contract
from tests import ROOT, UPSTREAM


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load_contract()


@pytest.fixture(scope="session")
def fixtures() -> dict[str, Any]:
    """Every body that must be accepted, by file name."""
    return _bodies(ROOT / "verifier_fixtures")


@pytest.fixture(scope="session")
def refused() -> dict[str, Any]:
    """Every body that must be refused, with what is expected, by file name."""
    return _bodies(ROOT / "verifier_fixtures" / "refused")


@pytest.fixture(scope="session")
def ignored() -> dict[str, Any]:
    """Every body of which one field is ignored, with what is expected, by file name."""
    return _bodies(ROOT / "verifier_fixtures" / "ignored")


@pytest.fixture(scope="session")
def answers() -> dict[str, Any]:
    """One good answer for each callback, by callback."""
    return {name.removesuffix(".json"): body for name, body in _bodies(Path(__file__).parent / "answers").items()}


@pytest.fixture(scope="session")
def upstream() -> Path:
    """The published schemas, where they lie beside the project; only for comparison."""
    if not UPSTREAM.is_dir():
        pytest.skip("the published schemas are not here")
    return UPSTREAM


def _bodies(folder: Path) -> dict[str, Any]:
    return {file.name: msgspec.json.decode(file.read_bytes()) for file in sorted(folder.glob("*.json"))}
