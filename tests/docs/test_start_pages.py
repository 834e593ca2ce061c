"""What the "start" pages tell a reader to type runs as they say, against the real sandboxes (P41, P43)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.docs.library import FOLDER
from tests.command_line import without_ours
from tests.docs import commands_page, page_runner

PAGES = sorted((FOLDER / "start").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_p43_every_command_of_a_start_page_runs_and_prints_what_the_page_says(page: Path, tmp_path: Path) -> None:
    for folder in ("work", "outputs", "home"):
        (tmp_path / folder).mkdir()
    bare = without_ours()
    environment = {
        **bare, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path / "home"),
        "OUTPUTS": str(tmp_path / "outputs"), "COLUMNS": "160", "WEB_CONCURRENCY": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, page_runner.__file__, str(page)],
        cwd=tmp_path / "work", env=environment, capture_output=True, text=True, timeout=480,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_p43_a_line_that_a_page_promises_has_to_be_printed() -> None:
    said = ["Serving channel … on http://127.0.0.1:5000", "a  b", "end…"]
    assert page_runner.missing(said, "x\nServing channel one on http://127.0.0.1:5000\na b\nend of it") == ""
    assert page_runner.missing(said, "a b\nServing channel one on http://127.0.0.1:5000\nend") == "a  b"
    assert page_runner.missing(["a"], "ab") == "a"
    assert [block.is_terminal for block in page_runner.blocks("```sh\na\n```\n```sh terminal\nb\n```\n")] == [
        False,
        True,
    ]


def test_p43_the_page_of_commands_says_what_the_commands_say() -> None:
    fresh = commands_page.text()
    assert commands_page.PAGE.read_text(encoding="utf-8") == fresh, "python -m tests.docs.commands_page writes it anew"
