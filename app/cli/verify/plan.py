"""What a run sends: schema files and fixtures, found where the SDK's tool finds them (SDK contract 1.7)."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec

from app.cli.verify.reference import Reference
from app.contract.problems import Schema
from app.errors import ChannelError


class NoPlan(ChannelError):
    """Nothing can be verified so; the message names the flag or the file to change."""


class Link(msgspec.Struct, dict=True, eq=False):
    """One address of a schema file and what both sides must satisfy, compiled when first used."""

    href: str
    schema: Schema
    target_schema: Schema = msgspec.field(name="targetSchema")
    method: Any = None

    @cached_property
    def request(self) -> Reference:
        """Raises `BadSchema`.  Nothing that comes in is held to a format (R7)."""
        return Reference(self.schema, {})

    @cached_property
    def answer(self) -> Reference:
        """Raises `BadSchema`."""
        return Reference(self.target_schema)


class Document(msgspec.Struct):
    """What is needed of a schema file; its definitions are put into every schema, as the SDK's tool does it."""

    links: Annotated[list[Link], msgspec.Meta(min_length=1)]
    definitions: Any = None

    def __post_init__(self) -> None:
        for link in self.links if isinstance(self.definitions, dict) else ():
            link.schema |= {"definitions": self.definitions}
            link.target_schema |= {"definitions": self.definitions}


@dataclass(frozen=True)
class Case:
    """One fixture for one link.  `is_first_of_callback`: the one that carries what is tried once per callback."""

    callback: str
    fixture: Path
    link: Link
    is_first_of_callback: bool


@dataclass(frozen=True)
class Plan:
    """The cases in the order they run, the callbacks that nothing would test, and what else is to be reported."""

    cases: tuple[Case, ...]
    without_fixture: tuple[str, ...]
    doubts: tuple[str, ...] = ()


def make_plan(schema_path: Path, tests_path: Path, actions: str) -> Plan:
    """Collect what `--schema-path`, `--tests-path` and `--actions` name.

    Raises `NoPlan`: no schema, no fixture, an action that no schema has, a file that is no hyper-schema.
    """
    cases: list[Case] = []
    without_fixture: list[str] = []
    documents = {file: _document(file) for file in _chosen(schema_files(schema_path), actions)}
    for file, document in documents.items():
        fixtures = fixtures_of(file, tests_path)
        if not fixtures:
            without_fixture.append(callback_of(file))
        for fixture in fixtures:
            cases.extend(Case(callback_of(file), fixture, link, fixture is fixtures[0]) for link in document.links)
    if not cases:
        raise no_fixtures(tests_path)
    return Plan(tuple(cases), tuple(without_fixture), tuple(_doubts(documents)))


def _doubts(documents: Mapping[Path, Document]) -> Iterator[str]:
    """What the SDK's tool minds in schema files by which a server can be judged all the same."""
    undefined = [file.name for file, document in documents.items() if not isinstance(document.definitions, dict)]
    if undefined:
        yield f'the SDK\'s own tool cannot use {", ".join(undefined)}: add "definitions": {{}} at the top'
    others = [
        file.name
        for file, document in documents.items()
        if any(str(link.method).upper() != "POST" for link in document.links)
    ]
    if others:
        yield f"the SDK's own tool would not POST for {', '.join(others)}: a link's method must be post"


def no_fixtures(tests_path: Path) -> NoPlan:
    return NoPlan(f"--tests-path: {tests_path} holds no <callback>_v1_ex_<n>.json for these schemas")


def fixtures_of(file: Path, tests_path: Path) -> list[Path]:
    """The fixtures of a schema file, in `tests_path` or, if that is no folder, beside it."""
    folder = tests_path if tests_path.is_dir() else file.parent
    return sorted(folder.glob(f"{glob.escape(file.stem)}_ex_*.json"))


def schema_files(schema_path: Path) -> list[Path]:
    """Raises `NoPlan` where there is none."""
    if schema_path.is_file():
        return [schema_path]
    files = sorted(schema_path.glob("*v1.json"))
    if not files:
        raise NoPlan(f"--schema-path: {schema_path} is neither a schema file nor a folder of <callback>_v1.json")
    return files


def matching(files: list[Path], actions: str) -> list[Path]:
    """The files whose name contains an entry of the list, entry by entry."""
    if not actions:
        return files
    return [file for entry in actions.split(",") for file in files if fnmatchcase(file.name, f"*{entry}*v1.json")]


def _chosen(files: list[Path], actions: str) -> list[Path]:
    """The same, but an entry that matches nothing is an error and a file that two match is tested once."""
    if not actions.strip():
        return files
    chosen: dict[Path, None] = {}
    for entry in (entry.strip() for entry in actions.split(",")):
        named = matching(files, entry) if entry else []
        if not named:
            known = ", ".join(callback_of(file) for file in files)
            raise NoPlan(f"--actions: no schema is named like '{entry}'; known: {known}")
        chosen.update(dict.fromkeys(named))
    return list(chosen)


def callback_of(file: Path) -> str:
    """The callback a schema file is for."""
    return file.stem.removesuffix("_v1")


def _document(file: Path) -> Document:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Document)
    except (OSError, ValueError) as error:
        raise NoPlan(f"{file}: cannot be used as a schema file: {error}") from error
