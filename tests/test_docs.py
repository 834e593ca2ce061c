"""The pages of `app/docs`: what code, tests and pages cite by number is explained there, every link is good (P43)."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT

DOCS = ROOT / "app" / "docs"
EXPLAIN = DOCS / "explain"

PEERS = {"SDK": "retailops", "Rally": "rally", "Pipe17": "pipe17", "Retail Rocket": "retailrocket"}
"""Page below `contracts` by the word before "contract", which only a vendor's own files may leave out."""

ONE = r"(?:(?:section|block|row)\s+)?(?:\d+(?:\.\d+)*|[A-Z]{1,2}(?:\.\d+)?)\b"
OTHERS = rf"(?:(?:,?\s+(?:and\s+|to\s+)?){ONE})*"
SECTIONS = re.compile(
    rf"(?:(SDK|Rally|Pipe17|Retail\s+Rocket)\s+)?[Cc]ontract(?:,(?=\s+(?:section|block)))?\s+({ONE}{OTHERS})"
)
RULE_OR_PROMISE = re.compile(r"\b[RP]\d{1,2}\b")
FIGURE = re.compile(r"\b[ABCDESV]\d{1,2}b?\b")
OF_A_TEST = re.compile(r"test_([prs]\d+b?)_")


def files() -> list[Path]:
    found = [ROOT / name for name in ("README.md", "pyproject.toml", "Procfile", "app.json")]
    for folder in ("app", "tests", "schemas", ".ci", ".github"):
        kinds = {"", ".py", ".md", ".txt", ".toml", ".json", ".html", ".env", ".yml", ".yaml"}
        found += [path for path in (ROOT / folder).rglob("*") if path.suffix in kinds and path.is_file()]
    return sorted(path for path in found if path.exists() and "__pycache__" not in path.parts)


@cache
def headings(page: Path) -> list[str]:
    return re.findall(r"^#{1,6} +(.+?) *$", page.read_text(encoding="utf-8"), re.MULTILINE)


def marks(page: str) -> set[str]:
    """What headings of a page begin with: "R13", "1.6", "A.3"; "block P" for one of that name."""
    titles = headings(EXPLAIN / page)
    return {title.lower() if title.startswith("Block ") else title.split(" ")[0].rstrip(".") for title in titles}


def anchors(page: Path) -> set[str]:
    """The ids that Markdown readers give to headings, GitHub's way."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings(page)}


def sentences(path: Path) -> Iterator[str]:
    """Comments and docstrings of Python, the whole text of other files."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def peer(path: Path, word: str | None) -> str | None:
    """The page that a citation means; None where it does not say whose contract it is."""
    if word:
        return PEERS[" ".join(word.split())]
    for part in path.relative_to(ROOT).parts:  # a folder's name counts before that of a file in it
        for page in PEERS.values():
            if re.search(rf"(?<![a-z]){page}(?![a-z])", part):
                return page
    return None


def missing_sections(page: str, cited: str) -> list[str]:
    known, text = marks(f"contracts/{page}.md"), (EXPLAIN / "contracts" / f"{page}.md").read_text(encoding="utf-8")
    missing = []
    section = ""
    for kind, name in re.findall(r"(section|block|row)?\s*\b(\d+(?:\.\d+)*|[A-Z]{1,2}(?:\.\d+)?)\b", cited):
        if kind == "row":
            part = re.split(r"^#+ ", text.split(f"# {section} ", 1)[-1], maxsplit=1, flags=re.MULTILINE)[0]
            found = f"\n| {name} |" in part
        elif kind == "block":
            found = f"block {name.lower()}" in known
        else:
            section, found = name, name in known
        if not found:
            missing.append(f"{kind} {name}".strip())
    return missing


def test_p43_every_cited_rule_promise_and_figure_is_a_heading() -> None:
    known = marks("rules.md") | marks("promises.md")
    figures = marks("figures.md") | known
    lost = []
    for path in files():
        text = path.read_text(encoding="utf-8")
        cited = {mark for mark in RULE_OR_PROMISE.findall(text) if mark not in known}
        if set(FIGURE.findall(text)) - figures:  # in code they may be data: order numbers, SKUs
            cited |= {mark for part in sentences(path) for mark in FIGURE.findall(part) if mark not in figures}
        cited |= {name for name in OF_A_TEST.findall(text) if name.capitalize() not in figures}
        lost += [f"{path.relative_to(ROOT)}: {mark}" for mark in sorted(cited)]
    assert not lost, "no page of app/docs/explain explains these: " + ", ".join(lost)


