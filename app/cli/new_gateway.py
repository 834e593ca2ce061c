"""`channel new-gateway`: the folders of a new vendor, copied from those of the made-up Example Shop."""

from __future__ import annotations

import dataclasses
import keyword
import re
from pathlib import Path

import click

from app.channel_settings import Channel
from app.cli import COMMANDS
from app.cli.sandbox import FIRST_PORT
from app.gateways import EXAMPLE, REGISTRY
from app.sandbox import vendors
from app.terminal import Output, json_or_tables

ROOT = Path(__file__).resolve().parents[2]

NAME = re.compile(r"[a-z][a-z0-9_]{1,19}")
"""A token is a folder, a table in channels.toml, a log field and a metric label; lines have room for 20 characters."""

FOLDERS = (Path("app/gateways/vendors"), Path("app/sandbox/vendors"), Path("tests/gateways/vendors"))
"""Where each vendor has a folder of its own."""


@click.command("new-gateway")
@click.argument("name")
@click.option(
    "--into",
    "root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=ROOT,
    help="The checkout of this project to write into.  Default: the one this command runs from.",
)
@json_or_tables
def new_gateway(name: str, root: Path) -> Output:
    """Write the folders of a new vendor: its gateway, its stand-in for `channel sandbox NAME`, and its tests.

    NAME is the vendor's word: lower-case letters, digits and underscores.  They are copies of the made-up Example Shop
    under the new name, so they run and pass all tests at once; put the vendor's own calls in their place.  They are
    found by their names; nothing that exists is changed.
    """
    _refuse_name(name)
    texts = _copies(name, root)
    for place in sorted({path.parent for path in texts}):
        if (root / place).exists() or (root / place).with_suffix(".py").exists():
            raise click.BadParameter(f"{place} exists already; nothing was written", param_hint="NAME")
    for path, text in texts.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    files = list(map(str, texts))
    return Output(
        {"gateway": name, "files": files},
        "Written:",
        *(f"  {file}" for file in files),
        f"Try it: python -m pytest tests/gateways -k {name}",
        f"and:    channel sandbox {name}",
    )


def _refuse_name(name: str) -> None:
    """Raises `click.BadParameter`."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        rule = "must be 2 to 20 lower-case letters, digits or underscores, begin with a letter and be no Python keyword"
        raise click.BadParameter(rule, param_hint="NAME")
    if name in {item.name for item in dataclasses.fields(Channel)}:
        raise click.BadParameter("is the name of a setting of [[channel]] in channels.toml", param_hint="NAME")
    if name in (*REGISTRY, *vendors.names(), EXAMPLE):
        raise click.BadParameter("is a vendor already", param_hint="NAME")
    if name in (*COMMANDS, "all"):
        raise click.BadParameter("is a word of the command line", param_hint="NAME")


def _copies(name: str, root: Path) -> dict[Path, str]:
    """The text of each new file by its place below `root`.  Raises `click.BadParameter` where `root` is no checkout."""
    title = " ".join(part.capitalize() for part in name.split("_"))
    offset = 1 + max(vendors.vendor(known).port_offset for known in (*vendors.names(), EXAMPLE))
    example = vendors.vendor(EXAMPLE).port_offset
    words = {
        EXAMPLE: name,
        EXAMPLE.upper(): name.upper(),
        "ExampleShop": title.replace(" ", ""),
        "Example Shop": title,
        "a made-up shop": "a shop",
        f"port_offset = {example}": f"port_offset = {offset}",
        f":{FIRST_PORT + example}/": f":{FIRST_PORT + offset}/",
    }
    texts = {}
    for folder in FOLDERS:
        copied = folder / EXAMPLE
        found = sorted(path for path in root.glob(f"{copied}/*") if path.is_file())
        if not found:
            raise click.BadParameter(f"there is no {copied}/ below {root}; it must be a checkout", param_hint="--into")
        for path in found:
            text = path.read_text(encoding="utf-8")
            for word, replaced in words.items():
                text = text.replace(word, replaced)
            texts[folder / name / path.name.replace(EXAMPLE, name)] = text
    return texts
