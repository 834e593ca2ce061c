"""What a server makes once and a run of tests would make thousands of times: made once for a whole run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from werkzeug.routing import Rule

from app.records import engines
from tests import ROOT


def keep_for_the_run() -> None:
    """Let all applications of this process share what they compile."""
    Rule._compile_builder = _builders_made_once(Rule._compile_builder)  # type: ignore[method-assign]
    engines.create_engine = partial(engines.create_engine, execution_options={"compiled_cache": _CompiledStatements()})  # type: ignore[attr-defined]


def import_all(paths: Iterable[Path]) -> None:
    """Import some of the test modules, before all processes of a run import all of them.

    On a fresh clone pytest compiles a test module at its first import, which takes longer than all else of collecting;
    in one common order every process would compile every module.
    """
    for path in paths:
        # What cannot be imported is reported when it is collected.
        with suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


class _CompiledStatements(dict[tuple[Any, ...], Any]):
    """SQLAlchemy's cache of compiled statements, shared by all engines of a kind: a server has one, tests thousands.

    Its keys begin with the dialect object, of which each engine has its own.
    """

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), compiled)


def _builders_made_once(compile_builder: Callable[..., Any]) -> Callable[..., Any]:
    """werkzeug compiles a function per URL rule that writes its addresses: made once a run, not once an application.

    The function takes the rule itself as its first argument; only defaults would become part of it.
    """
    made: dict[tuple[Any, ...], Any] = {}

    def compiled(rule: Rule, append_unknown: bool = True) -> Any:
        if rule.defaults:
            return compile_builder(rule, append_unknown)
        key = (rule.rule, *rule._trace, append_unknown)
        if key not in made:
            made[key] = compile_builder(rule, append_unknown)
        return made[key]

    return compiled
