"""`channel demo`: the whole order life on loopback, against a real server and real sandboxes, with no account."""

from __future__ import annotations

import sys
import time

import click
from rich.console import Console

from app.cli.demo import rally
from app.cli.demo.console import Walk
from app.cli.demo.interruptions import interrupt_once
from app.cli.demo.playing import Step, play
from app.cli.demo.scenarios import TABLES, scenarios
from app.cli.demo.stage import Stage, staged
from app.terminal import json_option, print_cells, print_json

LOOKS = ("channel check", "channel callbacks list", "channel callbacks show --order NUMBER", "channel deliveries list")
"""Commands that show what the demo left, in the folder it runs in."""


CLICKS = (
    "Orders, then any order: its timeline, from its first moment to its refunds",
    "the search box: type any number you see, or its first six characters",
    "Overview, Pause beside a vendor: what is owed to it waits until you resume",
    "Deliveries, All: every call that was owed, with what the vendor said",
)
"""What to click first on the operator's pages."""


@click.command()
@click.option("--once", is_flag=True, help="Stop everything at the end; exit 0 only if every step held.")
@json_option
def demo(once: bool, as_json: bool) -> None:
    """Play RetailOps through a whole order life against a real server and sandboxed vendors, on loopback."""
    console = Console(stderr=as_json)
    interrupt_once()

    def show(step: Step) -> None:
        console.print(f"  {'held  ' if step.held else 'FAILED'} {step.name}")

    with staged() as stage:
        console.print("Starting the vendors' sandboxes and the channel server ...")
        for vendor in TABLES:
            stage.start_sandbox(vendor)
        stage.start_server(TABLES)
        steps: list[Step] = []
        all_held = True
        for title, acts in (*scenarios(stage), ("console", Walk(stage).steps())):
            console.print(f"{title}:")
            played = play(acts, show)
            all_held = all_held and len(played) == len(acts) and all(step.held for step in played)
            steps += played
        if as_json:
            print_json({"held": all_held, "steps": steps})
        else:
            rows = [(step.name, "yes" if step.held else "NO", f"{step.seconds:.1f}", step.detail) for step in steps]
            print_cells("", ("Step", "Held", "s", "What was seen"), rows)
            console.print("Every step held." if all_held else "[bold]A step did not hold.[/bold]")
        if not once and all_held:
            _stay_up(stage, console)
        elif not all_held:
            for name, lines in stage.last_lines():
                console.print(f"\nlast lines of the log of {name}:", *lines, sep="\n", markup=False)
    sys.exit(0 if all_held else 1)


def _stay_up(stage: Stage, console: Console) -> None:
    lines = [f"\nThe channel server:  {stage.server_url}/api/channel  (openapi at {stage.server_url}/openapi.json)"]
    for vendor in TABLES:
        channel = stage.channel(vendor)
        numbers = f"client_id {channel['client_id']}, channel {channel['channel_id']}"
        lines.append(f"{vendor} holds:  {stage.sandbox_url(vendor)}/sandbox/")
        lines.append(f"  its channel's key (demo only): {channel['auth_keys'][0]}, {numbers}")
    lines += [
        f"\nThe operator's pages:  {stage.server_url}/console/",
        f"  sign in with any name and this token (demo only): {stage.console_token}",
        *(f"  - {click_on}" for click_on in CLICKS),
        f"\nThe shop, to buy something yourself:  {stage.sandbox_url(rally.VENDOR)}/shop/",
        "  pay there, then see the order on the operator's pages",
        "\nOr look into it in another terminal:",
        *(f"  {command}" for command in (f"cd {stage.folder}", *LOOKS)),
        "Press Ctrl-C to stop.",
    ]
    console.print(*lines, sep="\n", soft_wrap=True, markup=False)
    try:
        while stage.is_up():
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("Stopping.")
