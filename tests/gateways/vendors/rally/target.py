"""Rally as the conformance suite judges it: one order bought through the sandbox, kept here and known there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal

import msgspec

from app.deadline import Deadline
from app.domain.commands import (
    Acknowledgement,
    Cancellation,
    Completion,
    Package,
    PackageLine,
    Refund,
    Restatement,
    Settlement,
)
from app.domain.stock import StockChange, StockLevel
from app.domain.traffic import VendorCall
from app.gateways import VENDORS
from app.gateways.calls import Call
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools
from app.gateways.vendors.rally import RallyGateway
from app.gateways.vendors.rally.facts import ProductNote
from app.gateways.vendors.rally.merchant import GATEWAY
from app.records import catalogue_sync
from app.records.database import Database
from app.sandbox.vendors.rally import API_KEY, BASE_PATH
from tests.databases import migrated_in
from tests.gateways.conformance_targets import Target
from tests.gateways.vendors.rally.stage import options_of, staged


@contextmanager
def target() -> Iterator[Target]:
    """See `conformance_targets.Target`."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(f"sqlite:///{migrated_in(folder)}")) as database,
        staged(database) as stage,
    ):
        stage.step("products/fetch", title="")
        refnum = stage.checkout(skus={"TEE": 2})["order_id"]
        told = {stage.key("TEE"): msgspec.json.encode(ProductNote("told"))}
        with database.write() as connection:  # Rally has heard of the product, so that its stock is told
            catalogue_sync.note_sent(connection, stage.shop.channel, GATEWAY, told)
        document = stage.document(refnum)
        [line], [paid] = document.lines, document.transactions
        lines = (PackageLine(line.external_id, line.sku, line.quantity),)
        calls: list[VendorCall] = []

        def make(base_url: str, patience_s: float) -> Gateway:
            options = options_of(base_url=base_url, patience_s=patience_s, requests_per_s=0, tell_acknowledged=True)
            tools = Tools(stage.shop.channel, 8, calls.append, database=database, clock=stage.clock)
            return VENDORS["rally"].create(options, tools)

        def refund(key: str) -> Refund:
            return Refund(refnum, key, paid.external_id, Decimal("1.00"), "USD")

        yield Target(
            server=stage.rally,
            make=make,
            base_url=stage.rally.url + BASE_PATH,
            api_prefix=BASE_PATH,
            order_refnum=refnum,
            commands={
                "acknowledge_order": Acknowledgement(refnum, "9001"),
                "submit_shipment": Package(refnum, "501-1", lines, "501", "UPS", tracking_number="1Z1"),
                "correct_shipment": Package(refnum, "501-1", lines, "501", "UPS", tracking_number="1Z2"),
                "cancel_order": Cancellation(refnum, is_decided=True),
                "complete_order": Completion(refnum),
                "update_order": Restatement(refnum),
                "settle_payment": Settlement(refnum, "s-1", paid.external_id, Decimal(1), "USD"),
                "return_order": refund("ro-return-1"),
                "refund_payment": refund("ro-cancel-1"),
                "credit_payment": refund("ro-credit-1"),
            },
            write="submit_shipment",
            stock=[StockChange("TEE", StockLevel(20))],
            secrets=(API_KEY,),
            calls=calls,
            ignores_bodies=True,
            reads=_reads,
        )


def _reads(gateway: Gateway) -> list[Callable[[], object]]:
    """What is asked of Rally itself: its orders are kept here."""
    assert isinstance(gateway, RallyGateway)
    return [lambda: gateway.api.hooks(Call(Deadline.in_s(5), "request-1", "question"))]
