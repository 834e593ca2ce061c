"""`channel demo`: the whole order life on loopback, against a real server and real sandboxes, with no account."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
import requests
from rich.console import Console
from rich.table import Table

from app.contract.schemas import load_contract
from app.sandbox.pipe17 import BASE_PATH, LEGACY_KEY
from app.sandbox.retailops import Heard, RetailOps, shipment

DEMO_KEY = "demo+key+of+the+pipe17+channel01"
CLIENT_ID, CHANNEL_ID = 1201, 32

CHANNELS = f"""
[[channel]]
name = "pipe17-demo"
client_id = {CLIENT_ID}
channel_id = {CHANNEL_ID}
auth_keys = ["{DEMO_KEY}"]
gateways = ["pipe17"]

[channel.pipe17]
base_url = "PIPE17_URL"
api_key = "{LEGACY_KEY}"
requests_per_s = 0
settle_seconds = 2

[channel.pipe17.locations]
"""

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Step:
    """One line of the result table."""

    name: str
    held: bool
    detail: str
    seconds: float


class Stage:
    """The processes of the demo and what they can be asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sandbox_port, self.server_port = _free_port(), _free_port()
        self.sandbox_url = f"http://127.0.0.1:{self.sandbox_port}"
        self.server_url = f"http://127.0.0.1:{self.server_port}"
        self.retailops = RetailOps(f"{self.server_url}/api/channel", DEMO_KEY, CLIENT_ID, CHANNEL_ID, load_contract())
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_sandbox(self) -> None:
        command = [sys.executable, "-m", "app.cli", "sandbox", "pipe17", "--port", str(self.sandbox_port)]
        self._start("sandbox", [*command, "--state", str(self.folder / "pipe17.json")], {})
        self._await(f"{self.sandbox_url}/sandbox/state", "sandbox")

    def kill_sandbox(self) -> None:
        process = self._processes.pop("sandbox")
        process.kill()
        process.wait()

    def start_server(self) -> None:
        ours = [item for item in self.pipe17()["locations"] if item["name"] in ("Dallas DC", "Reno DC")]
        locations = "".join(f'"{item["name"]}" = "{item["locationId"]}"\n' for item in ours)
        channels = CHANNELS.replace("PIPE17_URL", self.sandbox_url + BASE_PATH) + locations
        command = [sys.executable, "-m", "gunicorn", "--config", "python:app.serving", "app:create_app()"]
        configuration = {
            "APP_ENV": "demo",
            "CHANNELS": channels,
            "PORT": str(self.server_port),
            "DATABASE_URL": f"sqlite:///{self.folder / 'channel.db'}",
        }
        self._start("server", command, configuration)
        self._await(f"{self.server_url}/readyz", "server")

    def _start(self, name: str, command: list[str], configuration: dict[str, str]) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env={**_inherited(), **configuration}
            )

    def _await(self, url: str, name: str) -> None:
        give_up_at = time.monotonic() + 30
        while time.monotonic() < give_up_at:
            if self._processes[name].poll() is not None:
                break
            try:
                if requests.get(url, timeout=2).status_code == 200:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        raise click.ClickException(f"the {name} did not start; its log is {self.folder / f'{name}.log'}")

    def pipe17(self) -> dict[str, Any]:
        """What the sandbox of Pipe17 holds."""
        held: dict[str, Any] = requests.get(f"{self.sandbox_url}/sandbox/state", timeout=5).json()
        return held

    def stop(self) -> None:
        self.retailops.close()
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def is_up(self) -> bool:
        return self._processes["server"].poll() is None


def _inherited() -> dict[str, str]:
    """The environment less our own settings: a demo must not meet anybody's real configuration."""
    from app.settings import ENVIRONMENT_HELP

    return {name: value for name, value in os.environ.items() if name not in ENVIRONMENT_HELP and name != "DYNO"}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _staged() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="channel-demo-") as folder:
        stage = Stage(Path(folder))
        try:
            yield stage
        finally:
            stage.stop()


class Failed(Exception):
    """A step of the demo did not hold; the text says what was seen."""


def _expect(is_so: bool, seen: str) -> None:
    if not is_so:
        raise Failed(seen)


def _eventually(look: Callable[[], bool], what: str, patience_s: float = 40.0) -> float:
    begun = time.monotonic()
    while time.monotonic() - begun < patience_s:
        if look():
            return time.monotonic() - begun
        time.sleep(0.2)
    raise Failed(f"{what} did not happen within {patience_s:.0f} s")


