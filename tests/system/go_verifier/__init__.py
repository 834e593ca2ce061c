"""The SDK's verifier for tests: its algorithm as a Go program with gojsonschema, or the tool itself where there is one.

`RETAILOPS_SDK_VERIFY` may name the real tool; then tests of it run too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.contract.published import NOT_PUBLISHED, published_answer
from tests import ROOT

SOURCE = Path(__file__).with_name("main.go")

GOPATHS = (None, "/usr/share/gocode")
"""Where libraries may lie: as `go env` says, and where Debian's package golang-github-xeipuuv-gojsonschema-dev is."""


class NoGo(Exception):
    """The program cannot be built here; says why."""


@dataclass(frozen=True)
class GoVerifier:
    """A built program."""

    program: Path

    @classmethod
    def build(cls, folder: Path) -> GoVerifier:
        """Raises `NoGo`."""
        go = shutil.which("go")
        if go is None:
            raise NoGo("Go is not installed")
        program = folder / "verify"
        complaint = ""
        for gopath in GOPATHS:
            where = {"GOPATH": gopath} if gopath else {}
            # Without modules nothing is ever downloaded.
            environment = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": str(folder / "cache"), **where}
            command = [go, "build", "-o", str(program), str(SOURCE)]
            built = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
            if built.returncode == 0:
                return cls(program)
            complaint = built.stderr
        raise NoGo(f"gojsonschema is not installed: {(complaint.strip().splitlines() or ['no reason'])[0]}")

    def run(
        self, base_url: str, schemas: Path, tests: Path, key: str, actions: str = "", *, timeout_s: float = 15.0
    ) -> subprocess.CompletedProcess[str]:
        """One run over the callbacks of `schemas`, or those whose name holds one of the `actions`."""
        command = [
            str(self.program), "-base-url", base_url, "-schema-path", str(schemas), "-tests-path", str(tests),
            "-timeout", f"{timeout_s}s", "-actions", actions,
        ]  # fmt: skip
        environment = {**os.environ, "VERIFIER_KEY": key}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    def verdicts(self, pairs: Iterable[tuple[Any, Any]]) -> list[bool]:
        """gojsonschema's verdict on each (schema, value)."""
        lines = "\n".join(json.dumps({"Schema": schema, "Value": value}) for schema, value in pairs)
        said = subprocess.run([str(self.program), "-judge"], input=lines, capture_output=True, text=True, timeout=120)
        assert said.returncode == 0, said.stdout
        return [line == "true" for line in said.stdout.split()]


def published_schemas(folder: Path) -> Path:
    """The schemas of the callbacks the SDK knows in `folder`, their answers held to the published rules."""
    for file in (ROOT / "schemas").glob("*_v1.json"):
        callback = file.stem.removesuffix("_v1")
        if callback in NOT_PUBLISHED:
            continue
        document = json.loads(file.read_text())
        for link in document["links"]:
            link["targetSchema"] = published_answer(callback, link["targetSchema"])
        (folder / file.name).write_text(json.dumps(document))
    return folder
