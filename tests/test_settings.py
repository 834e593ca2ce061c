"""Configurations that look sound and cannot work are faults, too."""

from __future__ import annotations

import pytest

from app import settings
from app.errors import SettingsFault
from app.gateways import VENDORS
from app.options import explain

CHANNEL = """
[[channel]]
name = "first"
client_id = 1201
channel_id = 32
auth_keys = ["{key}"]
gateways = [{gateways}]
[channel.pipe17]
api_key = "some-pipe17-key"
orders = false
"""


def load(key: str = "key+of+the+first+channel+0000001", gateways: str = '"pipe17"', database: str = "a.db") -> None:
    channels = CHANNEL.format(key=key, gateways=gateways)
    settings.load(
        {"APP_ENV": "development", "DATABASE_URL": f"sqlite:///{database}", "CHANNELS": channels}, vendors=VENDORS
    )


def test_p23_a_gateway_named_twice_is_a_fault() -> None:
    load()
    with pytest.raises(SettingsFault):
        load(gateways='"pipe17", "pipe17"')


def test_p23_a_key_anybody_could_guess_is_a_fault() -> None:
    with pytest.raises(SettingsFault):
        load(key="x")


def test_p23_a_database_in_memory_is_a_fault_for_every_connection_would_have_its_own() -> None:
    for address in (":memory:", "", "file:x?mode=memory&uri=true"):
        with pytest.raises(SettingsFault):
            load(database=address)


def test_p20_the_databases_password_is_kept_out_of_the_log() -> None:
    environment = {"APP_ENV": "development", "DATABASE_URL": "postgres://user:a%2Fpass+word@db/x", "CHANNELS": "# none"}
    assert "a/pass+word" in settings.load(environment, vendors=VENDORS).secrets()


def test_p42_each_process_has_its_part_of_the_connections_also_while_a_release_doubles_the_processes() -> None:
    def each(**environment: str) -> int:
        fixed = {"APP_ENV": "development", "DATABASE_URL": "postgres://user@db/x", "CHANNELS": "# none"}
        return settings.load({**fixed, **environment}, vendors=VENDORS).connections_each

    assert each() == 18 // 4
    assert each(DELIVERIES="worker") == 18 // 6
    assert each(DELIVERIES="worker", WEB_CONCURRENCY="8") == 2
    assert each(DATABASE_CONNECTIONS="100", DATABASE_PROCESSES="5") == 20
    for name, value in (("DATABASE_CONNECTIONS", "1"), ("DATABASE_PROCESSES", "0"), ("DATABASE_PROCESSES", "x")):
        with pytest.raises(SettingsFault, match=name):
            each(**{name: value})


TOKEN, READ_TOKEN = "token-of-the-operator-01", "token-of-the-reader-0001"


@pytest.mark.parametrize(
    ("tokens", "of_channel", "said"),
    [
        ({"CONSOLE_TOKEN": TOKEN[:23]}, "", "CONSOLE_TOKEN: must have at least 24"),
        ({"CONSOLE_TOKEN": TOKEN, "CONSOLE_READ_TOKEN": READ_TOKEN[:23]}, "", "CONSOLE_READ_TOKEN: must have at least"),
        ({"CONSOLE_TOKEN": TOKEN, "CONSOLE_READ_TOKEN": TOKEN}, "", "CONSOLE_READ_TOKEN: must not be the same as CONS"),
        ({"CONSOLE_READ_TOKEN": READ_TOKEN}, "", "CONSOLE_READ_TOKEN: is of no use without CONSOLE_TOKEN"),
        ({}, READ_TOKEN, "'first'.console_read_token: is of no use without CONSOLE_TOKEN"),
        ({"CONSOLE_TOKEN": TOKEN}, READ_TOKEN[:23], "'first'.console_read_token: must have at least 24"),
        ({"CONSOLE_TOKEN": TOKEN}, TOKEN, "'first'.console_read_token: must not be the same as CONSOLE_TOKEN"),
        ({"CONSOLE_TOKEN": TOKEN, "CONSOLE_READ_TOKEN": READ_TOKEN}, READ_TOKEN, "same as CONSOLE_READ_TOKEN"),
    ],
)
def test_p40_a_token_that_could_be_guessed_or_says_not_who_comes_is_a_fault(
    tokens: dict[str, str], of_channel: str, said: str
) -> None:
    channels = CHANNEL.format(key="key+of+the+first+channel+0000001", gateways='"pipe17"').replace(
        "[channel.pipe17]", f'console_read_token = "{of_channel}"\n[channel.pipe17]'
    )
    with pytest.raises(SettingsFault) as raised:
        settings.load({"APP_ENV": "development", "CHANNELS": channels, **tokens}, vendors=VENDORS)
    [fault] = str(raised.value).splitlines()
    assert said in fault and of_channel + "." not in fault


def test_p20_tokens_of_the_console_are_kept_out_of_the_log() -> None:
    channels = CHANNEL.format(key="key+of+the+first+channel+0000001", gateways='"pipe17"').replace(
        "[channel.pipe17]", 'console_read_token = "token-of-the-channel-001"\n[channel.pipe17]'
    )
    tokens = {"CONSOLE_TOKEN": TOKEN, "CONSOLE_READ_TOKEN": READ_TOKEN}
    loaded = settings.load({"APP_ENV": "development", "CHANNELS": channels, **tokens}, vendors=VENDORS)
    assert {TOKEN, READ_TOKEN, "token-of-the-channel-001"} <= set(loaded.secrets())
    assert all(token not in repr(loaded) for token in (TOKEN, READ_TOKEN, "token-of-the-channel-001"))


def test_of_a_table_what_is_required_stands_first_and_what_is_its_own_before_what_it_inherits() -> None:
    names = [item.name for item in explain(VENDORS["rally"].options, None)]
    required, own, of_any_shop, of_any_key = "organization_id", "base_url", "currency", "patience_s"
    assert [name for name in names if name in (required, own, of_any_shop, of_any_key)] == [
        required, own, of_any_shop, of_any_key,
    ]  # fmt: skip
