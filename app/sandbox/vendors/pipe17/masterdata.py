"""Products, locations, webhooks and receipts, where they are more than kept (contract 2.2, 2.3, 2.8, 2.9)."""

from __future__ import annotations

from urllib.parse import urlsplit

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.pipe17.state import ApiKey, State

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def create_product(state: State, caller: ApiKey, body: Json) -> Json:
    if body["sku"] in state.products_by_sku:
        raise Failure(409, "sku exists already")
    _refuse_mapped_product(caller, body)
    mapped = body.get("mappedProduct")
    fields = {name: value for name, value in body.items() if name != "mappedProduct"}
    product = state.add("products", fields, integration=caller.integration)
    if mapped is not None:
        product["published"] = _published(state, caller, product, mapped)
    return product


def update_product(state: State, caller: ApiKey, product: Json, body: Json) -> Json:
    """Every integration may write `mappedProduct`; anything else only the owner, or all if there is none."""
    _refuse_mapped_product(caller, body)
    changes = {name: value for name, value in body.items() if name != "mappedProduct"}
    owner = product.get("integration")
    if changes and caller.integration is not None and owner not in (None, caller.integration):
        raise Failure(409, "the product is owned by another integration; only mappedProduct may be written")
    if changes.get("sku", product["sku"]) != product["sku"] and changes["sku"] in state.products_by_sku:
        raise Failure(409, "sku exists already")
    if "mappedProduct" in body:
        changes["published"] = _published(state, caller, product, body["mappedProduct"])
    return state.change("products", product, changes)


def _refuse_mapped_product(caller: ApiKey, body: Json) -> None:
    if "mappedProduct" not in body:
        return
    if caller.integration is None:
        raise Failure(400, "mappedProduct can be written by integrations only")
    if body["mappedProduct"].get("integrationId", caller.integration) != caller.integration:
        raise Failure(400, "mappedProduct.integrationId is not this integration")


def _published(state: State, caller: ApiKey, product: Json, mapped: Json) -> list[Json]:
    changed = {"integrationId": caller.integration, "updatedAt": state.stamp(), "updatedBy": caller.integration}
    return merged(product["published"], "integrationId", {**mapped, **changed})


def merged(rows: list[Json], key: str, row: Json, new: Json | None = None) -> list[Json]:
    """The rows with `row` merged into the one of the same key; where there is none it is added, with `new` below."""
    if all(other[key] != row[key] for other in rows):
        return [*rows, {**(new or {}), **row}]
    return [{**other, **row} if other[key] == row[key] else other for other in rows]


def refuse_location(state: State, body: Json) -> None:
    """Raises `Failure` 400 for an integration that is not there."""
    if body.get("fulfillmentIntegrationId", "") not in ("", *state.tables["integrations"]):
        raise Failure(400, "fulfillmentIntegrationId is unknown")


def refuse_webhook(state: State, body: Json) -> None:
    """Raises `Failure` 400 for one that nobody may be sent, or with a key or topic that is not there."""
    address = urlsplit(body.get("url", "http://localhost"))
    if address.scheme not in ("http", "https") or address.hostname not in _LOOPBACK:
        raise Failure(400, "url must be http on loopback: a sandbox calls nobody else")
    if "apikey" in body and body["apikey"] not in state.keys:
        raise Failure(400, "apikey is unknown")
    if not state.tables.keys() >= set(body.get("topics", [])):
        raise Failure(400, "topics holds an unknown topic")


def create_receipt(state: State, caller: ApiKey, body: Json) -> Json:
    """A receipt for a return says that its goods are here; the event `receive` belongs to arrivals, which the
    sandbox does not have."""
    receipt = state.add("receipts", body, integration=caller.integration)
    returned = state.tables["returns"].get(body.get("returnId", ""))
    if returned is not None:
        state.change("returns", returned, {"status": "received"})
    return receipt
