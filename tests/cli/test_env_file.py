"""`.env` of the folder a command is run in."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.processes import channel


def test_a_variable_that_is_set_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("APP_ENV=development\nPORT=7001\nJOURNAL_DAYS=7 # a week\n")
    shown = channel(tmp_path, "settings", "--json", PORT="7002").stdout
    values = {item["name"]: item["value"] for item in json.loads(shown)["tables"][0]["settings"]}
    assert (values["APP_ENV"], values["PORT"], values["JOURNAL_DAYS"]) == ("development", "7002", "7")
