"""A channel whose own settings can never work is set aside, alone, before any shopper pays (R33, R35)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests
from flask import Flask
from sqlalchemy import select, update

from app import settings
from app.clock import utc_now
from app.contract.schemas import Contract
from app.deliveries.dispatcher import IDLE_S
from app.domain.order_limits import RETAILOPS_CURRENCIES
from app.gateways import VENDORS
from app.records.database import Database
from app.records.tables.deliveries import deliveries
from app.sandbox.server import serve
from app.sandbox.vendors.rally import serve_rally
from tests import ROOT
from tests.channels import KEY, OTHER_KEY, PAIR, channel_table
from tests.gateways.vendors.rally.shop import channel_text
from tests.gateways.vendors.rally.stage import signature
from tests.passing_time import PassingTime
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.waiting import eventually

ISO_4217 = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL
    HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON
    RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH
    UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL
"""

SECOND_PAIR = (1201, 33)


def configured(channels: str) -> settings.Settings:
    return settings.load(
        {"APP_ENV": "development", "DATABASE_URL": "sqlite:///a.db", "CHANNELS": channels}, vendors=VENDORS
    )


def test_p37_the_currencies_of_settings_are_those_of_the_contract() -> None:
    schema = json.loads((ROOT / "schemas" / "order_pull_v1.json").read_text())
    order = schema["links"][0]["targetSchema"]["properties"]["orders"]["items"]["properties"]
    assert set(order["currency_code"]["enum"]) == RETAILOPS_CURRENCIES


@pytest.mark.parametrize("spelled", [str.upper, str.lower], ids=["upper", "lower"])
def test_p37_every_currency_either_reaches_retailops_or_sets_its_channel_aside(spelled: Callable[[str], str]) -> None:
    for code in ISO_4217.split():
        rally = channel_text("http://localhost:1", rally=f'currency = "{spelled(code)}"')
        pipe17 = channel_table(
            "http://localhost:1", pair=SECOND_PAIR, key=OTHER_KEY, more=f'default_currency = "{spelled(code)}"'
        )
        for channel in configured(rally + pipe17).channels:
            [(token, options)] = channel.vendors.items()
            assert code in (getattr(options, "currency", ""), getattr(options, "default_currency", ""))
            assert bool(channel.set_aside) is (code not in RETAILOPS_CURRENCIES), (token, code)
            assert all("RetailOps takes orders only in AUD" in fault for fault in channel.set_aside)


def test_p37_a_side_without_orders_may_have_any_currency() -> None:
    table = channel_table("http://localhost:1", more='default_currency = "CLP"\norders = false')
    assert configured(table).channels[0].set_aside == ()


@pytest.mark.parametrize(
    "line", ['default_ship_code = " "', 'shipping_methods = {"UPS" = " "}', 'default_currency = "KWD"']
)
def test_p37_what_would_leave_every_order_unsent_names_setting_and_rule(line: str) -> None:
    [fault] = configured(channel_table("http://localhost:1", more=line)).channels[0].set_aside
    assert fault.startswith("CHANNELS: channel 'first'.pipe17." + line.split(" ")[0])


def test_p37_a_blank_ship_code_of_a_shipping_choice_sets_the_channel_aside() -> None:
    text = channel_text("http://localhost:1").replace('retailops_code = "GROUND"', 'retailops_code = " "')
    assert "shipping.retailops_code" in configured(text).channels[0].set_aside[0]


@pytest.mark.both_databases
def test_p37_one_channels_fault_stops_one_channel_and_what_it_has_pending_waits(
    build_app: Callable[..., Flask],
    contract: Contract,
    pipe17: Sandbox,
    capfd: pytest.CaptureFixture[str],
    time_passes: PassingTime,
) -> None:
    rally = serve_rally()
    try:
        shop = channel_text(rally.url, pair=SECOND_PAIR, key=OTHER_KEY, rally='currency = "CLP"')
        ours = channel_table(pipe17.url, more='default_currency = "USD"')
        app = build_app(ours)
        [order, *_] = Caller(app, contract).pull()
        refnum = order["channel_order_refnum"]
        pipe17.fault(kind="status", code=503, match={"method": "PUT"})
        Caller(app, contract).acknowledge(refnum)
        app.extensions["works"].stop()
        pipe17.heal()

        aside = build_app(ours.replace('"USD"', '"clp"') + shop)
        with aside.extensions["works"].database.write() as connection:
            connection.execute(update(deliveries).values(next_try_at=utc_now()))
        assert capfd.readouterr().err.count("the channel is set aside, the others run") == 2
        for key, pair in ((KEY, PAIR), (OTHER_KEY, SECOND_PAIR)):
            reply = Caller(aside, contract, key, pair).post("order_pull")
            assert (reply.status_code, reply.headers["Retry-After"]) == (503, "300")
            assert reply.get_json()["events"][0]["code"] == "CHANNEL_SET_ASIDE"
            assert (
                Caller(aside, contract, "wrong+key+of+nobody+0000000000009", pair).post("order_pull").status_code == 401
            )
        with serve(aside.wsgi_app) as server:
            address = f"{server.url}/rally/merchants/{_organization(aside)}/carts"
            body = b'{"line_items": []}'
            hook = requests.post(address, data=body, headers={"X-HMAC-SHA256": _sign(aside, body)}, timeout=10)
            assert (hook.status_code, hook.json()["error_code"]) == (502, "platform_unavailable")
            unsigned = requests.post(address, data=body, timeout=10)
            assert unsigned.status_code == 406
        time_passes(aside, 3 * IDLE_S)
        assert pipe17.shipment(refnum)["status"] == "readyForFulfillment"
        assert _states(aside.extensions["works"].database) == {"owed"}
        aside.extensions["works"].stop()

        mended = build_app(ours + shop.replace('"CLP"', '"usd"'))
        assert Caller(mended, contract, OTHER_KEY, SECOND_PAIR).pull() == []
        eventually(lambda: _states(mended.extensions["works"].database) == {"delivered"})
        assert pipe17.shipment(refnum)["status"] == "sentToFulfillment"
    finally:
        rally.stop()


def test_p37_beside_a_channel_that_is_set_aside_the_others_run(
    build_app: Callable[..., Flask], contract: Contract, pipe17: Sandbox
) -> None:
    aside = channel_text("http://localhost:1", pair=SECOND_PAIR, key=OTHER_KEY, rally='currency = "KRW"')
    app = build_app(channel_table(pipe17.url) + aside)
    assert Caller(app, contract).pull()
    assert Caller(app, contract, OTHER_KEY, SECOND_PAIR).post("order_pull").status_code == 503
    assert app.test_client().get("/readyz").status_code == 200


def _states(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(deliveries.c.state)).scalars())


def _organization(app: Flask) -> str:
    return str(_rally(app).options.organization_id)


def _sign(app: Flask, body: bytes) -> str:
    return signature(_rally(app).options.api_key, body)


def _rally(app: Flask):  # type: ignore[no-untyped-def]
    return app.extensions["works"].gateways[("shop", "rally")].shop
