"""Deliberately wrong channel servers: what the SDK's own tool says of each, and what `channel verify` must say.

Each is one honest little channel, `Honest`, with one fault.  The SDK's tool judges by the published schemas;
"its base URL" is written without a trailing slash.  `test_causes.py` holds both columns to what happens,
the first by the replay of the tool's algorithm and, where Go is installed, by a Go program of the same algorithm.

| server                    | the SDK's tool | `channel verify` | why                                                  |
|---------------------------|----------------|------------------|------------------------------------------------------|
| honest                    | passes         | passes           |                                                      |
| answers_nothing           | passes         | fails            | `{}` satisfies the published schemas, tells nothing  |
| answers_null              | fails          | fails            | `null` is no object                                  |
| answers_html              | fails          | fails            | a page with status 200                               |
| answers_twice             | fails          | fails            | text behind the JSON object                          |
| answers_201               | fails          | fails            | only 200 is read                                     |
| forbids                   | fails          | fails            | 403 for a wrong key                                  |
| trusts_everybody          | fails          | fails            | the key is not compared at all                       |
| trims_keys                | passes         | fails            | a padded key is accepted                             |
| ignores_case              | passes         | fails            | keys that differ in case are taken for one           |
| takes_a_part              | passes         | fails            | the beginning of the key is enough                   |
| needs_no_key              | passes         | fails            | only a key that is there is compared                 |
| stumbles_over_keys        | passes         | fails            | a key that is not text gives 500                     |
| finds_keys_inside         | passes         | fails            | `!!!` and the key is accepted; certification fails   |
| echoes_the_key            | passes         | fails            | the key stands in an event                           |
| echoes_wrong_keys         | passes         | fails            | the key stands in the 401                            |
| drops_events              | passes         | fails            | RetailOps would see no event                         |
| answers_a_bare_event      | passes         | fails            | one event in place of the list                       |
| numbers_its_codes         | fails          | fails            | an event's `code` is a number                        |
| forgets_a_date            | passes         | fails            | one order without a date costs the page              |
| writes_bare_dates         | passes         | fails            | a date without time does not parse                   |
| forgets_an_enum           | passes         | fails            | a line without `item_type`                           |
| writes_whole_floats       | passes         | fails            | `1.0` does not parse into a whole number             |
| counts_too_far            | fails          | fails            | a quantity beyond 64 bits does not parse             |
| breaks_many_rules         | fails          | fails            | five faults in one answer, told at once              |
| gives_101_orders          | fails          | fails            | a page holds 100                                     |
| redirects                 | passes         | fails            | 302 to a page that answers `{}`                      |
| tidies_slashes            | passes         | fails            | two slashes are redirected                           |
| swallows_slashes          | passes         | fails            | two slashes give 404                                 |
| serves_get                | passes         | fails            | a GET without a key is answered as a callback        |
| dies_of_broken_json       | passes         | fails            | malformed JSON gives 500                             |
| refuses_repeats           | passes         | fails            | the same cancellation again is a failure             |
| complains_of_repeats      | passes         | fails            | the same call again gives an `error` event           |
| dies_of_repeats           | passes         | fails            | the same call again gives 500                        |
| sleeps                    | fails          | fails            | no answer in time (*)                                |

(*) With the patience of the tests.  The tool itself waits 15 s and cannot be told otherwise, so it passes a server
that takes 14; `channel verify` waits as long, or as `--timeout` says.
"""

from __future__ import annotations

import copy
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEY = "RETAILOPS_SDK"

SLEEP_S = 0.8

CALLBACKS_WITH_STATUS = ("order_cancel", "order_complete")

ORDER = {
    "channel_order_refnum": "A-1", "ship_service_code": "GROUND", "currency_code": "USD", "cancel": False,
    "currency_values": {"shipping_amt": 0, "tax_amt": 0, "discount_amt": 0},
    "channel_date_created": "2026-01-02T03:04:05Z",
    "billing_address": {
        "first_name": "A", "last_name": "B", "address1": "1 Street", "city": "Austin", "state_match": "TX",
        "postal_code": "78701", "country_match": "US",
    },
    "shipping_address": {
        "first_name": "A", "last_name": "B", "address1": "1 Street", "city": "Austin", "state_match": "TX",
        "postal_code": "78701", "country_match": "US",
    },
    "order_items": [
        {
            "channel_item_refnum": "1", "sku": "S1", "quantity": 2, "item_type": "ship",
            "currency_values": {"unit_price": 10.5}, "options": [],
        }
    ],
    "payment_transactions": [], "attributes": [], "tags": [],
    "customer_info": {"email_address": "a@example.com", "full_name": "A B", "phone_number": "1"},
}  # fmt: skip

Reply = tuple[int, str, bytes]
"""Status, content type or the address of a redirect, body."""


def as_json(status: int, body: Any) -> Reply:
    return status, "application/json", json.dumps(body).encode()


def event(message: str = "done", code: Any = "NOTE") -> dict[str, Any]:
    return {"event_type": "info", "code": code, "message": message, "diagnostic_data": "", "associations": []}


def right_answer(callback: str) -> dict[str, Any]:
    match callback:
        case "catalog_get_config":
            return {"sku_fanout": "no_fanout"}
        case "order_pull":
            return {"next_page_token": "", "orders": [copy.deepcopy(ORDER)]}
        case "order_update":
            return {"events": [], "line_items": [{"order_item_id": 7, "refnum": "1", "quantity": 2}], "values": {}}
        case "order_returned":
            return {"events": [], "payment_transactions": [], "return": {"channel_store_credit_amount": 0}}
        case "payment_credit":
            return {
                "payment_processing_type": "channel_payment", "transaction_type": "credit", "payment_type": "Visa",
                "amount": 1, "message": "", "status": "success", "refnum": "R1",
            }  # fmt: skip
        case _ if callback in CALLBACKS_WITH_STATUS:
            return {"status": "success", "events": []}
        case _:
            return {"events": [event()]}


class Honest:
    """A channel that does everything right.  What others do wrong, they override."""

    patience_s = 15.0
    """How long its answers are waited for: on a busy machine a right one may take a while."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raw = environ["wsgi.input"].read()
        status, kind, body = self.reply(environ["REQUEST_METHOD"], environ["PATH_INFO"], raw)
        header = ("Location", kind) if 300 <= status < 400 else ("Content-Type", kind)
        start_response(f"{status} Given", [header])
        return [body]

    def reply(self, method: str, path: str, raw: bytes) -> Reply:
        while "//" in path:
            path = path.replace("//", "/")
        if method != "POST":
            return as_json(405, {"error": "POST only"})
        if not path.endswith("_v1"):
            return as_json(404, {"error": "no such callback"})
        try:
            body = json.loads(raw)
        except ValueError:
            return self.not_json()
        if not isinstance(body, dict):
            return as_json(400, {"error": "no object"})
        token = body.get("integration_auth_token", "")
        if not self.knows(token):
            return self.refusal(token)
        return self.answer(path.rpartition("/")[2].removesuffix("_v1"), body)

    def knows(self, token: Any) -> bool:
        return isinstance(token, str) and token == KEY

    def refusal(self, token: Any) -> Reply:
        return as_json(401, {"error": "wrong key"})

    def not_json(self) -> Reply:
        return as_json(400, {"error": "no JSON"})

    def answer(self, callback: str, body: dict[str, Any]) -> Reply:
        return as_json(200, right_answer(callback))


def answering(change: Callable[[str, dict[str, Any], dict[str, Any]], Any]) -> type[Honest]:
    """An honest server but for its answers; `change` gets callback, right answer and request."""

    class Answering(Honest):
        def answer(self, callback: str, body: dict[str, Any]) -> Reply:
            return as_json(200, change(callback, right_answer(callback), body))

    return Answering


def replying(reply: Reply) -> type[Honest]:
    """A server that says the same to everybody it knows."""

    class Replying(Honest):
        def answer(self, callback: str, body: dict[str, Any]) -> Reply:
            return reply

    return Replying


def with_order(change: Callable[[dict[str, Any]], Any]) -> type[Honest]:
    """A server whose only order is changed in place."""

    def changed(callback: str, answer: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
        for order in answer.get("orders", ()):
            change(order)
        return answer

    return answering(changed)


class Forbids(Honest):
    def refusal(self, token: Any) -> Reply:
        return as_json(403, {"error": "wrong key"})


class TrustsEverybody(Honest):
    def knows(self, token: Any) -> bool:
        return True


class TrimsKeys(Honest):
    def knows(self, token: Any) -> bool:
        return isinstance(token, str) and token.strip() == KEY


class IgnoresCase(Honest):
    def knows(self, token: Any) -> bool:
        return isinstance(token, str) and token.casefold() == KEY.casefold()


class TakesAPart(Honest):
    def knows(self, token: Any) -> bool:
        return isinstance(token, str) and token != "" and KEY.startswith(token)


class NeedsNoKey(Honest):
    def knows(self, token: Any) -> bool:
        return not token or token == KEY


class StumblesOverKeys(Honest):
    def refusal(self, token: Any) -> Reply:
        return as_json(401 if isinstance(token, str) else 500, {"error": "wrong key"})


class FindsKeysInside(Honest):
    def knows(self, token: Any) -> bool:
        return isinstance(token, str) and token.endswith(KEY)


class EchoesWrongKeys(Honest):
    def refusal(self, token: Any) -> Reply:
        return as_json(401, {"error": f"unknown key {token}"})


class Redirects(Honest):
    def reply(self, method: str, path: str, raw: bytes) -> Reply:
        if path == "/welcome":
            return as_json(200, {})
        reply = super().reply(method, path, raw)
        return reply if reply[0] != 200 else (302, "/welcome", b"")


class TidiesSlashes(Honest):
    def reply(self, method: str, path: str, raw: bytes) -> Reply:
        if "//" in path:
            return 308, path.replace("//", "/"), b""
        return super().reply(method, path, raw)


class SwallowsSlashes(Honest):
    def reply(self, method: str, path: str, raw: bytes) -> Reply:
        return as_json(404, {}) if "//" in path else super().reply(method, path, raw)


class ServesGet(Honest):
    def reply(self, method: str, path: str, raw: bytes) -> Reply:
        if method == "GET":
            return as_json(200, right_answer(path.rpartition("/")[2].removesuffix("_v1")))
        return super().reply(method, path, raw)


class DiesOfBrokenJson(Honest):
    def not_json(self) -> Reply:
        return as_json(500, {"error": "unexpected end of input"})


class RemembersCalls(Honest):
    """Counts calls with the same body.  The SDK's tool sends none twice."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def answer(self, callback: str, body: dict[str, Any]) -> Reply:
        call = callback + json.dumps(body, sort_keys=True)
        self.seen[call] += 1
        return self.first_answer(callback) if self.seen[call] == 1 else self.next_answer(callback)

    def first_answer(self, callback: str) -> Reply:
        return as_json(200, right_answer(callback))

    def next_answer(self, callback: str) -> Reply:
        return as_json(500, {"error": "duplicate"})


class RefusesRepeats(RemembersCalls):
    def next_answer(self, callback: str) -> Reply:
        answer = right_answer(callback)
        return as_json(200, {**answer, "status": "fail"} if callback in CALLBACKS_WITH_STATUS else answer)


class ComplainsOfRepeats(RemembersCalls):
    def next_answer(self, callback: str) -> Reply:
        answer = right_answer(callback)
        duplicate = {**event("known already", "DUPLICATE"), "event_type": "error"}
        return as_json(200, {**answer, "events": [duplicate]} if "events" in answer else answer)


