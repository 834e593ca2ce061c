"""`channel settings` tells everything that can be set and everything that is wrong, and never a secret."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from app import cli
from app.channel_settings import Channel
from app.gateways import VENDORS
from app.options import read_table
from app.settings import ENVIRONMENT_HELP
from tests.command_line import unset_ours

CANARY = "cAnArY0123456789"

SOUND = {
    "APP_ENV": "production",
    "DATABASE_URL": f"postgresql://user:{CANARY}@db.example.com/channel",
    "CONSOLE_TOKEN": f"{CANARY}console0",
    "CONSOLE_READ_TOKEN": f"{CANARY}reader00",
    "PORT": "8080",
    "EU_KEY": f"{CANARY}eu",
    "CHANNELS": f"""
        [[channel]]
        name = "pipe17-eu"
        client_id = 1201
        channel_id = 32
        auth_keys = ["${{EU_KEY}}"]
        gateways = ["pipe17"]
        [channel.pipe17]
        api_key = "{CANARY}pipe17"
        default_currency = "EUR"
        """,
}


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unset_ours(monkeypatch)
    monkeypatch.chdir(tmp_path)


def run(*args: str, **env: str) -> Result:
    return CliRunner().invoke(cli.cli, ["settings", *args], env=env)


def rows(result: Result) -> dict[tuple[str, str], dict[str, Any]]:
    tables = msgspec.json.decode(result.stdout)["tables"]
    return {(table["table"], row["name"]): row for table in tables for row in table["settings"]}


def test_p23_every_malformed_setting_is_told_at_once_with_its_name_and_never_its_value() -> None:
    wrong = {
        "APP_ENV": f"{CANARY}env",
        "PUBLIC_URL": f"ftp://{CANARY}/path",
        "DATABASE_URL": f"mysql://user:{CANARY}@db/channel",
        "CHANNELS": f"""
            surplus = 1
            [[channel]]
            name = "Upper Case"
            client_id = "{CANARY}"
            channel_id = 1.5
            auth_keys = []
            gateways = ["pipe17"]
            sku_fanout = "{CANARY}"
            colour = "{CANARY}"
            [[channel]]
            name = "second"
            client_id = 497
            channel_id = 21
            auth_keys = ["{CANARY}_underscore"]
            gateways = ["pigeon"]
            [[channel]]
            name = "third"
            auth_keys = ["${{NOWHERE_SET}}"]
            """,
        "PORT": f"{CANARY}",
        "VERIFY_KEY": "yes",
        "MAX_BODY": "1",
        "DELIVERIES": "sometimes",
        "LOG_LEVEL": "loud",
        "WEB_CONCURRENCY": "0",
        "WEB_THREADS": "1",
        "CONSOLE_TOKEN": f"{CANARY}token",
        "CONSOLE_READ_TOKEN": f"{CANARY}token",
    }
    result = run(**wrong)
    assert result.exit_code == 2
    told = result.stderr
    for name in wrong:
        assert name in told
    for place in (
        "surplus",
        "'Upper Case'.client_id", ".channel_id", ".auth_keys", ".sku_fanout", ".colour",
        "'second'.auth_keys", "pigeon", "client_id and channel_id are", "'third' names ${NOWHERE_SET}",
        "'third'.gateways",
    ):  # fmt: skip
        assert place in told, place
    assert CANARY not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({}, ["DATABASE_URL", "CHANNELS_FILE"]),
        ({"APP_ENV": "development", "CHANNELS_FILE": "elsewhere.toml"}, ["elsewhere.toml", "CHANNELS_FILE"]),
        ({"APP_ENV": "development", "CHANNELS": "[[channel]"}, ["CHANNELS: not TOML"]),
        ({"APP_ENV": "development", "DYNO": "web.1"}, ["DATABASE_URL", "SQLite"]),
    ],
)
def test_p23_what_is_missing_or_cannot_be_read_is_named(env: dict[str, str], named: list[str]) -> None:
    result = run(**env)
    assert result.exit_code == 2
    for name in named:
        assert name in result.stderr
    assert CANARY not in result.output


def test_p23_whatever_value_a_key_cannot_have_is_answered_with_the_rule_in_words_of_the_file() -> None:
    declared = [Channel, *(VENDORS[token].options for token in VENDORS)]
    wrong = (None, True, -5, 1.5, "", "?", [], [None], ["?"], [[]], [{}], [{"colour": 1}], {}, {"colour": []}, date.min)
    faults: list[str] = []
    for table in declared:
        for item in fields(table):
            for value in wrong:
                read_table(table, {item.name: value, "colour": value}, "", faults)
    rules = {fault.partition(": ")[2] for fault in faults}
    assert all(re.match("must |is missing$|is no setting here", rule) for rule in rules), rules
    assert len(rules) > 20


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('nam = "x"', "number 1.nam: is no setting here; did you mean name?"),
        ("client_id = -1", "client_id: must be 0 or more and at most"),
        ('gateways = "pipe17"\n[channel.pipe17]', "gateways: must be a list"),
        ('shop_url = "${SHOP-URL}"', "shop_url: a variable is written as ${NAME}"),
        ('shop_url = "$SHOP_URL"', "shop_url: a variable is written as ${NAME}"),
        ('auth_keys = ["${NOWHERE_SET}"]', "names ${NOWHERE_SET}, which is not set"),
        (f"colour = {'[' * 5000}{']' * 5000}", "nested too deeply"),
    ],
)
def test_p23_one_mistake_in_the_file_is_one_fault_that_says_how_it_is_written(text: str, rule: str) -> None:
    faults = msgspec.json.decode(run("--json", APP_ENV="development", CHANNELS=f"[[channel]]\n{text}").stdout)["faults"]
    [found] = [fault for fault in faults if not fault.endswith(": is missing")]
    assert rule in found


def test_p23_a_file_as_any_editor_saves_it_is_read_or_named_with_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.toml"
    for encoding, fault in (("utf-8-sig", ""), ("utf-16", "is no text in UTF-8")):
        file.write_text("# Käse\r\n", encoding=encoding)
        result = run(APP_ENV="development", CHANNELS_FILE=str(file))
        assert (result.exit_code, f"{file}: {fault}" in result.stderr) == ((2, True) if fault else (0, False))


def test_p23_an_unknown_app_env_is_one_fault_and_an_address_with_a_password_is_none_to_be_public() -> None:
    assert run(APP_ENV="prod").stderr == "channel: APP_ENV: must be one of production, development, demo\n"
    for address in (f"https://user:{CANARY}@shop.example", "http://[::1", "https://shop.example:99999", "https://a b"):
        result = run(APP_ENV="development", PUBLIC_URL=address)
        assert "PUBLIC_URL: must be http(s)://host[:port]" in result.stderr and CANARY not in result.output


def test_a_faulty_configuration_as_json_holds_all_faults_and_no_value() -> None:
    result = run("--json", PORT="none", LOG_LEVEL=CANARY)
    shown = msgspec.json.decode(result.stdout)
    assert result.exit_code == 2
    assert shown["ok"] is False
    assert {fault.partition(":")[0] for fault in shown["faults"]} == {
        "DATABASE_URL", "channels.toml", "PORT", "LOG_LEVEL",
    }  # fmt: skip
    assert all(row["value"] is None for row in rows(result).values())
    assert CANARY not in result.output


def test_every_variable_and_every_key_is_shown_with_meaning_value_and_default() -> None:
    result = run("--json", **SOUND)
    assert result.exit_code == 0, result.output
    shown = rows(result)
    declared = {("environment", name) for name in ENVIRONMENT_HELP}
    declared |= {("channel", item.name) for item in fields(Channel) if item.metadata}
    declared |= {("channel.pipe17", item.name) for item in fields(VENDORS["pipe17"].options) if item.metadata}
    assert shown.keys() >= declared
    assert all(row["meaning"] for row in shown.values())
    assert (shown["environment", "PORT"]["value"], shown["environment", "PORT"]["default"]) == ("8080", "5000")
    assert shown["channel", "name"]["value"] == "pipe17-eu"
    assert shown["channel", "name"]["default"] == "(required)"
    assert shown["channel.pipe17", "default_currency"]["value"] == "EUR"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_p20_secrets_show_only_as_set_or_not_set(form: tuple[str, ...]) -> None:
    result = run(*form, **SOUND)
    assert result.exit_code == 0
    assert CANARY not in result.output
    assert "\x1b[" not in result.output
    values = {place: row["value"] for place, row in rows(run("--json", **SOUND)).items()}
    for place in (
        ("environment", "DATABASE_URL"), ("environment", "CONSOLE_TOKEN"), ("environment", "CHANNELS"),
        ("environment", "CONSOLE_READ_TOKEN"),
        ("channel", "auth_keys"), ("channel.pipe17", "api_key"),
    ):  # fmt: skip
        assert values[place] == "set"
    without = {name: value for name, value in SOUND.items() if not name.startswith("CONSOLE_")}
    assert rows(run("--json", **without))["environment", "CONSOLE_TOKEN"]["value"] == "not set"
