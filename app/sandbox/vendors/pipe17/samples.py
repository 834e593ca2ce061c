"""The goods, people and settings of the sandbox's organisation; all of them invented."""

from __future__ import annotations

from typing import Any

from app.sandbox.bodies import Json

DALLAS, RENO, FOREIGN = "Dallas DC", "Reno DC", "Rotterdam DC"
METRE_SKU = "CABLE-PER-METRE"
BUNDLE_SKU = "SET-BREAKFAST"

PRODUCTS: tuple[tuple[str, str, str, int], ...] = (
    ("MUG-RED", "Mug, red", "9.50", 320),
    ("MUG-BLUE", "Mug, blue", "9.50", 320),
    ("PLATE-S", "Plate, small", "7", 410),
    ("PLATE-L", "Plate, large", "11.25", 690),
    ("BOWL", "Bowl", "8.75", 380),
    ("TEAPOT", "Teapot", "34", 950),
    ("KETTLE", "Kettle", "49.90", 1400),
    ("SPOON", "Spoon", "2.10", 45),
    ("FORK", "Fork", "2.10", 45),
    ("KNIFE", "Knife", "3.40", 60),
    ("TRAY", "Tray", "18", 800),
    ("TOWEL", "Tea towel", "6.60", 110),
    ("APRON", "Apron", "22", 240),
    ("JAR-1L", "Jar, one litre", "5.20", 500),
    ("TIN-TEA", "Tea tin", "4.80", 130),
    ("TEA-GREEN", "Green tea 緑茶", "12", 100),
    ("TEA-BLACK", "Black tea", "10", 100),
    ("HONEY", "Honig", "7.95", 500),
    ("JAM", "Confiture d’abricots", "5.45", 370),
    ("CANDLE", "Candle 🕯️", "13.30", 280),
    ("LAMP", "Lamp", "79", 1900),
    ("BULB", "Bulb", "6", 60),
    ("PLUG-UK", "Plug, UK", "4", 70),
    (METRE_SKU, "Cable per metre", "1.75", 90),
    (BUNDLE_SKU, "Breakfast set", "21.50", 1120),
)
BUNDLE: tuple[Json, ...] = (
    {"sku": "MUG-RED", "quantity": 2},
    {"sku": "PLATE-S", "quantity": 2},
    {"sku": "SPOON", "quantity": 2},
)
SETTINGS: tuple[tuple[str, str, Any], ...] = (
    ("enabled_flows.orders", "boolean", True),
    ("enabled_flows.inventory", "boolean", True),
    ("enabled_flows.catalog", "boolean", True),
    ("enabled_flows.returns", "boolean", True),
    ("location_filter", "string", ""),
    ("sku_mapping", "string", ""),
    ("inventory.mode", "string", "snapshot"),
    ("shipping_method_map", "string", "{}"),
    ("shipping_method_default", "string", ""),
    ("cancel_status", "string", "canceledRestock"),
    ("catalog.create_products", "boolean", False),
    ("returns.create", "boolean", False),
    ("poll_overlap_minutes", "number", 10),
)
TICKS: tuple[tuple[str, str], ...] = (
    ("shipments", "in"),
    ("fulfillments", "out"),
    ("inventory", "out"),
    ("products", "both"),
    ("locations", "both"),
    ("returns", "both"),
    ("receipts", "out"),
)
"""The In/Out ticks of our integration, seen from its own side."""

MAPPING: Json = {
    "description": "Shipping requests to RetailOps",
    "originId": "baseline",
    "mappings": [
        {"enabled": True, "source": "giftNote", "target": "gift_message", "type": "string"},
        {"enabled": False, "source": "tags", "target": "tags", "type": "array"},
    ],
}
AUSTIN: Json = {
    "firstName": "Dana", "lastName": "Example", "company": "", "address1": "100 Sample Street",
    "address2": "Unit 4", "city": "Austin", "stateOrProvince": "TX", "zipCodeOrPostalCode": "78701",
    "country": "US", "email": "dana@example.com", "phone": "+1 512 555 0100",
}  # fmt: skip
ZURICH: Json = {
    "firstName": "Jürg", "lastName": "Müßiggang-Ångström", "address1": "Bahnhofstraße 7b", "city": "Zürich",
    "zipCodeOrPostalCode": "8001", "country": "CH", "email": "juerg@example.org", "phone": "+41 44 555 01 00",
}  # fmt: skip
LONDON: Json = {
    "firstName": "Zoë", "lastName": "O’Example", "address1": "Flat 2, 9 Sample Mews", "city": "London",
    "zipCodeOrPostalCode": "N1 9GU", "country": "GB", "email": "zoe@example.net", "phone": "020 7946 0000",
}  # fmt: skip
OSAKA: Json = {
    "firstName": "花子", "lastName": "見本", "address1": "北区見本町1-2-3", "city": "大阪市",
    "stateOrProvince": "大阪府", "zipCodeOrPostalCode": "530-0001", "country": "JP",
}  # fmt: skip
MALMO: Json = {
    "firstName": "Åsa", "lastName": "Exempel", "address1": "Provgatan 5", "city": "Malmö",
    "zipCodeOrPostalCode": "211 20", "country": "SE", "email": "asa@example.com", "phone": "+46 40 555 01 00",
}  # fmt: skip
LONG_TEXT = "Please ring twice and leave the parcel with the neighbour. " * 40
