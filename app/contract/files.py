"""Where the schemas and the example bodies are: inside an installed package, or beside it in the repository."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def _folder(name: str) -> Path:
    """The folder in the package `app`, as a wheel has it, else beside that package, as a checkout has it."""
    package = Path(str(files("app")))
    return next((folder for folder in (package / name, package.parent / name) if folder.is_dir()), package / name)


SCHEMAS = _folder("schemas")
"""One JSON schema a callback."""

FIXTURES = _folder("verifier_fixtures")
"""Bodies that every server has to answer with a valid 200; in folders of their own, those it has to refuse."""
