"""The building itself: rooms stay apart, and the code keeps its own rules."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Collection
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from app.channel.actions import command_of
from app.domain.commands import COMMANDS, Refund
from app.gateways import EXAMPLE, VENDORS
from tests import ROOT
from tests.seeded_faults import FAULTS
from tests.tiers import LONGEST, SLOW

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [["lint-imports"], ["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=lambda command: " ".join(command),
)
def test_p29_the_rooms_stay_apart_and_the_code_is_clean(command: list[str]) -> None:
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@functools.cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _uses(module: str) -> set[str]:
    found = set()
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(_parsed(path)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name == module or name.startswith(f"{module}.") for name in names):
                found.add(path.relative_to(ROOT / "app").parts[0].removesuffix(".py"))
    return found


def test_p29_what_several_test_modules_need_stands_in_none_of_them() -> None:
    """A helper that is imported from a test module is found by nobody, and its module can neither move nor go.

    A conftest.py holds fixtures, which pytest hands out; nothing is imported from it.
    """
    found = []
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
                named = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                private = [name for name in named if name.startswith(("test_", "conftest"))]
                found += [f"{path.relative_to(ROOT)}: {name}" for name in private]
    assert found == []


MIRRORED = ("cli", "sandbox")
"""Rooms whose tests stand, folder by folder, as their modules do."""


def test_p29_the_tests_of_a_module_are_found_by_its_name() -> None:
    """`cli/verify/keys.py` is tested by `cli/verify/test_keys.py`, a package by the file of its own name."""
    found = []
    for path in (path for room in MIRRORED for path in (ROOT / "tests" / room).rglob("test_*.py")):
        folder = ROOT / "app" / path.relative_to(ROOT / "tests").parent
        subject = path.stem.removeprefix("test_")
        if not (folder / f"{subject}.py").is_file() and not (folder.is_dir() and subject == folder.name):
            found.append(path.relative_to(ROOT).as_posix())
    assert found == []


def test_p29_flask_and_requests_stay_where_they_belong() -> None:
    assert _uses("flask") <= {"callbacks", "console", "docs", "cli", "sandbox", "__init__", "composition", "gateways"}
    assert _uses("requests") <= {"transport", "cli", "sandbox"}
    assert _uses("urllib3") <= {"transport", "cli", "sandbox"}


def _modules() -> dict[str, Path]:
    """Every module of app/ by its dotted name."""
    paths = {path.relative_to(ROOT).with_suffix(""): path for path in (ROOT / "app").rglob("*.py")}
    return {".".join(name.parts).removesuffix(".__init__"): path for name, path in paths.items()}


def _imported(path: Path, modules: Collection[str]) -> set[str]:
    """The modules of ours that this one imports anywhere: in a function and for its types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if names <= set(modules) else {*names, node.module or ""}
    return found & set(modules)


def test_p29_no_two_modules_need_each_other() -> None:
    """Not even for their types: who reads one of a circle has to read all of it."""
    modules = {name: path for name, path in _modules().items() if not name.startswith("app.sandbox")}
    needed = {name: _imported(path, modules) - {name} for name, path in modules.items()}
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {error.args[1]}")


SQL_HAS_A_HOME = {"records", "storefront"}
WITHOUT_SQL = {"Connection", "Row", "URL", "make_url"}
"""What other rooms may import of SQLAlchemy besides its exceptions: they hand connections and rows on."""


def test_p29_sql_stands_in_the_records_and_in_the_storefront() -> None:
    """Other rooms make no statement, run none and know no table."""
    found = set()
    for path in (ROOT / "app").rglob("*.py"):
        name = path.relative_to(ROOT / "app")
        for node in ast.walk(_parsed(path)) if name.parts[0] not in SQL_HAS_A_HOME else ():
            if isinstance(node, ast.ImportFrom) and node.module:
                is_sql = node.module.startswith("sqlalchemy") and node.module != "sqlalchemy.exc"
                knows = {alias.name for alias in node.names} - WITHOUT_SQL if is_sql else set()
                is_sql = bool(knows) or node.module.startswith("app.records.tables")
            elif isinstance(node, ast.Import):
                is_sql = any(alias.name.startswith(("sqlalchemy", "sqlite3", "psycopg")) for alias in node.names)
            else:
                is_sql = isinstance(node, ast.Attribute) and node.attr in ("execute", "exec_driver_sql")
            if is_sql:
                found.add(name.as_posix())
    assert found == set()


