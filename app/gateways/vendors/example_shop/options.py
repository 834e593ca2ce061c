"""What an operator can set: the table `[channel.example_shop]` of channels.toml."""

from __future__ import annotations

from dataclasses import dataclass

import marshmallow.fields as mf
import marshmallow.validate as mv

from app.options import option, secure_address, switch
from app.transport.learned_rate import KeyCalls


@dataclass(frozen=True)
class ExampleShopOptions(KeyCalls):
    """Every setting has a meaning for people, and a default where there is a sensible one."""

    account_id: str = option(
        mf.String(validate=mv.Length(min=1)),
        "Number of the account at Example Shop; a new key leaves it as it is.",
    )
    api_key: str = option(
        mf.String(validate=mv.Length(min=1)),
        "The key of Example Shop's API.",
        secret=True,
    )
    base_url: str = option(mf.String(validate=secure_address), "Address of Example Shop's API.")
    orders: bool = option(
        switch(),
        "Whether the channel's orders come from Example Shop; false for catalogue and stock only.",
        default=True,
    )
    ship_service_code: str = option(
        mf.String(validate=mv.Length(min=1)),
        "ship_service_code that RetailOps is sent for an order that names no shipping service.",
        default="STANDARD",
    )
