"""The rates of vendor keys that the server's processes and the commands beside it share through the database."""

from __future__ import annotations

from collections.abc import Callable

from app.records.database import Database
from app.records.rates import StoredRates
from app.settings import Settings
from app.transport.rates import RatePlan
from app.transport.shared_rate import SharedRate


def shared_rates(
    configured: Settings, database: Database, *, is_server: bool = True
) -> Callable[[str, RatePlan], SharedRate]:
    """The rate of each vendor key, which all processes share through the database (R14).

    A process that is not one of the server's, such as a command on the terminal, takes one token at a time.
    """
    store = StoredRates(database)
    processes = configured.web_concurrency + (configured.deliveries == "worker")

    def rate(key: str, plan: RatePlan) -> SharedRate:
        return SharedRate(store, key, plan, processes=processes, takes_blocks=is_server)

    return rate
