"""A shop that moves money, for all tests of the core that need one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from app import gateways
from app.contract.schemas import Contract
from tests.channel.money_gateway import Till, serve_till
from tests.channel.till_shop import CHANNEL, OpenShop, Shop
from tests.channels import KEY, PAIR
from tests.retailops import Caller


@pytest.fixture
def open_shop(
    build_app: Callable[..., Flask], contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OpenShop]:
    """Opens shops; `channel` and `gateway` are further lines of its tables, the rest goes to `Till`."""
    monkeypatch.setitem(gateways.REGISTRY, "till", "tests.channel.money_gateway")
    servers = []

    def start(*, channel: str = "", gateway: str = "", **how: Any) -> Shop:
        till = Till(**how)
        servers.append(serve_till(till))
        text = CHANNEL.format(pair=PAIR, key=KEY, url=servers[-1].url, channel=channel, gateway=gateway)
        return Shop(till, servers[-1], Caller(build_app(text), contract))

    yield start
    for server in servers:
        server.stop()
