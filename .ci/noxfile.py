"""The quick tests on every supported Python: `nox -f .ci/noxfile.py`."""

import nox

nox.options.reuse_existing_virtualenvs = True


@nox.session(python=["3.11", "3.12", "3.13"])
def quick(session: nox.Session) -> None:
    """Everything that needs no minutes."""
    session.chdir("..")
    session.install("-q", "-c", ".ci/pins.txt", "-e", ".[test]")
    session.run("pytest", "-m", "not slow", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, mypy and the arrows between the rooms."""
    session.chdir("..")
    session.install("-q", "-c", ".ci/pins.txt", "-e", ".[test]")
    session.run("ruff", "check")
    session.run("mypy")
    session.run("lint-imports")
