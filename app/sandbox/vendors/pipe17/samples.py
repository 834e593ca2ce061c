"""The organisation of the sandbox, read from `samples.json`: keys, goods, places and people, all of them invented."""

from __future__ import annotations

from app.sandbox.bodies import Json, decode
from app.sandbox.vendors.pipe17.entities import FOLDER

SAMPLES: Json = decode((FOLDER / "samples.json").read_bytes())

INTEGRATION_ID, SELLING_INTEGRATION_ID, FOREIGN_INTEGRATION_ID = (
    str(row["integrationId"]) for row in SAMPLES["integrations"]
)
INTEGRATION_KEY, LEGACY_KEY, SELLING_KEY = (str(row["key"]) for row in SAMPLES["keys"])
"""Public values: they open nothing but a sandbox on loopback."""
DALLAS, RENO, FOREIGN = (str(row["name"]) for row in SAMPLES["locations"])
