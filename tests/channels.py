"""channels.toml of the tests: the keys of their channels, and a table that points at a sandbox."""

from __future__ import annotations

from app.sandbox.vendors.pipe17 import BASE_PATH, LEGACY_KEY

KEY = "key+of+the+first+channel+0000001"
OTHER_KEY = "key+of+the+other+channel+0000002"
PAIR = (1201, 32)

CHANNEL = """
[[channel]]
name = "{name}"
client_id = {client_id}
channel_id = {channel_id}
auth_keys = ["{key}"]
gateways = ["pipe17"]

[channel.pipe17]
base_url = "{base_url}"
api_key = "{api_key}"
requests_per_s = 0
parallel_calls = 0
settle_seconds = 1
{more}
"""


def channel_table(
    sandbox_url: str,
    *,
    name: str = "first",
    pair: tuple[int, int] = PAIR,
    key: str = KEY,
    api_key: str = LEGACY_KEY,
    more: str = "",
) -> str:
    """One [[channel]] of channels.toml that points at a sandbox."""
    return CHANNEL.format(
        name=name,
        client_id=pair[0],
        channel_id=pair[1],
        key=key,
        base_url=sandbox_url + BASE_PATH,
        api_key=api_key,
        more=more,
    )
