"""The processes of the demo, and the folder they run in."""

from __future__ import annotations

import json
from pathlib import Path

from app.cli.demo import pipe17
from app.cli.demo.stage import Stage
from tests.cli.processes import channel
from tests.waiting import eventually


def test_the_demo_can_be_looked_into_from_its_folder(tmp_path: Path) -> None:
    """By the commands it prints, which find there what its server runs with."""
    stage = Stage(tmp_path)
    try:
        stage.start_sandbox("pipe17")
        stage.start_server({"pipe17": pipe17.SETTINGS})
        assert stage.retailops("pipe17").call("order_pull", page_token="").status == 200
        checked = json.loads(channel(tmp_path, "check", "--json").stdout)
        assert [part["client_id"] for part in checked["channels"]] == [stage.channel("pipe17")["client_id"]]
        assert {item["name"]: item["state"] for item in checked["server"]}["database"] == "ok"

        def listed() -> list[str]:
            found = channel(tmp_path, "callbacks", "list", "--json")
            return [item["callback"] for item in json.loads(found.stdout)["callbacks"]]

        eventually(lambda: listed() == ["order_pull"])
    finally:
        stage.stop()