ROOMS = {
    "domain", "contract", "callbacks", "channel", "records", "deliveries", "transport", "storefront", "gateways",
    "operations", "console", "docs", "sandbox", "cli",
}  # fmt: skip
"""The folders under app/; import-linter's contracts in pyproject.toml say which may import which."""


def test_p29_every_folder_is_a_room_and_every_vendor_a_folder() -> None:
    assert {path.name for path in (ROOT / "app").iterdir() if path.is_dir() and path.name != "__pycache__"} == ROOMS
    folders = {path.parent.name for path in (ROOT / "app/gateways/vendors").glob("*/__init__.py")}
    assert {*VENDORS, EXAMPLE} == folders
    assert {token: VENDORS[token].token for token in VENDORS} == {token: token for token in folders - {EXAMPLE}}
    for kind in ("codes.toml", "example.toml", "example.env", "UNVERIFIED.md"):
        assert {path.parent.name for path in (ROOT / "app/gateways/vendors").glob(f"*/{kind}")} == folders
    assert {path.parent.name for path in (ROOT / "tests/gateways/vendors").glob("*/target.py")} == folders
    assert {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - TESTS_OF_ALL <= ROOMS


TESTS_OF_ALL = {"benchmarks", "system", "__pycache__"}
"""The folders of tests/ that stand for no folder of app/."""


def test_p29_the_storefront_names_no_vendor() -> None:
    """Citations of a vendor's contract are prose; names, values and texts of the code name no vendor."""
    named = []
    for path in (ROOT / "app" / "storefront").rglob("*.py"):
        tree = _parsed(path)
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in (node for node in ast.walk(tree) if id(node) not in prose):
            words = [value for _, value in ast.iter_fields(node) if isinstance(value, str)]
            named += [(path.name, word) for word in words if any(token in word.casefold() for token in VENDORS)]
    assert named == []


GROUND_FLOOR = {
    "__init__": "`app:create_app()`, and nothing that an import of any module would have to import as well",
    "composition": "composes the rooms",
    "serving": "gunicorn's settings, composition as well",
    "settings": "what the environment says, and the whole configuration of a process",
    "channel_settings": "what the settings of a channel are",
    "channels_file": "what channels.toml says",
    "options": "how any room declares its settings",
    "errors": "the error family that every room raises or catches",
    "logs": "how every room's log lines are written",
    "metrics": "what every room counts",
    "deadline": "handed down from the request to the last byte of a vendor's call",
    "watchdog": "ends waits for vendors (transport) and for the database (records)",
    "terminal": "how a command prints and takes options: `channel`'s own and those in the vendors' folders",
    "addresses": "where a key may be sent: settings, transport and commands",
    "assets": "what browsers fetch of the console and of the documentation, which show the same colours",
    # Four that no single room could own, for rooms that may not import each other share them:
    "clock": "which clock decides what, for records, transport and everything above them (R36)",
    "caller": "whose work this thread does: set by callbacks, read by records when it shares out connections",
    "fair_turns": "the one scheduler of turns: threads (callbacks) and connections (records) are shared out by it",
    "memory": "how a process keeps its memory flat: serving and the worker's command, before the first thread",
}
"""The modules directly under app/ and why each stands in no room."""


def test_p29_the_ground_floor_holds_what_no_room_can_own() -> None:
    assert {path.stem for path in (ROOT / "app").glob("*.py")} == set(GROUND_FLOOR)


NEEDED = """
import contextlib, io, sys
import app.cli
with contextlib.redirect_stdout(io.StringIO()):
    app.cli.cli(["--help"], standalone_mode=False)
print(*sys.modules)
import app.cli.auth_key, app.cli.check, app.cli.deliveries, app.cli.find, app.cli.settings
print(*sys.modules)
"""


def test_a_command_imports_no_more_than_it_needs() -> None:
    """Each would start as slowly as the server does."""
    done = subprocess.run([sys.executable, "-c", NEEDED], cwd=ROOT, capture_output=True, text=True, check=True)
    by_channel, by_commands = (set(line.split()) for line in done.stdout.splitlines())
    assert (
        by_channel & {"sqlalchemy", "flask", "requests", "marshmallow", "rich", "app.records", "app.gateways"} == set()
    )
    assert by_commands & {"app.composition", "app.callbacks", "app.console", "app.docs", "flask", "jsonschema"} == set()


def test_only_the_terminal_lays_out_tables() -> None:
    """A command names rows and columns, so that every table fits its window in the same way."""
    users = [path for path in (ROOT / "app").rglob("*.py") if "rich.table" in path.read_text()]
    assert users == [ROOT / "app" / "terminal.py"]


def test_p29_only_settings_reads_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT / "app"))
        for path in (ROOT / "app").rglob("*.py")
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }
    handed_on = {"cli/demo/stage.py", "cli/env_file.py"}
    assert readers - handed_on == {"settings.py"}, "the demo hands the environment on, and `.env` adds to it"