def test_p43_every_cited_section_of_a_contract_is_a_heading() -> None:
    lost = []
    cited = 0
    for path in files():
        for word, sections in SECTIONS.findall(path.read_text(encoding="utf-8")):
            cited += 1
            page = peer(path, word or None)
            if page is None:
                lost.append(f"{path.relative_to(ROOT)}: contract {sections}: whose? write e.g. SDK contract")
            else:
                lost += [f"{path.relative_to(ROOT)}: {page} {name}" for name in missing_sections(page, sections)]
    assert cited > 100, "the citations are no longer recognised"
    assert not lost, "\n".join(lost)


def test_p43_every_promise_has_tests_or_says_that_it_is_not_built() -> None:
    text = (EXPLAIN / "promises.md").read_text(encoding="utf-8")
    stated = {name: body for name, body in re.findall(r"^### (P\d+)\n(.*?)(?=^###|\Z)", text, re.MULTILINE | re.DOTALL)}
    shown = {
        name.capitalize()
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def test_(p\d+)_", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert shown <= set(stated), "a test's name carries a promise that is stated nowhere"
    for name, body in stated.items():
        tests = f"Tests: `test_{name.lower()}_`."
        assert (tests if name in shown else "Not built yet.") in body, name


def test_p43_every_link_of_a_page_leads_to_a_page_and_a_heading() -> None:
    """Pages are served alone, so a page links to pages; the project's other Markdown files may link to any file."""
    lost = []
    for page in [
        *DOCS.rglob("*.md"),
        *(ROOT / name for name in ("README.md", "schemas/README.md")),
        *(ROOT / ".github").glob("*.md"),
    ]:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"https?://", link):
                continue
            place, _, anchor = link.partition("#")
            target = (page.parent / place).resolve() if place else page
            inside = DOCS in target.parents or DOCS not in page.parents
            if not (target.exists() and inside and (not anchor or anchor in anchors(target))):
                lost.append(f"{page.relative_to(ROOT)}: {link}")
    assert not lost, lost


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.relative_to(DOCS).as_posix())
def test_p43_a_page_has_one_title_and_no_heading_twice(page: Path) -> None:
    assert page.read_text(encoding="utf-8").startswith("# ")
    assert len(set(headings(page))) == len(headings(page))
    contents = (DOCS / "index.md").read_text(encoding="utf-8")
    assert page == DOCS / "index.md" or f"]({page.relative_to(DOCS).as_posix()})" in contents, "the contents name it"


@pytest.mark.parametrize("vendor", ["pipe17", "rally", "retailrocket"])
def test_p43_a_contracts_unverified_facts_name_the_settings_that_the_vendors_own_list_names(vendor: str) -> None:
    [full] = [path for path in (ROOT / "app" / "gateways").rglob("UNVERIFIED.md") if path.parent.name == vendor]
    module = ".".join(full.parent.relative_to(ROOT).parts)
    settings = {field.name for field in dataclasses.fields(importlib.import_module(module).VENDOR.options)}
    rows = [line for line in full.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    places = " ".join(row.split(" | ")[2] for row in rows if row.count(" | ") >= 3)
    page = (EXPLAIN / "contracts" / f"{vendor}.md").read_text(encoding="utf-8").split("\n## Unverified\n")[1]

    def named(text: str) -> set[str]:
        return set(re.findall(r"`(\w+)`", text)) & settings

    assert named(places) <= named(page), "the page leaves out what a setting can mend"
    assert named(page) <= named(full.read_text(encoding="utf-8")), "the vendor's list does not have this"


@pytest.mark.parametrize(
    "page", sorted((ROOT / "app" / "gateways").rglob("UNVERIFIED.md")), ids=lambda p: p.parent.name
)
def test_p43_an_unverified_fact_names_code_that_there_is(page: Path) -> None:
    """Of names after a module the next ones stand in it, up to a semicolon: behind that come settings."""
    rows = [line.split(" | ") for line in page.read_text(encoding="utf-8").splitlines() if line.count(" | ") >= 3]
    lost = []
    for place in (part for row in rows for part in row[2].split(";")):
        code = ""
        for name in re.findall(r"`([^`]+)`", place):
            if name.endswith(".py"):
                found = [*page.parent.rglob(Path(name).name), ROOT / "app" / name, ROOT / name]
                found = [path for path in found if path.is_file() and str(path).endswith(name)]
                code = found[0].read_text() if found else ""
                lost += [] if found else [name]
            elif code and re.fullmatch(r"\w+(\(\))?", name) and not re.search(rf"\b{name.removesuffix('()')}\b", code):
                lost.append(name)
    assert lost == []


def test_p43_nothing_needs_a_file_that_is_not_in_the_project() -> None:
    outside = [
        str(path.relative_to(ROOT))
        for path in files()
        if path != Path(__file__).resolve()
        and re.search(r"\.\./shared|\bshared/(rules|design|contracts)", path.read_text(encoding="utf-8"))
    ]
    assert outside == []
