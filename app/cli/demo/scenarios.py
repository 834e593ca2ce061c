"""Every vendor's scenario, in the order in which they are played on one stage."""

from __future__ import annotations

from collections.abc import Iterator

from app.cli.demo import pipe17, rally, retailrocket
from app.cli.demo.playing import Steps
from app.cli.demo.stage import Stage

TABLES = {vendor.VENDOR: vendor.SETTINGS for vendor in (rally, pipe17, retailrocket)}
"""Further settings of each vendor.  Retail Rocket, which brings no orders, joins the channel of the first."""


def scenarios(stage: Stage) -> Iterator[tuple[str, Steps]]:
    """The vendor and the steps of each; the stage serves all of `TABLES`."""
    ours, theirs = stage.retailops, stage.sandbox_url
    life = pipe17.Pipe17(ours(pipe17.VENDOR), theirs(pipe17.VENDOR))
    yield pipe17.VENDOR, [*life.steps(), *pipe17.Outage(life, stage).steps()]
    yield rally.VENDOR, rally.Rally(ours(rally.VENDOR), theirs(rally.VENDOR), stage.run).steps()
    name = retailrocket.VENDOR
    feed_url = f"{stage.server_url}/feeds/{name}/{stage.channel(name)['name']}.xml"
    yield name, retailrocket.RetailRocket(ours(name), theirs(name), feed_url).steps()