def test_r36_one_module_reads_the_wall_clock() -> None:
    """What a wrong clock decides is decided wrongly; `app.clock` says which clock decides what."""
    readers = {
        str(path.relative_to(ROOT / "app"))
        for path in (ROOT / "app").rglob("*.py")
        if any(word in path.read_text() for word in ("datetime.now(", "time.time(", "utcnow(", "datetime.today("))
    }
    inside = {name for name in readers if not name.startswith(("sandbox/", "records/migrations/"))}
    assert inside == {"clock.py"}, "the sandboxes are other people's machines, and a migration runs alone"


def test_p46_every_raise_makes_an_exception_of_its_own() -> None:
    """One that is raised twice holds the frames of the first time, with the bodies that stood in them."""
    shared = [
        f"{path}:{node.lineno}"
        for path in sorted((ROOT / "app").rglob("*.py"))
        for node in ast.walk(_parsed(path))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id.isupper()
    ]
    assert shared == []


def test_r35_the_core_keeps_and_finds_everything_by_a_channels_key_and_never_by_its_name() -> None:
    named = {path.name for path in (ROOT / "app" / "channel").rglob("*.py") if "channel.name" in path.read_text()}
    assert named <= {"registration.py"}, "use Channel.key: a channel that was renamed would lose its records"


def test_every_blueprint_of_the_server_gives_every_reply_a_request_id(client) -> None:  # type: ignore[no-untyped-def]
    for path in ("/healthz", "/readyz", "/openapi.json", "/metrics", "/nowhere", "/api/channel/order_pull_v1"):
        assert client.get(path).headers["X-Request-Id"]


def test_the_answer_to_every_verb_is_read_by_the_command_that_owes_it() -> None:
    """All but refunds, whose answers stand in their ledger, and two verbs whose answers leave nothing here."""
    others = {verb for verb, body in COMMANDS.items() if body is Refund} | {"correct_shipment", "record_return"}
    assert {verb for verb in COMMANDS if command_of(verb) is None} == others


def test_every_seeded_fault_names_tests_that_there_are() -> None:
    """A test that was renamed would end the whole run of the faults."""
    named = {(fault.name, test) for fault in FAULTS for test in fault.tests}
    assert [each for each in sorted(named) if not _is_there(each[1])] == []


def _is_there(test: str) -> bool:
    path, _, name = test.partition("::")
    return (ROOT / path).is_file() and f"def {name.partition('[')[0]}(" in (ROOT / path).read_text()


def test_the_longest_test_files_are_where_they_are_said_to_be() -> None:
    """A file that is not found begins late, and the run ends late."""
    assert [place for place in LONGEST if not (ROOT / "tests" / place).is_file()] == []


def test_every_seeded_fault_fits_the_code() -> None:
    """Whether the tests notice them is seen by `python -m tests.seeded_faults`."""
    times = {fault.name: (ROOT / fault.file).read_text().count(fault.old) for fault in FAULTS}
    assert set(times.values()) == {1}, times


STARTS = re.compile(r"sys\.executable|\bplaywright\b|^from tests\.(browser|cli\.processes) ", re.MULTILINE)
"""In the text of a test module: it starts Python processes, or a browser."""


def test_what_starts_processes_or_a_browser_is_marked_slow(request: pytest.FixtureRequest) -> None:
    """So that the quick tests stay quick (`-m "not slow"`); those of PostgreSQL are marked by their mark."""
    tests = ROOT / "tests"
    places = {path.relative_to(tests).as_posix(): path.read_text() for path in tests.rglob("test_*.py")}
    assert [place for place in SLOW if not any(one.startswith(place.partition("::")[0]) for one in places)] == []
    expected = {place for place, text in places.items() if place.startswith("system/") or STARTS.search(text)}
    assert len(expected) > 20
    unmarked = {
        place for place in expected if not any(slow.startswith(place) or place.startswith(slow) for slow in SLOW)
    }
    assert unmarked == set()
    assert request.node.get_closest_marker("slow"), "by its place in the list"
