"""The table of all faults: what is played, how often, and where it can be."""

from __future__ import annotations

from tests.system.chaos import database_faults as database
from tests.system.chaos import network_faults as network
from tests.system.chaos import process_faults as processes
from tests.system.chaos import vendor_faults as vendors
from tests.system.chaos.slow_clients import connect_slowly
from tests.system.chaos.storm import Fault, Scene


def _has_server(scene: Scene) -> bool:
    return scene.database is not None


TABLE = (
    Fault("pipe17-ill", 14, vendors.make_pipe17_ill, meaning="Pipe17 fails the next few calls, after the work or not"),
    Fault("rally-ill", 6, vendors.make_rally_ill, meaning="Rally does"),
    Fault("orders", 4, vendors.add_orders, meaning="new orders at Pipe17"),
    Fault("sales", 3, vendors.sell, meaning="Pipe17 sells stated stock by itself"),
    Fault("counts", 3, vendors.count_stock, meaning="people at Pipe17 correct stock"),
    Fault("kill-web", 3, processes.kill_web_process, meaning="SIGKILL of a web process"),
    Fault("kill-server", 2, processes.kill_server, meaning="SIGKILL of the whole server"),
    Fault("kill-worker", 3, processes.kill_worker, meaning="SIGKILL of a worker"),
    Fault("kill-vendor", 1, vendors.kill_vendor, meaning="SIGKILL of a vendor"),
    Fault("stop", 2, processes.stop_process, meaning="SIGSTOP for longer than a lease, then SIGCONT"),
    Fault("stop-at-send", 3, processes.stop_at_send, meaning="the same just before the first byte of a call"),
    Fault("clock", 2, processes.set_clock, meaning="the second worker's clock is wrong by 30 or 120 s, or by a day"),
    Fault("partition", 6, network.partition, meaning="packets of a vendor are held or lost, new connections refused"),
    Fault("drop", 1, network.drop_connections, meaning="all connections to a vendor are lost"),
    Fault("database-stop", 1, database.stop_database, _has_server, "PostgreSQL is stopped or crashes"),
    Fault("database-lost", 3, database.lose_database, meaning="database lost between a call and its outcome (T1, T2)"),
    Fault("slow-clients", 1, connect_slowly, meaning="30 clients of a byte a second, silent, or reading nothing"),
)
