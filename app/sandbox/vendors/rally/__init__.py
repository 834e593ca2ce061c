"""A stand-in of Rally that speaks real HTTP, so that a shopper's way can be shown without any account.

Rally's own routes (what a connector calls; contract 2)
-------------------------------------------------------
All below `/connector-api/v1`, with `X-API-KEY` and `X-HMAC-SHA256`; the signature is over the raw body of
any verb, over the query as PHP-JSON when there is no body, else over nothing.

    GET    hooks                 200 {"data": [{id, app_id, type, url, method, created_at}]}
    POST   hooks                 200 {"data": {the hook}}; never an upsert: the newest of a topic is called
    DELETE hooks/{id}            200 {"data": {the hook}} (setting `delete_status` 204: no body), unknown id 404
    POST   webhooks/{order-create, order-status-update, order-update, order-refund-create, product-update,
           product-delete, product-inventory-update, category-update, category-delete, shop-info-update}
                                 202 {"data": {"received": true}}
    401 {"message"} key or signature; 404 {"message"} unknown path, hook or order; 405 {"message"};
    415 {"message"} body that is not announced as JSON; 422 {"message", "errors": {field: [why]}} missing or
    wrong field; 429 with Retry-After.  Field paths are dotted: `refunds.0.type`.
    Unknown fields, an unknown product's stock, a delete of what is not there, a status that goes back, refund
    rows that do not add up, and a repeated refund id with other contents are accepted with a warning.
    Refund: 422 when all refunds together exceed the charged total; a repeated `external_id` of an order is
    a no-op (202).

`POST /api/v1/checkout/auth` (no signature) `{client_id, cart_id?, cart_currency?, cart?, line_items?,
checkout_session_id?}` answers `{url, checkout_session_id}`; unknown client 401; neither cart nor lines 422.
`line_items` are as the button sends them, `[{title, product_id, variants: [{variant_id, quantity, price}]}]`; a
checkout from such a session names each variant in `cart/create`.
`GET /checkout/{checkout_session_id}` is the page that `url` names: what Rally would host.  Address, shipping, coupon
and payment go to the connector's hooks; a paid session leads to the shop's page of the order.

The merchant's shop (for people)
--------------------------------
    GET    /shop/{org}/                       what Rally knows of the catalogue, with stock
    GET    /shop/{org}/cart                   the basket (a cookie).  With the merchant's `storefront_key` the connector
                                              makes a cart, as the shop's own server would; else the page names
                                              bare line items.  `cart_button` of the merchant, the snippet that
                                              `channel rally cart-button` prints, is pasted into this page
    POST   /shop/{org}/checkout               what the button does, without any script
    GET    /shop/{org}/orders[/{order id}]    status, tracking and refunds, as the connector has sent them

Control API (no key; never hit by faults)
-----------------------------------------
    GET    /sandbox/                          the page for people; JSON for programs, as /sandbox/state
    GET    /sandbox/state                     {"settings", "faults", "merchants": {org: merchant view}}
    GET|PUT /sandbox/settings                 {"rate_per_s": 0, "hook_patience_s": 5, "delete_status": 200}
    GET|POST|DELETE /sandbox/faults           POST a rule of app.sandbox.faults (kind, times, match{method,
                                              path_prefix}, code, retry_after, delay_s, location, works) and
                                              optionally "merchant": org.  Without path_prefix: the whole
                                              Connector API.  Answer {"faults": [rules standing]}
    POST   /sandbox/reset                     the seeded merchants again, everything else forgotten
    GET    /sandbox/merchants                 {"merchants": [{organization_id, name, client_id, api_keys,
                                              hmac_secret}]}
    POST   /sandbox/merchants                 any of those fields; what is missing is made up; 409 if taken
    PUT    /sandbox/merchants/{org}           changes name, client_id, api_keys, hmac_secret,
                                              storefront_key, cart_button.  All `api_keys`
                                              are accepted; the first signs Rally's calls
    GET    /sandbox/merchants/{org}           the merchant view: {"merchant", "hooks", "products", "stock",
                                              "categories", "carts", "orders", "refunds", "shop", "sessions",
                                              "orders_announced", "warnings"}
    GET    /sandbox/merchants/{org}/{part}    {part: ...}, one part of that view
    GET    /sandbox/merchants/{org}/orders/{order id}    {"order": record}; carts likewise {"cart": record}
    PUT    /sandbox/merchants/{org}/products/{id}        body {"product": Product}: Rally knows it already
    GET    /sandbox/journal                   {"calls": [newest last], "counts": {org: {"POST
                                              webhooks/order-update": {"202": 1}}}, "warnings": [texts]};
                                              query filters: merchant, direction (received, sent), method,
                                              path, status; `counts` are never filtered
    DELETE /sandbox/journal                   forgets calls, counts and warnings, for exact counts afterwards
    POST   /sandbox/merchants/{org}/steps/{topic}        one hook call; body as below, answer a step
    POST   /sandbox/merchants/{org}/checkouts            a whole checkout; body is a checkout (below)

A request that a fault swallowed before the work (`hang`, `status`, `reset_before`, ...) is not journalled.

*A call* of the journal: `{number, at, direction, merchant, method, path, status, duration_ms, body, answer,
problems, warnings, request_id}`; `path` is `webhooks/order-update` without prefix, or the topic of a hook that
Rally called; `status` 0 is no answer.

*An order's record*: `{external_id, external_number, cart_id, status, statuses: [{status, at, by}], answer,
snapshot, currency, transactions, charged, refunds, refunded, is_paid, is_held, created_at}`; `answer` is the last Order
a hook answered, `snapshot` the last `webhooks/order-update` or null; `by` is `connector` or `rally`.
*A refund*: `{order_id, external_id, amount, refunds: [rows], at, by}`.
*Stock*: `[{product_id, variant_id, sku, value, updates, at}]`, a product without variants under its own id;
`updates` counts `product-inventory-update` only; a `product-update` sets `value`, too.  *Products* and
*categories*: by `external_id`.  *Shop*: `{profile: last shop-info-update, store: last store_information/fetch,
"register/callback": its last answer}`.  *A cart's record*: `{external_id, answer, transactions, order_id,
earlier_lines}`.

*A step*: `{topic, method, url, status, outcome, error, problems, warnings, answer, duration_ms}`.  `outcome` is
`good` (200, rightly signed, right shape; warnings allowed), `refused` (a rightly signed answer of error
contract 3.8), `faulty` (signature or shape is wrong, or a status nobody expects) or `unreachable` (no answer in
time, or no hook registered); `error` says why in one line, null when good.  Only a good answer changes Rally's
copies.  The control API itself answers 200 for every step that was tried, 400 for a body it cannot read, 404
for an unknown merchant, cart or order, 409 when nothing can be bought, each `{message, errors}`.

*A step*, all optional; what is missing is made up from what Rally knows:

    cart, order                 external ids; default: the merchant's newest
    line_items                  as the hook's body wants them (cart/create, cart/add, cart/remove)
    skus                        {sku: quantity} instead of line_items, looked up in Rally's products
    customer, address, billing_address      objects laid over a made-up shopper; is_address_known false: none yet
    coupon, notes               text; coupon "" takes it away
    shipping                    external_id of a shipping line; default: the cheapest offered
    offers                      post-purchase lines for order/update; offer_shipping {subtotal, tax_amount, total}
    offer_skus                  {sku: quantity} instead of offers, at the product's price
    status                      of order/update: "paid", "refunded" (Rally gives back the rest itself), ""
    transactions                instead of the made-up charge; repeat_transactions true: the old ones again.
                                A repeated order/create of one cart always brings the same ones
    is_held                     true: with a fraud_review_transaction; false on a later "paid" clears it
    mentions_review             false: such a "paid", and order/create, do not mention any review; that clears it, too
    names_payment               false: order/create without payment_method, which places nothing
    shows_earlier_lines         true: order/create names the lines the cart had before they changed last, as a
                                second tab still shows them
    external_product_id, title, category_id      what products/fetch and categories/fetch search
    per_page, current_page      of orders/list
    more                        fields laid over the made-up body; body: the whole body instead;
                                raw: text sent as it is
    sign                        "right", "wrong" (by another key) or "none"; key: which of the api_keys signs
    offers_only                 true: header X-Rally-Offers-Only
    url                         where register/callback is; default: beside the registered hooks
    patience_s                  how long to wait; default is the setting

Topics: the 13 of contract 3.1 and `register/callback`.  `status` "paid" sends a payment_method, too.

*A checkout* takes of a step: cart (a known cart: no cart/create), line_items, skus, customer, address,
billing_address, coupon, notes, shipping, offers, offer_skus, offer_shipping, transactions, repeat_transactions,
is_held, mentions_review, names_payment, shows_earlier_lines, key, offers_only, patience_s; and: `session` (a
checkout_session_id to begin from), `add_skus` and `add` (order bump), `remove` ([{external_id, quantity}] or
`remove_skus`), `is_paid` (default true), `create_times` (default 1), `stop_after` (a topic), `wrong_signature_at`
(a topic), `repeat_paid` (times the paid update is sent, default 1), `faults` (rules for this merchant, set first).
It runs cart/create, cart/fetch,
cart/update (e-mail), cart/update (address), cart/update (coupon, if any), cart/add, cart/remove, cart/update
(shipping), order/create, order/update (offers, if any), order/update (paid), stops at the first step that is
not good, and answers `{outcome, cart_id, order_id, charged, steps, order}`.
"""

from __future__ import annotations

from app.sandbox.vendors.rally.app import BASE_PATH, VENDOR, serve_rally
from app.sandbox.vendors.rally.signing import HEADER, is_signed, sign, signed_message
from app.sandbox.vendors.rally.state import (
    API_KEY,
    ORGANIZATION_ID,
    SECOND_API_KEY,
    SECOND_ORGANIZATION_ID,
    STOREFRONT_KEY,
    Merchant,
    Settings,
    State,
    default_merchants,
)

__all__ = [
    "API_KEY",
    "BASE_PATH",
    "HEADER",
    "ORGANIZATION_ID",
    "SECOND_API_KEY",
    "SECOND_ORGANIZATION_ID",
    "STOREFRONT_KEY",
    "VENDOR",
    "Merchant",
    "Settings",
    "State",
    "default_merchants",
    "is_signed",
    "serve_rally",
    "sign",
    "signed_message",
]
