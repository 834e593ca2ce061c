"""What a run sends: schema files and fixtures, collected the way the SDK's tool collects them (contract 1.7)."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from app.contract.problems import Schema
from app.errors import ChannelError


class NoPlan(ChannelError):
    """Nothing can be verified so; the message names the flag or the file to change."""


@dataclass(frozen=True)
class Case:
    """One fixture for one link: where it goes and what both sides must satisfy."""

    callback: str
    fixture: Path
    href: str
    request_schema: Schema
    answer_schema: Schema


@dataclass(frozen=True)
class Plan:
    """The cases in the order they run, and the callbacks that nothing would test."""

    cases: tuple[Case, ...]
    without_fixture: tuple[str, ...]


def make_plan(schema_path: Path, tests_path: Path, actions: str) -> Plan:
    """Collect what `--schema-path`, `--tests-path` and `--actions` name.

    Raises `NoPlan`: no schema, no fixture, an action that no schema has, a file that is no hyper-schema.
    """
    cases: list[Case] = []
    without_fixture: list[str] = []
    files = _chosen(_schema_files(schema_path), actions)
    for file in files:
        links = _links(file)
        folder = tests_path if tests_path.is_dir() else file.parent
        fixtures = sorted(folder.glob(f"{glob.escape(file.stem)}_ex_*.json"))
        if not fixtures:
            without_fixture.append(_callback(file))
        for fixture in fixtures:
            for link in links:
                cases.append(
                    Case(_callback(file), fixture, link["href"], link["schema"], link["targetSchema"]),
                )
    if not cases:
        raise NoPlan(f"--tests-path: {tests_path} holds no <callback>_v1_ex_<n>.json for these schemas")
    return Plan(tuple(cases), tuple(without_fixture))


def _schema_files(schema_path: Path) -> list[Path]:
    if schema_path.is_file():
        return [schema_path]
    files = sorted(schema_path.glob("*v1.json"))
    if not files:
        raise NoPlan(f"--schema-path: {schema_path} is neither a schema file nor a folder of <callback>_v1.json")
    return files


def _chosen(files: list[Path], actions: str) -> list[Path]:
    """The files that match, pattern by pattern; one that matches two patterns is tested once."""
    if not actions.strip():
        return files
    chosen: dict[Path, None] = {}
    for action in (entry.strip() for entry in actions.split(",")):
        matching = [file for file in files if fnmatchcase(file.name, f"*{action}*v1.json")] if action else []
        if not matching:
            known = ", ".join(_callback(file) for file in files)
            raise NoPlan(f"--actions: no schema is named like '{action}'; known: {known}")
        chosen.update(dict.fromkeys(matching))
    return list(chosen)


def _callback(file: Path) -> str:
    return file.stem.removesuffix("_v1")


def _links(file: Path) -> list[dict[str, Any]]:
    try:
        document = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, ValueError) as error:
        raise NoPlan(f"{file}: cannot be read as a JSON object") from error
    return list(_checked(document.get("links"), file))


def _checked(links: object, file: Path) -> Iterator[dict[str, Any]]:
    if not isinstance(links, list) or not links:
        raise NoPlan(f"{file}: links must be a list that is not empty")
    for index, link in enumerate(links):
        if not isinstance(link, dict) or not isinstance(link.get("href"), str):
            raise NoPlan(f"{file}: links[{index}].href must be text")
        for key in ("schema", "targetSchema"):
            if not isinstance(link.get(key), dict):
                raise NoPlan(f"{file}: links[{index}].{key} must be a schema")
        yield link
