"""The code of an earlier release in a folder of its own, for a run in which old and new work side by side (P47)."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from tests import ROOT
from tests.system.releases import LAST_RELEASE, PARTS


def unpacked(commit: str, folder: Path) -> Path:
    """The code of `commit`, or of the last release when it is "", with its tests, for they hold its own hurry.

    Raises `LookupError` where this copy of the project has no such history.
    """
    try:
        command = ["git", "archive", commit or LAST_RELEASE, *PARTS, "tests"]
        packed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LookupError(f"the last release is not in this copy of the project ({type(error).__name__})") from None
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder
