"""Every code that the server sends stands in the registry, which `/docs/reference/codes` shows (P43)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import errors
from app.docs.generated.codes import of_vendor
from app.domain import codes
from app.domain.events import Event
from app.gateways import EXAMPLE, REGISTRY
from app.settings import ENVIRONMENT_HELP
from tests.sent_codes import APP, is_registered, registered, watch

ROOMS_THAT_SEND_NONE = {"cli", "sandbox", "docs", "console", "schemas", "verifier_fixtures"}
"""`channel verify` judges other servers in words of its own, and a sandbox answers as its vendor does."""

SENDERS = {
    "Event", "HttpError", "Refused", "Unavailable", "Misconfigured", "BrokenReply", "NotOurs", "Fault", "Note",
    "error_reply", "broken", "report", "_refusal", "_settled", "_said", "HookRefused",
}  # fmt: skip
"""What is called with a code."""

NO_CODES = {
    "RETAILOPS_SDK", "CLOCK_BOOTTIME", "FLASK_RUN_FROM_CLI", "REST_OF_WORLD", "DYNO", *ENVIRONMENT_HELP,
    # The keys of WSGI.
    "CONTENT_LENGTH", "CONTENT_TYPE", "PATH_INFO", "QUERY_STRING", "RAW_URI", "REMOTE_ADDR", "REMOTE_PORT",
    "REQUEST_METHOD", "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL",
}  # fmt: skip
"""Words in the form of a code that are none, besides SQLite's (SQLITE_BUSY)."""

OF_HTTP = {
    "BAD_REQUEST", "EXPECTATION_FAILED", "METHOD_NOT_ALLOWED", "REQUEST_HEADER_FIELDS_TOO_LARGE", "URI_TOO_LONG",
}  # fmt: skip
"""Codes that are made of the name of an HTTP status."""

OF_STATES = {"ORDER_COMPLETED", "ORDER_REFUNDED"}
"""Codes that are made of the state of an order."""

TWO_WORDS = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
WORD = re.compile(r"[A-Z][A-Z0-9_]+[A-Z0-9]")


def modules() -> Iterator[tuple[Path, str | None, ast.Module]]:
    """Each module that may send a code, and the vendor whose it is."""
    for path in sorted(APP.rglob("*.py")):
        parts = path.relative_to(APP).parts
        token = parts[2] if parts[:2] == ("gateways", "vendors") and len(parts) > 3 else None
        is_of_the_terminal = token is not None and parts[3] == "commands.py"
        if parts[0] not in ROOMS_THAT_SEND_NONE and not is_of_the_terminal and "migrations" not in parts:
            yield path, token, parsed(path)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def texts(tree: ast.AST) -> Iterator[str]:
    """The literals of the code, without docstrings and names in `__all__`."""
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree.value
    if isinstance(tree, ast.Expr) and isinstance(tree.value, ast.Constant):
        return
    if isinstance(tree, ast.Assign) and "__all__" in {getattr(target, "id", "") for target in tree.targets}:
        return
    for part in ast.iter_child_nodes(tree):
        yield from texts(part)


def families(tree: ast.AST) -> Iterator[str]:
    """What codes that are put together begin with: "HTTP_*" of f"HTTP_{status}"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            begin = str(node.values[0].value)
            if re.fullmatch(r"[A-Z]+_", begin):
                yield f"{begin}*"


def sent(tree: ast.AST) -> Iterator[str]:
    """The words that senders are given in a code's form, with an underscore or without."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for given in [*node.args, *(keyword.value for keyword in node.keywords)] if name in SENDERS else ():
                yield from (word for word in texts(given) if WORD.fullmatch(word))


def test_p43_every_code_in_the_source_is_registered_where_it_is_sent() -> None:
    """A vendor's gateway sends codes of the core and its own; the core sends no vendor's."""
    lost = []
    for path, token, tree in modules():
        words = {word for word in texts(tree) if TWO_WORDS.fullmatch(word) and not word.startswith("SQLITE_")}
        found = (words - NO_CODES) | set(sent(tree)) | (set(families(tree)) - {"ORDER_*"})
        lost += [f"{path.relative_to(APP)}: {word}" for word in sorted(found) if not is_registered(word, token)]
    assert lost == [], "explain each in app/domain/codes.toml, or codes.toml of the vendor"


def test_p43_no_code_is_registered_that_nothing_sends() -> None:
    written: dict[str | None, set[str]] = {}
    for _, token, tree in modules():
        written.setdefault(token, set()).update(texts(tree), families(tree))
    everywhere = set().union(*written.values()) | OF_HTTP | OF_STATES
    assert sorted(registered() - everywhere - {f"LATE_{word}" for word in everywhere}) == []
    for token in (*REGISTRY, EXAMPLE):
        assert sorted(registered(token) - registered() - written[token]) == [], token


@pytest.mark.parametrize("token", [None, *REGISTRY, EXAMPLE])
def test_p43_who_acts_is_told_how(token: str | None) -> None:
    found = codes.read() if token is None else of_vendor(token)
    for subject, group in found.items():
        for name, code in group.items():
            assert code.meaning.endswith("."), (subject, name)
            assert (code.action == "") == (code.actor == "nobody") or code.action, (name, "who acts has to be told how")


def test_p43_an_error_with_a_code_of_no_entry_is_noticed() -> None:
    with watch() as unknown:
        errors.overloaded()
        errors.Refused("OF_A_TEST", "made by a test, which may")
        assert unknown == []
        exec(compile("errors.Refused('OF_NOBODY', 'made by the server')", str(APP / "nowhere.py"), "exec"))
    assert unknown == ["OF_NOBODY"]
    assert not is_registered(Event("info", "OF_NOBODY", "").code)
