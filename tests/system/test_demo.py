"""`channel demo` shows a stranger the whole loop, and says so only if every step held."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_plays_every_vendor_and_every_step_holds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "demo", "--once", "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["held"] is True and all(step["held"] for step in result["steps"])
    assert len(result["steps"]) >= 12
