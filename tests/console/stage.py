"""A channel with a console in front of sandboxed Pipe17, and people who look at it: by a form or by Bearer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import msgspec
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select

from app.clock import utc_now
from app.domain.commands import Package
from app.records import operations, refunds
from app.records.operations import Operation
from app.records.refunds import Entry
from app.records.tables.deliveries import commands, deliveries
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

TOKEN, READ_TOKEN, CHANNEL_TOKEN = (f"token-of-{who}-0123456789" for who in ("operator", "reader", "channel"))
TOKENS = {"CONSOLE_TOKEN": TOKEN, "CONSOLE_READ_TOKEN": READ_TOKEN}
ORIGIN = "http://localhost"
REQUEST = "request-of-a-parked-call"
FULFILLMENTS = {"method": "POST", "path_prefix": "/api/v3/fulfillments"}


def form_token(page: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page)
    assert found, page
    return found[1]


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the page's last form."""
    form = page.rpartition('method="post"')[2]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)
    return {name: unescape(value) for name, value in found}


@dataclass
class Person:
    """Somebody with a browser and a token."""

    browser: FlaskClient

    def get(self, address: str) -> Any:
        return self.browser.get(f"/console/{address}")

    def page(self, address: str) -> str:
        """The text of a page that has to be there."""
        reply = self.get(address)
        assert reply.status_code == 200, (address, reply.status_code, reply.text[-500:])
        return str(reply.text)

    def send(self, address: str, form: Mapping[str, str], **headers: str) -> Any:
        return self.browser.post(f"/console/{address}", data=form, headers={"Origin": ORIGIN, **headers})

    def act(self, address: str, **form: str) -> Any:
        """Fill in the form of a page and send it."""
        return self.send(address, {**hidden(self.page(address)), **form})


def person(app: Flask, token: str = TOKEN, name: str = "Ada") -> Person:
    """Somebody who has signed in."""
    browser = app.test_client()
    fields = {"name": name, "token": token, "form_token": form_token(browser.get("/console/login").text)}
    assert browser.post("/console/login", data=fields, headers={"Origin": ORIGIN}).status_code == 303
    return Person(browser)


def acts(caller: Caller) -> list[Operation]:
    """What operators did, oldest first."""
    with caller.database.read() as connection:
        return operations.listing(connection)[::-1]


def state_of(caller: Caller, delivery_id: int) -> str:
    with caller.database.read() as connection:
        return str(connection.execute(select(deliveries.c.state).where(deliveries.c.id == delivery_id)).scalar_one())


def refused_shipment(caller: Caller, pipe17: Sandbox, order: dict[str, Any], **package: Any) -> int:
    """The id of a shipment that Pipe17 refused after RetailOps had its answer: it is parked."""
    pipe17.fault(kind="status", code=429, times=1, match=FULFILLMENTS)
    pipe17.fault(kind="status", code=400, times=1, match=FULFILLMENTS)
    answer = caller.ship(order, **package)
    assert "OWED" in codes(answer), answer  # what became of an earlier push may stand in it too

    def parked() -> Any:
        with caller.database.read() as connection:
            return connection.execute(select(deliveries.c.id).where(deliveries.c.state == "parked")).scalar()

    def calls() -> Any:
        with caller.database.read() as connection:
            named = deliveries.c
            return connection.execute(select(named.id, named.verb, named.state, named.attempts, named.last_code)).all()

    return int(eventually(parked, found=calls))


def parked_call(caller: Caller, order: str, *, channel: str = "first", **more: Any) -> int:
    """A call that was given up, as days of failing leave it."""
    now = utc_now()
    command = {
        "channel": channel, "callback": "order_shipment_submit", "natural_key": order, "order_refnum": order,
        "digest": "", "events": b"[]", "request_id": REQUEST, "begun_at": now, "lease_until": now,
        "finished_at": now,
    }  # fmt: skip
    with caller.database.write() as connection:
        command_id = connection.execute(insert(commands).returning(commands.c.id), command).scalar_one()
        row = {
            "channel": channel, "gateway": "pipe17", "verb": "submit_shipment", "lane": order,
            "command_id": command_id, "body": msgspec.json.encode(Package(order, "5-1", ())), "about": b"[]",
            "state": "parked", "next_try_at": now + timedelta(days=9), "request_id": REQUEST,
            "created_at": now, "attempts": 7, "last_code": "HTTP_400", "last_error": "pipe17 answered 400", **more,
        }  # fmt: skip
        return int(connection.execute(insert(deliveries).returning(deliveries.c.id), row).scalar_one())


def held_refund(caller: Caller, order: str, amount: str = "12.50", currency: str = "USD") -> int:
    """The id of a refund that was given up without knowing whether it was paid."""
    entry = Entry(f"key-{order}", order, "pay-1", "order_returned", f"77-{order}", Decimal(amount), currency, "parked")
    with caller.database.write() as connection:
        refunds.put(connection, "first", entry, utc_now())
        return refunds.of_order(connection, "first", order)[-1].id