class Sleeps(Honest):
    patience_s = 0.3

    def answer(self, callback: str, body: dict[str, Any]) -> Reply:
        time.sleep(SLEEP_S)
        return super().answer(callback, body)


def many_faults(order: dict[str, Any]) -> None:
    order["currency_code"] = "XXX"
    order["channel_date_created"] = "yesterday"
    order["tags"] = "urgent"
    order["order_items"][0]["quantity"] = "two"
    order["ship_service_code"] = ""


def page_of_101(callback: str, answer: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "orders": answer["orders"] * 101} if callback == "order_pull" else answer


def with_events(events: Callable[[dict[str, Any]], Any]) -> type[Honest]:
    """A server whose events are what `events` makes of the request."""
    return answering(
        lambda _, answer, body: {**answer, "events": events(body)} if "events" in answer else answer,
    )


@dataclass(frozen=True)
class Animal:
    """A server, the tool's verdict on it, and what our output must hold for somebody who only reads that.

    `signs` are what names the faults among the causes, in the first 40 lines; without them the clues do.
    """

    server: type[Honest]
    sdk_tool_passes: bool
    clues: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()


DATE = "/orders/0/channel_date_created"
THROWN_AWAY = "RetailOps would throw the whole answer away"

ZOO = {
    "honest": Animal(Honest, True),
    "answers_nothing": Animal(
        replying(as_json(200, {})),
        True,
        ("body: is empty, which tells RetailOps nothing", "/orders: is missing"),
        ("body: is empty, which tells RetailOps nothing", "/next_page_token and /orders: are missing"),
    ),
    "answers_null": Animal(replying(as_json(200, None)), False, ("the answer is JSON but not an object",)),
    "answers_html": Animal(
        replying((200, "text/html; charset=utf-8", b"<!doctype html><h1>Welcome</h1>")),
        False,
        ("the answer is not JSON", "it looks like HTML", "it came as text/html"),
    ),
    "answers_twice": Animal(
        replying((200, "application/json", b'{"events": []} ok')), False, ("is not JSON", "trailing characters")
    ),
    "answers_201": Animal(
        replying(as_json(201, {"events": []})), False, ("status 201 came instead of 200; RetailOps takes nothing",)
    ),
    "forbids": Animal(
        Forbids,
        False,
        ("for a wrong key, status 403 came instead of 401",),
        ("for every key but the right one, none at all too, status 403 came instead of 401",),
    ),
    "trusts_everybody": Animal(
        TrustsEverybody,
        False,
        ("for a wrong key, status 200 came instead of 401; anybody could call this server",),
        ("for every key but the right one, none at all too, status 200 came instead of 401; anybody could call",),
    ),
    "trims_keys": Animal(
        TrimsKeys, True, ("for the key with a blank behind it, status 200 came instead of 401", "not trimmed")
    ),
    "ignores_case": Animal(IgnoresCase, True, ("for the key in the other case, status 200 came instead of 401",)),
    "takes_a_part": Animal(TakesAPart, True, ("for the key without its end, status 200 came instead of 401",)),
    "needs_no_key": Animal(
        NeedsNoKey,
        True,
        ("for no key, status 200 came", "for null as key, status 200 came", "for an empty key, status 200 came"),
    ),
    "stumbles_over_keys": Animal(
        StumblesOverKeys, True, ("for a number as key, status 500 came instead of 401; the server failed",)
    ),
    "finds_keys_inside": Animal(FindsKeysInside, True, ("for the key behind !!!, status 200 came", "certification")),
    "echoes_the_key": Animal(
        with_events(lambda body: [event(f"hello {body['integration_auth_token']}")]),
        True,
        ("/events/0/message: the answer for the right key holds the key that was sent",),
        ("/events/*/message: the answer holds the key that was sent",),
    ),
    "echoes_wrong_keys": Animal(
        EchoesWrongKeys,
        True,
        ("/error: the answer for a wrong key holds the key that was sent",),
        ("for a wrong key, ", "/error: the answer holds the key that was sent"),
    ),
    "drops_events": Animal(
        answering(lambda _, answer, __: {name: part for name, part in answer.items() if name != "events"} or {"ok": 1}),
        True,
        ("/events: is missing", f"/events: is missing; {THROWN_AWAY}", "/events: is missing; the answer has status"),
    ),
    "answers_a_bare_event": Animal(
        answering(lambda _, answer, __: event() if set(answer) == {"events"} else answer),
        True,
        ("/events: is missing", "the answer has event_type, code, message"),
    ),
    "numbers_its_codes": Animal(
        with_events(lambda _: [event(code=42)]), False, ("/events/0/code: must be text that is not blank, not integer",)
    ),
    "forgets_a_date": Animal(
        with_order(lambda order: order.pop("channel_date_created")), True, (f"{DATE}: is missing; {THROWN_AWAY}",)
    ),
    "writes_bare_dates": Animal(
        with_order(lambda order: order.update(channel_date_created="2026-01-02")),
        True,
        (f"{DATE}: must be a date and time with offset", THROWN_AWAY),
    ),
    "forgets_an_enum": Animal(
        with_order(lambda order: order["order_items"][0].pop("item_type")),
        True,
        (f"/orders/0/order_items/0/item_type: is missing; {THROWN_AWAY}",),
    ),
    "writes_whole_floats": Animal(
        with_order(lambda order: order["order_items"][0].update(quantity=2.0)),
        True,
        ("/orders/0/order_items/0/quantity: must be written as a whole number, without a decimal point", THROWN_AWAY),
    ),
    "counts_too_far": Animal(
        with_order(lambda order: order["order_items"][0].update(quantity=10**20)),
        False,
        ("/orders/0/order_items/0/quantity: must be of type integer, of 64 bits", THROWN_AWAY),
    ),
    "breaks_many_rules": Animal(
        with_order(many_faults),
        False,
        (
            "/orders/0/currency_code: must be one of",
            DATE,
            "/orders/0/tags: must be of type array, not string",
            "/orders/0/order_items/0/quantity: must be of type integer, not string",
            "/orders/0/ship_service_code: ",
        ),
    ),
    "gives_101_orders": Animal(answering(page_of_101), False, ("/orders: has 101 elements, at most 100 are allowed",)),
    "redirects": Animal(
        Redirects, True, ("status 302 came instead of 200; redirects are not followed (/welcome)",)
    ),
    "tidies_slashes": Animal(
        TidiesSlashes, True, ("for two slashes before the callback: status 308 came instead of 200; redirects",)
    ),
    "swallows_slashes": Animal(
        SwallowsSlashes,
        True,
        ("POST /api/channel//order_cancel_v1", "a base URL that ends in a slash"),
        ("for two slashes before the callback, status 404", "a base URL that ends in a slash"),
    ),
    "serves_get": Animal(ServesGet, True, ("for GET, status 200 came instead of 405 or another 4xx",)),
    "dies_of_broken_json": Animal(DiesOfBrokenJson, True, ("for a body that breaks off, status 500 came",)),
    "refuses_repeats": Animal(RefusesRepeats, True, ("for the same call again, /status: is fail",)),
    "complains_of_repeats": Animal(
        ComplainsOfRepeats, True, ("for the same call again, /events: has the error DUPLICATE, the first time none",)
    ),
    "dies_of_repeats": Animal(RemembersCalls, True, ("for the same call again: status 500 came instead of 200",)),
    "sleeps": Animal(
        Sleeps,
        False,
        ("no whole answer came within 0.3 s", "not sent, as no answer came: 14 more"),
        ("no whole answer came within 0.3 s",),
    ),
}  # fmt: skip


class ThreeAtOnce(Forbids):
    """403 for a wrong key, one callback that dies, and dates that RetailOps throws away."""

    def answer(self, callback: str, body: dict[str, Any]) -> Reply:
        answer = right_answer(callback)
        for order in answer.get("orders", ()):
            order["channel_date_created"] = "2026-01-02"
        return as_json(500, {"error": "KeyError"}) if callback == "order_cancel" else as_json(200, answer)


class BadNight(TrimsKeys):
    """A callback that hangs, a page in place of an answer, padded keys, GETs and two slashes taken wrongly."""

    patience_s = 0.6

    def reply(self, method: str, path: str, raw: bytes) -> Reply:
        if method == "GET":
            return as_json(200, {})
        return (404, "text/plain", b"") if "//" in path else super().reply(method, path, raw)

    def answer(self, callback: str, body: dict[str, Any]) -> Reply:
        if callback == "order_cancel":
            time.sleep(SLEEP_S)
        if callback == "catalog_push":
            return 200, "text/html", b"<h1>Maintenance</h1>"
        return super().answer(callback, body)


class HalfMoved(EchoesWrongKeys):
    """Errors with broken JSON, no events, whole floats, wrong keys echoed, complaints about a repeated call."""

    def __init__(self) -> None:
        self.cancelled = 0

    def not_json(self) -> Reply:
        return as_json(502, {})

    def answer(self, callback: str, body: dict[str, Any]) -> Reply:
        answer = right_answer(callback)
        match callback:
            case "catalog_push":
                answer = {"result": "ok"}
            case "order_pull":
                answer["orders"][0]["order_items"][0]["quantity"] = 2.0
            case "order_cancel":
                self.cancelled += 1
                answer["status"] = "success" if self.cancelled == 1 else "fail"
        return as_json(200, answer)


class NothingRight(FindsKeysInside):
    """More faults than 40 lines hold: each is named all the same."""

    def refusal(self, token: Any) -> Reply:
        return as_json(410 if isinstance(token, str) else 503, {"error": str(token)})

    def not_json(self) -> Reply:
        return as_json(500, {})

    def answer(self, callback: str, body: dict[str, Any]) -> Reply:
        if callback != "order_pull":
            return as_json(200, {"events": [{**event(code=7), "event_type": "note", "message": 1}]})
        order: dict[str, Any] = {**copy.deepcopy(ORDER), "tags": "urgent", "attributes": {}, "cancel": "no"}
        order["currency_code"] = order["ship_service_code"] = order["channel_order_refnum"] = 1
        order["customer_info"] = {"email_address": 1, "full_name": 2, "phone_number": 3}
        for name in ("billing_address", "shipping_address"):
            order[name] = dict.fromkeys(order[name], 1)
        order["payment_transactions"] = [{"amount": "1"}]
        return as_json(200, {"next_page_token": "a page", "orders": [order]})


SEVERAL_FAULTS = {
    "three_at_once": Animal(
        ThreeAtOnce, False, signs=("status 500 came", "/orders/*/channel_date_created", "status 403")
    ),
    "bad_night": Animal(
        BadNight,
        False,
        signs=(
            "no whole answer came within", "order_cancel", "it looks like HTML", "the key with a blank before it",
            "for GET", "two slashes", "404",
        ),
    ),
    "half_moved": Animal(
        HalfMoved,
        False,
        signs=(
            "status 502 came", "/events", "/orders/*/order_items/*/quantity", "holds the key that was sent",
            "/status: is fail",
        ),
    ),
    "nothing_right": Animal(
        NothingRight,
        False,
        signs=("status 503", "status 500", "/events/*/code", "/currency_code", "status 410", "the key behind !!!"),
    ),
}  # fmt: skip
"""Servers with several faults; `signs` in the order in which they have to be told, the worst first."""
