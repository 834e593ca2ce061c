"""`channel new-gateway`: a folder that passes the conformance suite at once and shows where to write."""

from __future__ import annotations

import dataclasses
import keyword
import re
from pathlib import Path
from string import Template

import click
import msgspec

from app.gateways import REGISTRY
from app.settings import Channel
from app.terminal import json_option, print_json

TEMPLATES = Path(__file__).parent / "templates"
ROOT = Path(__file__).resolve().parents[2]

FILES = ("__init__.py", "gateway.py", "options.py", "payloads.py", "UNVERIFIED.md")
"""What is written into the gateway's own folder; each has a template of its name."""

NAME = re.compile(r"[a-z][a-z0-9_]{1,19}")
"""A token is a folder, a table in channels.toml, a log field and a metric label; its templates have room for 20."""

_VENDORS = Path("app/gateways/vendors")
_TESTS = Path("tests/gateways")
_OWN_IMPORTS = re.compile(r"(?:^from app\..*\n)+", re.MULTILINE)


class Made(msgspec.Struct, frozen=True):
    """What was written."""

    gateway: str
    files: list[str]


@click.command("new-gateway", short_help="Write the folder of a new vendor.")
@click.argument("name")
@click.option(
    "--into",
    "root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=ROOT,
    help="The checkout of this project to write into.  Default: the one this command runs from.",
)
@json_option
def new_gateway(name: str, root: Path, as_json: bool) -> None:
    """Write the folder of a new vendor, app/gateways/vendors/NAME, and what its conformance test needs.

    NAME is the vendor's word: lower-case letters, digits and underscores.  The new gateway talks to an
    invented API, passes tests/gateways/test_conformance.py as it is, and says in comments ("Write here")
    what belongs where.  The registry finds it by its folder; nothing that exists is overwritten.
    """
    _refuse_name(name)
    for needed in (_VENDORS, _TESTS):
        if not (root / needed).exists():
            raise click.BadParameter(f"there is no {needed} below {root}; it must be a checkout", param_hint="--into")
    folder, target = _VENDORS / name, _TESTS / f"target_{name}.py"
    for made in (folder, folder.with_suffix(".py"), target):
        if (root / made).exists():
            raise click.BadParameter(f"{made} exists already; nothing was written", param_hint="NAME")
    texts = {folder / file: _filled(f"{file}.txt", name) for file in FILES}
    texts[target] = _filled("target.py.txt", name)
    (root / folder).mkdir()
    for path, text in texts.items():
        (root / path).write_text(text, encoding="utf-8")
    _tell(Made(name, [str(path) for path in texts]), as_json)


def _refuse_name(name: str) -> None:
    """Raises `click.BadParameter`."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        rule = "must be 2 to 20 lower-case letters, digits or underscores, begin with a letter and be no Python keyword"
        raise click.BadParameter(rule, param_hint="NAME")
    if name in {item.name for item in dataclasses.fields(Channel)}:
        raise click.BadParameter("is the name of a setting of [[channel]] in channels.toml", param_hint="NAME")
    if name in REGISTRY:
        raise click.BadParameter("is a gateway already", param_hint="NAME")


def _filled(template: str, name: str) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    filled = Template(text).substitute(token=name, Name="".join(part.capitalize() for part in name.split("_")))
    # Where the vendor's own modules stand among the imports depends on its name.
    return _OWN_IMPORTS.sub(lambda block: "".join(sorted(block[0].splitlines(keepends=True), key=_module)), filled)


def _module(line: str) -> str:
    return line.split()[1]


def _tell(made: Made, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    click.echo("Written:")
    for file in made.files:
        click.echo(f"  {file}")
    click.echo(f"Try it: python -m pytest tests/gateways/test_conformance.py -k {made.gateway}")