def _accepted(heard: Heard) -> Heard:
    _expect(heard.status == 200, f"{heard.callback} answered {heard.status}")
    _expect(not heard.problems, f"RetailOps would refuse the answer: {[item.message for item in heard.problems[:2]]}")
    return heard


class OrderLife:
    """The demo's steps, in order; each returns the sentence for the table or raises `Failed`."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ro = stage.retailops
        self.orders: list[dict[str, Any]] = []

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("catalog_get_config: how to push the catalogue", self.configuration),
            ("order_pull: shipping requests become orders", self.pull),
            ("order_acknowledge: Pipe17 sees them accepted", self.acknowledge),
            ("inventory_push: stock arrives at Pipe17", self.stock),
            ("order_shipment_submit: a fulfilment per package", self.ship),
            ("the same shipment again: nothing twice", self.ship_again),
            ("order_cancel: an unshipped order", self.cancel),
            ("order_cancel: a shipped order is refused", self.cancel_shipped),
            ("order_complete: the rest will not ship", self.complete),
            ("settle, return, credit: honest about money", self.money),
            ("Pipe17 is killed: honest answers", self.outage),
            ("Pipe17 is back: what is owed arrives, once", self.recovery),
        ]

    def configuration(self) -> str:
        heard = _accepted(self.ro.call("catalog_get_config"))
        return f"sku_fanout {heard.answer['sku_fanout']}"

    def pull(self) -> str:
        self.orders = self.ro.pull_all()
        ready = [item for item in self.stage.pipe17()["shipments"] if item["status"] == "readyForFulfillment"]
        _expect(len(self.orders) >= 6, f"only {len(self.orders)} orders came")
        return f"{len(self.orders)} orders of {len(ready)} waiting requests; the rest is held back or not for sale"

    def acknowledge(self) -> str:
        entries = [
            {"channel_order_refnum": order["channel_order_refnum"], "retailops_order_id": 7000 + number}
            for number, order in enumerate(self.orders)
        ]
        heard = _accepted(self.ro.call("order_acknowledge", orders=entries))
        _expect(not heard.codes("error"), f"errors {heard.codes('error')}")
        taken = self._statuses()
        refnums = [order["channel_order_refnum"] for order in self.orders]
        _eventually(
            lambda: all(self._statuses()[refnum] == "sentToFulfillment" for refnum in refnums), "the acknowledgement"
        )
        _expect(not self.ro.pull_all(), "acknowledged orders were handed out again")
        return f"{len(refnums)} requests sentToFulfillment; the next pull is empty ({len(taken)} requests in all)"

    def stock(self) -> str:
        updates = [
            {
                "sku": sku,
                "quantity_available": "40",
                "quantity_detail": [
                    {"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 30 + index,
                     "total_quantity": 35 + index, "estimated_availability_date": ""},
                    {"quantity_type": "internal", "facility_name": "Reno DC", "available_quantity": "10",
                     "total_quantity": "10", "estimated_availability_date": None},
                ],
            }
            for index, sku in enumerate(sorted({line["sku"] for order in self.orders for line in order["order_items"]}))
        ]  # fmt: skip
        heard = _accepted(self.ro.call("inventory_push", inventory_updates=updates))
        _expect(not heard.codes("error"), f"errors {heard.codes('error')}")
        first = updates[0]["sku"]

        def has_arrived() -> bool:
            held = [item for item in self.stage.pipe17()["inventory"] if item["sku"] == first]
            return any(item["onHand"] == 35 for item in held) and any(item["onHand"] == 10 for item in held)

        waited = _eventually(has_arrived, "the stock")
        return f"{len(updates)} SKUs at two locations, ingested {waited:.1f} s after the answer"

    def ship(self) -> str:
        self.two_parcels = next(
            order for order in self.orders if sum(line["quantity"] for line in order["order_items"]) >= 2
        )
        lines = self.two_parcels["order_items"]
        units = [(index, 1) for index, line in enumerate(lines) for _ in range(line["quantity"])]
        self.first_shipment = shipment(self.two_parcels, 501, [units[0]], [units[1]])
        heard = self._submit(self.two_parcels, self.first_shipment)
        _expect(not heard.codes(), f"events {heard.codes()}")
        return f"{self._fulfilments(self.two_parcels)} fulfilments for one shipment of two packages"

    def ship_again(self) -> str:
        before = self._fulfilments(self.two_parcels)
        for _ in range(3):
            _expect(not self._submit(self.two_parcels, self.first_shipment).codes("error"), "the repeat was refused")
        _expect(self._fulfilments(self.two_parcels) == before == 2, "the number of fulfilments changed")
        return "three repeats, still 2 fulfilments"

    def cancel(self) -> str:
        self.unshipped = next(order for order in self.orders if order is not self.two_parcels)
        refnum = self.unshipped["channel_order_refnum"]
        for _ in range(2):
            heard = _accepted(
                self.ro.call("order_cancel", order={"retailops_order_id": 0, "channel_order_refnum": refnum})
            )
            _expect(heard.answer["status"] == "success", f"status {heard.answer['status']}, {heard.codes()}")
        _expect(self._statuses()[refnum] == "canceledRestock", f"Pipe17 says {self._statuses()[refnum]}")
        return "asked twice, success twice, cancelled once at Pipe17"

    def cancel_shipped(self) -> str:
        refnum = self.two_parcels["channel_order_refnum"]
        heard = _accepted(self.ro.call("order_cancel", order={"channel_order_refnum": refnum}))
        _expect(heard.answer["status"] == "fail", "a shipped order was cancelled")
        return f"status fail, event {heard.codes()[0]}"

    def complete(self) -> str:
        order = next(
            item
            for item in self.orders
            if item is not self.two_parcels
            and item is not self.unshipped
            and sum(line["quantity"] for line in item["order_items"]) >= 2
        )
        first = order["order_items"][0]
        missing = [
            {
                "channel_item_refnum": line["channel_item_refnum"],
                "sku": line["sku"],
                "ordered_quantity": line["quantity"],
                "unshipped_quantity": line["quantity"] - (1 if line is first else 0),
            }
            for line in order["order_items"]
        ]
        heard = _accepted(
            self.ro.call(
                "order_complete",
                order={
                    "channel_order_refnum": order["channel_order_refnum"],
                    "grand_total": "0",
                    "shipments": [shipment(order, 601, [(0, 1)])],
                    "unshipped_items": missing,
                },
            )
        )
        _expect(heard.answer["status"] == "success", f"status fail, {heard.codes()}")
        held = [
            item for item in self.stage.pipe17()["fulfillments"] if item["shipmentId"] == order["channel_order_refnum"]
        ]
        rejected = [item for item in held if item.get("fulfillmentType") == "rejected"]
        _expect(len(held) == 2 and len(rejected) == 1, f"{len(held)} fulfilments, {len(rejected)} rejected")
        return "a shipment never submitted before is registered, the rest rejected"

    def money(self) -> str:
        order = {"channel_order_refnum": self.two_parcels["channel_order_refnum"]}
        settled = _accepted(self.ro.call("order_settle_payment", order=order, payment={"currency_code": "USD"}))
        returned = _accepted(
            self.ro.call("order_returned", order=order, **{"return": {"retailops_return_id": 9, "refund_amt": 5}})
        )
        credit = _accepted(
            self.ro.call(
                "payment_credit",
                credit={"amount": 5, "parent_payment_transactions": [{"payment_type": "Visa", "refnum": "p1"}]},
            )
        )
        _expect(credit.answer["status"] == "fail" and credit.answer["amount"] == 0, "a credit was claimed")
        _expect(settled.codes() == ["NOT_APPLICABLE"], f"settle says {settled.codes()}")
        _expect(returned.codes() == ["NO_MONEY_MOVED"], f"returned says {returned.codes()}")
        return "NOT_APPLICABLE, NO_MONEY_MOVED, and a credit that fails with amount 0"

    def outage(self) -> str:
        self.late = next(
            order
            for order in self.orders
            if order is not self.two_parcels
            and order is not self.unshipped
            and self._statuses()[order["channel_order_refnum"]] == "sentToFulfillment"
        )
        self.stage.kill_sandbox()
        parcel = [(index, line["quantity"]) for index, line in enumerate(self.late["order_items"])]
        heard = _accepted(self._post_shipment(self.late, shipment(self.late, 701, parcel)))
        _expect(heard.codes("warning") == ["OWED"], f"events {heard.codes()}")
        pulled = self.ro.call("order_pull", page_token="", specific_orders=[])
        _expect(pulled.status == 503, f"order_pull answered {pulled.status}")
        other = {"channel_order_refnum": self.late["channel_order_refnum"]}
        cancelled = _accepted(self.ro.call("order_cancel", order=other))
        _expect(cancelled.answer["status"] == "fail", "a cancellation was claimed")
        return "shipment kept (OWED), order_pull 503 with Retry-After, cancel fails"

    def recovery(self) -> str:
        self.stage.start_sandbox()
        waited = _eventually(lambda: self._fulfilments(self.late) == 1, "the owed fulfilment")
        time.sleep(1)
        _expect(self._fulfilments(self.late) == 1, "the fulfilment arrived more than once")
        return f"1 fulfilment, {waited:.1f} s after the restart"

    def _submit(self, order: dict[str, Any], shipped: dict[str, Any]) -> Heard:
        return _accepted(self._post_shipment(order, shipped))

    def _post_shipment(self, order: dict[str, Any], shipped: dict[str, Any]) -> Heard:
        return self.ro.call(
            "order_shipment_submit",
            channel_order_refnum=order["channel_order_refnum"],
            retailops_order_id=0,
            shipment=shipped,
        )

    def _fulfilments(self, order: dict[str, Any]) -> int:
        refnum = order["channel_order_refnum"]
        return sum(item["shipmentId"] == refnum for item in self.stage.pipe17()["fulfillments"])

    def _statuses(self) -> dict[str, str]:
        return {item["shipmentId"]: item["status"] for item in self.stage.pipe17()["shipments"]}


def _play(stage: Stage, show: Callable[[Step], None]) -> list[Step]:
    life = OrderLife(stage)
    played: list[Step] = []
    for name, play in life.steps():
        begun = time.monotonic()
        try:
            step = Step(name, True, play(), 0.0)
        except (Failed, requests.RequestException, RuntimeError, StopIteration, KeyError) as error:
            step = Step(name, False, f"{type(error).__name__}: {error}", 0.0)
        step.seconds = round(time.monotonic() - begun, 2)
        played.append(step)
        show(step)
        if not step.held:
            break
    return played


@click.command()
@click.option("--once", is_flag=True, help="Stop everything at the end; exit 0 only if every step held.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def demo(once: bool, as_json: bool) -> None:
    """Play RetailOps through a whole order life against a real server and a sandboxed vendor, on loopback."""
    console = Console(stderr=as_json)
    with _staged() as stage:
        console.print("Starting the sandbox of Pipe17 and the channel server ...")
        stage.start_sandbox()
        stage.start_server()
        steps = _play(stage, lambda step: console.print(f"  {'held  ' if step.held else 'FAILED'} {step.name}"))
        all_held = all(step.held for step in steps) and len(steps) == len(OrderLife(stage).steps())
        if as_json:
            result = {"held": all_held, "steps": [asdict(step) for step in steps]}
            click.echo(msgspec.json.encode(result).decode())
        else:
            console.print(_table(steps))
            console.print("Every step held." if all_held else "[bold]A step did not hold.[/bold]")
        if not once and all_held:
            _stay_up(stage, console)
        elif not all_held:
            _show_logs(stage, console)
    sys.exit(0 if all_held else 1)


def _table(steps: list[Step]) -> Table:
    table = Table(show_lines=False)
    table.add_column("step")
    table.add_column("held")
    table.add_column("s", justify="right")
    table.add_column("what was seen")
    for step in steps:
        table.add_row(step.name, "yes" if step.held else "NO", f"{step.seconds:.1f}", step.detail)
    return table


def _stay_up(stage: Stage, console: Console) -> None:
    console.print(
        f"\nThe channel server:  {stage.server_url}/api/channel  (openapi at {stage.server_url}/openapi.json)"
    )
    console.print(f"Pipe17 holds:        {stage.sandbox_url}/sandbox/state")
    console.print(f"Its key for RetailOps (demo only): {DEMO_KEY}, client_id {CLIENT_ID}, channel {CHANNEL_ID}")
    console.print("Press Ctrl-C to stop.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while stage.is_up():
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("Stopping.")


def _show_logs(stage: Stage, console: Console) -> None:
    for name in ("server", "sandbox"):
        tail = (stage.folder / f"{name}.log").read_text(errors="replace").splitlines()[-15:]
        console.print(f"\nlast lines of the {name}'s log:", *tail, sep="\n", markup=False)
