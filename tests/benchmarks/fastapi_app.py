"""A peer that does the work of an `inventory_push` in FastAPI and pydantic: key, validation, levels by SKU.

Its models are what its documentation recommends for such a body; the answer is declared, so that pydantic writes it.
Neither journal nor metrics nor a time budget costs it anything.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

KEY = b"RETAILOPS_SDK"

Name = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*$")]
Sku = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*[^\x00 \t\r\n][^\x00]*$")]
Units = Annotated[int, Field(ge=-999_999_999_999_999, le=999_999_999_999_999)]


class Model(BaseModel):
    """Numbers in texts and texts in numbers are read, as the contract has it."""

    model_config = ConfigDict(coerce_numbers_to_str=True)


class Source(Model):
    quantity_type: Annotated[str | None, Field(pattern="^(internal|external|inflight)?$")] = None
    estimated_availability_date: str | None = None
    available_quantity: Units | None = None
    total_quantity: Units | None = None
    vendor_name: Name | None = None
    po: Name | None = None
    po_destination: str | None = None
    facility_name: Name | None = None


class Level(Model):
    sku: Sku
    quantity_available: Units | None = None
    quantity_detail: list[Source] | None = None


class ChannelInfo(Model):
    id: int | None = None


class Push(Model):
    integration_auth_token: str
    client_id: int
    channel_info: ChannelInfo
    inventory_updates: list[Level] | None = None


class Answer(BaseModel):
    events: list[dict[str, Any]]


app = FastAPI()
PLACE = {"external": "vendor_name", "inflight": "po"}


@app.post("/api/channel/inventory_push_v1")
async def inventory_push(push: Push) -> Answer:
    if not hmac.compare_digest(push.integration_auth_token.encode(), KEY):
        raise HTTPException(401)
    levels = {level.sku: orjson.dumps(_level(level)) for level in push.inventory_updates or ()}
    assert levels
    return Answer(events=[])


def _level(level: Level) -> tuple[int, list[tuple[str, str, int, int]]]:
    details = []
    for source in level.quantity_detail or ():
        kind, available = source.quantity_type or "", source.available_quantity or 0
        place = getattr(source, PLACE.get(kind, "facility_name")) or ""
        total = available if source.total_quantity is None else source.total_quantity
        details.append((kind, place.strip(), available, total))
    return level.quantity_available or 0, details
