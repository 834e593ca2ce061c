"""A stand-in of Example Shop.  Its API, below `/v1`, which is made up:

Every request has the header `X-Api-Key`; without a known one the answer is 401.  Bodies are JSON.  A refused request is
answered with a status of 400 to 499 and `{"message": text}`.

    GET  /account                     {"id", "name"}
    GET  /orders                      {"orders": [order], "next": text or null}, by time of creation, 50 a page
         ?status=open                 open, acknowledged or shipped
         &created_from=, &created_until=   RFC 3339, both included
         &after=                      `next` of the page before; "" for the first
    GET  /orders/{id}                 order
    POST /orders/{id}/acknowledge     {"reference": text} -> order
    POST /orders/{id}/shipments       shipment -> shipment; one whose `id` is known is not made again
    PUT  /stock                       [{"sku", "quantity"}] -> {"results": [{"error": code or ""}]}
    PUT  /products                    [{"sku", "title", "price", "currency", "description"}] -> likewise

    order     {"id", "status", "created_at", "currency", "ship_service", "ship_to", "lines", "shipments"}
    ship_to   {"name", "street", "city", "state", "postal_code", "country"}
    line      {"id", "sku", "quantity", "title"}
    shipment  {"id", "carrier", "service", "tracking_number", "shipped_at", "lines": [{"line_id", "quantity"}]}

Quantities are absolute.  Stock of a SKU that is no product is refused with the code `unknown_sku`.
"""

from __future__ import annotations

from app.sandbox.vendors.example_shop.app import (
    ACCOUNT_ID,
    API_KEY,
    BASE_PATH,
    VENDOR,
    State,
    serve_example_shop,
)

__all__ = ["ACCOUNT_ID", "API_KEY", "BASE_PATH", "VENDOR", "State", "serve_example_shop"]
