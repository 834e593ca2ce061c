"""Fills the Pipe17 sandbox with an organisation whose shipping requests hold what a channel must survive."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from app.sandbox.bodies import Json
from app.sandbox.vendors.pipe17 import fulfilments, stock
from app.sandbox.vendors.pipe17.samples import (
    AUSTIN,
    BUNDLE,
    BUNDLE_SKU,
    DALLAS,
    FOREIGN,
    LONDON,
    LONG_TEXT,
    MALMO,
    MAPPING,
    METRE_SKU,
    OSAKA,
    PRODUCTS,
    RENO,
    SETTINGS,
    TICKS,
    ZURICH,
)
from app.sandbox.vendors.pipe17.state import (
    FOREIGN_INTEGRATION_ID,
    INTEGRATION_ID,
    SELLING_INTEGRATION_ID,
    ApiKey,
    State,
)

_SEEDER = ApiKey("", None, {})


def seed(state: State, shipments: int = 12, rng_seed: int = 17) -> None:
    """Starts over with a fresh organisation; the same arguments give the same ids and contents.

    `shipments` requests stand in the queue (`readyForFulfillment` at a location of ours), the odd ones first;
    beside them, when there are any, stand four that must stay out of it: one already sent, one cancelled, one
    on hold, one at a location of another fulfilment integration.
    """
    state.clear(rng_seed=rng_seed)
    _add_integrations(state)
    _add_locations(state)
    _add_products(state)
    odd = _odd_requests(state)
    for place in range(min(shipments, len(odd))):
        odd[place](timedelta(minutes=place - shipments))
    for place in range(len(odd), shipments):
        _plain_request(state, timedelta(minutes=place - shipments))
    if shipments:
        _add_requests_outside_the_queue(state)


def add_shipments(state: State, count: int) -> list[Json]:
    """So many further, ordinary shipping requests, ready now."""
    return [_plain_request(state, timedelta()) for _ in range(count)]


def _add_integrations(state: State) -> None:
    named = (
        (INTEGRATION_ID, "RetailOps"),
        (SELLING_INTEGRATION_ID, "Web Shop"),
        (FOREIGN_INTEGRATION_ID, "Other 3PL"),
    )
    for integration_id, name in named:
        ours = integration_id == INTEGRATION_ID
        fields = [{"path": path, "type": kind, "secret": False, "value": value} for path, kind, value in SETTINGS]
        entities = [{"name": name, "direction": way} for name, way in TICKS]
        state.add(
            "integrations",
            {
                "integrationName": name,
                "connectorId": state.new_id("connectors"),
                "connectorName": name,
                "version": "1.0.0",
                "status": "connected",
                "errorText": "",
                "environment": "sandbox",
                "settings": {"fields": fields if ours else []},
                "connection": {"fields": []},
                "entities": entities if ours else [],
            },
            integration=None,
            object_id=integration_id,
        )
    own = state.tables["integrations"][INTEGRATION_ID]
    mapping = state.add("mappings", {"mappingId": state.new_id("mapping"), **MAPPING}, integration=INTEGRATION_ID)
    own["entities"][0]["mappingUuid"] = mapping["uuid"]


def _add_locations(state: State) -> None:
    places = (
        (
            DALLAS,
            INTEGRATION_ID,
            {
                "address1": "1 Dock Road",
                "city": "Dallas",
                "stateOrProvince": "TX",
                "zipCodeOrPostalCode": "75201",
                "country": "US",
            },
        ),
        (
            RENO,
            INTEGRATION_ID,
            {
                "address1": "2 Dock Road",
                "city": "Reno",
                "stateOrProvince": "NV",
                "zipCodeOrPostalCode": "89501",
                "country": "US",
            },
        ),
        (
            FOREIGN,
            FOREIGN_INTEGRATION_ID,
            {"address1": "Kade 3", "city": "Rotterdam", "zipCodeOrPostalCode": "3011", "country": "NL"},
        ),
    )
    for place, (name, owner, address) in enumerate(places, start=1):
        link = {"integrationId": owner, "locationValue": f"WH-{place}"}
        fields = {"name": name, "address": address, "status": "active", "fulfillmentIntegrationId": owner}
        state.add("locations", {**fields, "externalSystem": [link]}, integration=None)


def _add_products(state: State) -> None:
    """A third is owned by the shop, a third by nobody (made by a user), a third by us; most are published."""
    for place, (sku, name, price, grams) in enumerate(PRODUCTS):
        published: Json = {
            "integrationId": INTEGRATION_ID,
            "status": ("published", "tobepublished", "published", "tobeunpublished")[place % 4],
            "updatedAt": state.stamp(),
            "updatedBy": "user",
        }
        if published["status"] == "published":
            published["extProductId"] = f"RO-{1000 + place}"
        if sku == "MUG-BLUE":
            published |= {"sku": "RO-MUG-BLUE", "bufferInventory": 5}
        if sku == "PLUG-UK":
            published["inventoryNotTracked"] = True
        fields: Json = {
            "sku": sku,
            "name": name,
            "status": "active",
            "types": ["simple"],
            "weight": grams,
            "weightUnit": "g",
            "upc": f"4{place:011d}",
            "taxable": True,
            "countryOfOrigin": "US",
            "vendor": "Sample Goods",
            "prices": [{"name": "base", "value": Decimal(price), "currency": "USD"}],
            "published": [] if sku == "BULB" else [published],
        }
        if sku == BUNDLE_SKU:
            fields |= {"types": ["bundle"], "bundleItems": [dict(item) for item in BUNDLE]}
        if sku == METRE_SKU:
            fields["inventoryNotTracked"] = True
        state.add("products", fields, integration=(SELLING_INTEGRATION_ID, None, INTEGRATION_ID)[place % 3])
    rng = random.Random(f"stock:{state.rng_seed}")
    for sku, *_ in PRODUCTS:
        if sku in (METRE_SKU, BUNDLE_SKU):
            continue
        for location_id in state.tables["locations"]:
            body = {"event": "adjust", "sku": sku, "locationId": location_id, "onHand": rng.randint(40, 200)}
            stock.report(state, _SEEDER, body)


def _location_id(state: State, name: str) -> str:
    return next(key for key, location in state.tables["locations"].items() if location["name"] == name)


def _line(number: int, sku: str, quantity: int | Decimal, **more: Any) -> Json:
    name = next(row[1] for row in PRODUCTS if row[0] == sku)
    return {"uniqueId": str(number), "sku": sku, "name": name, "quantity": quantity, **more}


def _request(
    state: State,
    lines: Iterable[Json],
    address: Json,
    shift: timedelta,
    *,
    location: str = DALLAS,
    order_id: str | None = None,
    status: str = "readyForFulfillment",
    **more: Any,
) -> Json:
    """One shipping request and, unless it belongs to a given order or is a transfer, the order behind it."""
    kept = list(lines)
    created_at = state.stamp(shift=shift)
    if order_id is None and more.get("orderType") != "transfer":
        order_id = _order(state, kept, address, created_at, more)["orderId"]
    order = state.tables["orders"].get(order_id or "", {})
    transfer = f"TO-{state.next_number('transfer')}" if not order else ""
    shipment = fulfilments.open_shipment(
        state,
        {
            "extOrderId": order.get("extOrderId", transfer),
            **({"orderId": order["orderId"], "extOrderApiId": order["extOrderApiId"]} if order else {}),
            "locationId": _location_id(state, location),
            "orderSource": "Web Shop",
            "orderSourceType": "online",
            "orderType": "sales",
            "lineItems": kept,
            "shippingAddress": dict(address),
            "tags": [],
            **more,
        },
        status=status,
        creator=SELLING_INTEGRATION_ID,
        created_at=created_at,
    )
    fulfilments.recompute_order(state, shipment.get("orderId", ""))
    return shipment


def _order(state: State, lines: list[Json], address: Json, created_at: str, more: Json) -> Json:
    number = 17000 + state.next_number("order")
    prices = {sku: Decimal(price) for sku, _, price, _ in PRODUCTS}
    sold = [
        {
            "uniqueId": line["uniqueId"],
            "sku": line["sku"],
            "name": line["name"],
            "quantity": line["quantity"],
            "itemPrice": prices[line["sku"]],
            "itemDiscount": 0,
            "itemTax": 0,
            "requiresShipping": True,
        }
        for line in lines
    ]
    total = sum((line["itemPrice"] * line["quantity"] for line in sold), Decimal(0))
    fields: Json = {
        "extOrderId": f"#{number}",
        "extOrderApiId": str(5_000_000_000_000 + number),
        "extOrderCreatedAt": created_at,
        "status": "readyForFulfillment",
        "routingStatus": "acknowledged",
        "orderSource": "Web Shop",
        "orderSourceType": "online",
        "currency": more.get("currency", "USD"),
        "lineItems": sold,
        "subTotalPrice": total,
        "totalPrice": total,
        "shippingAddress": dict(address),
        "paymentStatus": "paid",
        "tags": [],
    }
    return state.add("orders", fields, integration=SELLING_INTEGRATION_ID, created_at=created_at)


def _plain_request(state: State, shift: timedelta) -> Json:
    number = state.next_number("plain")
    rng = random.Random(f"plain:{state.rng_seed}:{number}")
    skus = rng.sample([sku for sku, *_ in PRODUCTS if sku not in (METRE_SKU, BUNDLE_SKU)], rng.randint(1, 3))
    lines = [_line(place, sku, rng.randint(1, 3)) for place, sku in enumerate(skus, start=1)]
    location = rng.choice((DALLAS, RENO))
    method = rng.choice(({"shippingCode": "GROUND"}, {"shippingCarrier": "UPS", "shippingClass": "Ground"}))
    address = {**AUSTIN, "address2": f"Unit {number}", "email": f"buyer{number}@example.com"}
    return _request(state, lines, address, shift, location=location, currency="USD", shippingPrice=5, **method)


def _odd_requests(state: State) -> list[Callable[[timedelta], object]]:
    """The queue's first requests, each with its own oddity; the order and its split make two."""
    split: list[str] = []

    def day(days: int) -> str:
        return state.stamp(shift=timedelta(days=days))

    def bundle(shift: timedelta) -> object:
        parts = [
            _line(place, item["sku"], item["quantity"], bundleSKU=BUNDLE_SKU, bundleQuantity=1)
            for place, item in enumerate(BUNDLE, start=1)
        ]
        note = "Alles Gute! 🎁🎉 – für dich ❤️"
        return _request(state, parts, LONDON, shift, currency="GBP", shippingCode="RM24", giftNote=note)

    def privacy(shift: timedelta) -> object:
        blank = {**AUSTIN, "firstName": "", "lastName": "", "email": "", "phone": ""}
        dates = {
            "expectedDeliveryDate": day(6),
            "shipByDate": day(2),
            "shipAfterDate": day(0),
            "shipCancelByDate": day(9),
        }
        policy = [{"type": "blankContacts", "fields": ["firstName", "lastName", "email", "phone"]}]
        return _request(
            state,
            [_line(1, "LAMP", 1)],
            blank,
            shift,
            currency="USD",
            shippingCarrier="FedEx",
            shippingClass="2Day",
            privacyPolicy=policy,
            shippingNote=LONG_TEXT,
            **dates,
        )

    def split_first(shift: timedelta) -> object:
        made = _request(state, [_line(1, "TEAPOT", 1)], AUSTIN, shift, currency="USD", shippingCode="GROUND")
        split.append(made["orderId"])
        return made

    def split_second(shift: timedelta) -> object:
        lines = [_line(2, "KETTLE", 2)]
        return _request(
            state,
            lines,
            AUSTIN,
            shift,
            location=RENO,
            order_id=split[0],
            currency="USD",
            shippingCode="GROUND",
        )

    return [
        lambda shift: _request(
            state,
            [_line(1, "MUG-RED", 1)],
            AUSTIN,
            shift,
            currency="USD",
            shippingCarrier="UPS",
            shippingClass="Ground",
            shippingPrice=Decimal("5.95"),
        ),
        lambda shift: _request(
            state,
            [_line(1, "MUG-BLUE", 2), _line(2, "HONEY", 1), _line(3, "JAM", 4)],
            ZURICH,
            shift,
            location=RENO,
            currency="EUR",
            shippingCode="POST-PRIORITY",
            shippingNote="Bitte nicht stürzen – zerbrechlich!",
        ),
        bundle,
        lambda shift: _request(state, [_line(1, "TEA-GREEN", 3)], OSAKA, shift, currency="JPY"),
        privacy,
        split_first,
        split_second,
        lambda shift: _request(
            state,
            [_line(1, "TOWEL", 10), _line(2, "APRON", 5)],
            state.tables["locations"][_location_id(state, RENO)]["address"],
            shift,
            orderType="transfer",
        ),
        lambda shift: _request(
            state,
            [_line(1, METRE_SKU, Decimal("2.5"))],
            AUSTIN,
            shift,
            currency="USD",
            shippingCode="GROUND",
        ),
        lambda shift: _request(state, [_line(1, "CANDLE", 2)], MALMO, shift, currency="SEK", shippingCode="POSTNORD"),
        lambda shift: _request(
            state,
            [_line(1, "BOWL", 1)],
            {k: v for k, v in AUSTIN.items() if k != "country"},
            shift,
            currency="USD",
            shippingCode="GROUND",
        ),
    ]


def _add_requests_outside_the_queue(state: State) -> None:
    shift = timedelta(hours=-30)
    _request(
        state,
        [_line(1, "TRAY", 1)],
        AUSTIN,
        shift,
        status="sentToFulfillment",
        currency="USD",
        shippingCode="GROUND",
        extReferenceId="900001",
    )
    cancelled = _request(state, [_line(1, "JAR-1L", 2)], AUSTIN, shift, currency="USD", shippingCode="GROUND")
    fulfilments.cancel_shipment(state, cancelled, "canceledRestock", None)
    _request(
        state,
        [_line(1, "BULB", 6)],
        AUSTIN,
        shift,
        status="onHold",
        currency="USD",
        shippingCode="GROUND",
        holdUntil=state.stamp(shift=timedelta(days=3)),
    )
    _request(state, [_line(1, "KNIFE", 4)], ZURICH, shift, location=FOREIGN, currency="EUR", shippingCode="POST")
