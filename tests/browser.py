"""Debian's Chromium driven by Playwright, and axe-core from npm: what tests of pages need beside Python's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # most runs of tests open no page
    from playwright.sync_api import Browser, Page

AXE = "axe-core@4.14.1"

SERIOUS = ("serious", "critical")
"""Impacts of what axe-core finds that no page may have."""

INSTALL_S = 400

PATIENCE_MS = 30_000
"""How long a page may take to show what is expected of it: the machine may be busy with other tests."""

SHOWN = 3_000
"""Characters of a page that a failed test prints."""


class NoBrowser(Exception):
    """Chromium or axe-core is not installed; the message says what would mend it."""


def may_install() -> bool:
    """Whether this run may install Debian's packages: under CI=true nothing may be skipped for want of them."""
    return os.environ.get("CI") == "true" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install(package: str) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=False, env=quiet, timeout=INSTALL_S)
    install = ["apt-get", "install", "-qy", "--no-install-recommends", package]
    subprocess.run(install, check=True, env=quiet, timeout=INSTALL_S)


def chromium() -> str:
    """The path of the browser.  Raises `NoBrowser`."""
    found = shutil.which("chromium")
    if found is None and may_install():
        _install("chromium")
        found = shutil.which("chromium")
    if found is None:
        raise NoBrowser("no Chromium is installed; on Debian: apt-get install chromium")
    return found


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A browser for the length of the block.  Raises `NoBrowser`."""
    from playwright.sync_api import expect, sync_playwright

    program = chromium()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Its sandbox needs rights that a container's root has not; it sees nothing but servers of ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def shown(page: Page) -> str:
    """What a page shows now, for the report of a test that failed."""
    from playwright.sync_api import Error

    try:
        return f"{page.url}\n{page.title()}\n{page.evaluate('document.body.innerText')[:SHOWN]}"
    except Error as error:
        return f"{page.url}: {error}"


def open_details(page: Page) -> None:
    """Open all that can be unfolded, at once: a page that refreshes itself may change between two steps."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


def pixels_beyond(page: Page) -> int:
    """How far the page scrolls sideways; it never should."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def npm_package(name: str, folder: Path) -> Path:
    """The folder of a package of npm, which is installed below `folder`.  Raises `NoBrowser`."""
    npm = shutil.which("npm")
    if npm is None and may_install():
        _install("npm")
        npm = shutil.which("npm")
    if npm is None:
        raise NoBrowser("npm is not installed; on Debian: apt-get install npm")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
    if done.returncode:
        raise NoBrowser(f"npm cannot install {name}: {done.stderr.strip()[-200:]}")
    return folder / "node_modules" / name.rpartition("@")[0]


def axe_source(folder: Path) -> str:
    """The script of axe-core.  Raises `NoBrowser`."""
    return (npm_package(AXE, folder) / "axe.min.js").read_text(encoding="utf-8")


def serious_findings(page: Page, axe: str) -> list[tuple[str, str]]:
    """What axe-core finds on the page that is serious: the rule and the first place that breaks it."""
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (each["id"], str(each["nodes"][0]["target"]) + " " + each["nodes"][0]["html"][:200])
        for each in found["violations"]
        if each["impact"] in SERIOUS
    ]
