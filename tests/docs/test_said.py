"""What the pages say of commands, settings, codes and addresses is so (P43)."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask

from app.channel_settings import TEST_KEY
from app.cli import cli
from app.docs.library import FOLDER
from app.gateways import VENDORS
from app.settings import ENVIRONMENT_HELP, Channel
from tests import ROOT
from tests.channels import channel_table
from tests.sent_codes import is_registered

PAGES = [ROOT / "README.md", *sorted(FOLDER.rglob("*.md"))]
OURS = [page for page in PAGES if "contracts" not in page.parts and page.name != "commands.md"]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands_in(text: str) -> Iterator[str]:
    """Each `channel ...` of a page: in running text, and in blocks of commands, where a backslash joins lines."""
    for block in re.findall(r"^```sh[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|run |&& )(channel [^#|>&]*)", line)
            if found:
                yield found[1]
    yield from re.findall(r"`(channel [a-z][^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def problem_of(command: str) -> str:
    """Why a command line cannot be typed; "" where it can."""
    here: click.Command = cli
    words = shlex.split(command.replace("\n", " "))[1:]
    while words and isinstance(here, click.Group):
        if words[0].startswith("-") or re.fullmatch(r"[A-Z.…]+", words[0]):
            break
        names = re.split(r"\||\\\|", words[0])
        for name in names:
            inner = here.get_command(click.Context(here), name)
            if inner is None:
                return f"there is no {name}"
        here, words = inner, words[1:]
    options = {spelled.lstrip("-") for param in here.params for spelled in param.opts} | {"help", "version"}
    given = [word.lstrip("-").partition("=")[0] for word in words if re.match(r"--?[a-z]{2}", word)]
    return "".join(f"no option {word}" for word in given if word not in options)


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_p43_every_command_of_a_page_can_be_typed(page: Path) -> None:
    lost = {command: why for command in commands_in(text_of(page)) if (why := problem_of(command))}
    assert lost == {}


def test_p43_a_command_that_cannot_be_typed_is_noticed() -> None:
    assert problem_of("channel deliveries list --state owed") == ""
    assert problem_of("channel deliveries lost") and problem_of("channel nothing")
    assert problem_of("channel deliveries list --colour") == "no option colour"
    assert list(commands_in("`channel check`\n```sh\nchannel send X \\\n  --set a=b  # why\n```\n")) == [
        "channel send X    --set a=b  ", "channel check"
    ]  # fmt: skip


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_p43_every_code_of_a_page_is_registered(page: Path) -> None:
    """Other words in the form of `LATE_DONE` are variables: the server's own, and examples of a vendor's keys."""
    named = set(re.findall(r"`([A-Z]{3,}(?:_[A-Z]+)+)`", text_of(page)))
    others = {*ENVIRONMENT_HELP, TEST_KEY, "STOCK_STALE", "MALLOC_ARENA_MAX"}
    of_vendors = re.compile("|".join(f"{token.upper()}_" for token in VENDORS))
    assert sorted(word for word in named - others if not of_vendors.match(word) and not is_registered(word)) == []


def settings_in(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Place and name of each setting of an example."""
    tables = document.get("channel", {})
    for table in tables if isinstance(tables, list) else [tables]:
        for name, value in table.items():
            if name in VENDORS:
                yield from ((name, setting) for setting in value)
            else:
                yield "channel", name


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_p43_every_setting_of_an_example_exists(page: Path) -> None:
    declared = {token: {field.name for field in fields(VENDORS[token].options)} for token in VENDORS}
    declared["channel"] = {field.name for field in fields(Channel)}
    for example in re.findall(r"^```toml\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL):
        found = list(settings_in(tomllib.loads(example)))
        assert found, "an example of settings has some"
        assert [(place, name) for place, name in found if name not in declared[place]] == []


def test_p43_readme_is_short_and_its_links_lead_into_the_package() -> None:
    """So that they lead somewhere on a Git host and in a wheel."""
    readme = text_of(ROOT / "README.md")
    assert len(readme.encode()) < 3_600
    links = re.findall(r"\]\(([^)\s]+)\)", readme)
    assert len(links) > 10
    assert [link for link in links if not (link.startswith("app/") and (ROOT / link).is_file())] == []


def test_p43_every_address_of_the_server_is_listed(build_app: Callable[..., Flask]) -> None:
    """By its first part: what stands below it is said there, or in the vendor's contract."""
    vendors = """
[channel.retailrocket]
partner_id = "5a4db0c25a4db0c25a4db0c2"
"""
    table = channel_table("http://127.0.0.1:9", more='webhook_path_key = "0123456789abcdef01234567"')
    table = table.replace('gateways = ["pipe17"]', 'gateways = ["pipe17", "retailrocket"]') + vendors
    app = build_app(table, CONSOLE_TOKEN="console+token+of+a+test+0001")
    page = text_of(FOLDER / "reference" / "http.md")
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    first = {rule.split("/")[1] for rule in rules}
    assert {"api", "console", "docs", "pipe17", "feeds", "metrics"} <= first
    assert sorted(part for part in first if f"/{part}" not in page) == []
    of_console = {found for page in PAGES for found in re.findall(r"`(/console/[a-z]*)`", text_of(page))}
    assert len(of_console) > 8 and of_console <= rules
