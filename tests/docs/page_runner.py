"""Runs the command blocks of a page in order, in an empty folder, as a reader would: `python page_runner.py PAGE`.

A block ```` ```sh ```` runs to its end and has to succeed; ```` ```sh terminal ```` goes on in a terminal of its own.
A block ```` ```text ```` that follows is what it prints: each line has to come, in this order; "…" is anything.
Where the system allows it everything runs in a network of its own, so that the page's ports are free.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 60.0

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


@dataclass
class Block:
    commands: str
    is_terminal: bool
    prints: list[str] = field(default_factory=list)


def blocks(page: str) -> Iterator[Block]:
    found: list[Block] = []
    for info, text in re.findall(r"^```(\w*[^\n]*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if info.startswith("sh"):
            found.append(Block(text, "terminal" in info))
        elif info == "text" and found and not found[-1].prints:
            found[-1].prints = [line for line in text.splitlines() if line.strip(" …")]
    return iter(found)


def missing(prints: list[str], output: str) -> str:
    """The first line of the page that the output has not, in their order; "" if it has them all."""
    lines = iter([" ".join(line.split()) for line in output.splitlines()])
    for said in prints:
        pattern = ".*".join(re.escape(" ".join(part.split())) for part in said.split("…"))
        if not any(
            re.fullmatch(f"(?:{pattern}).*" if said.rstrip().endswith("…") else pattern, line) for line in lines
        ):
            return said
    return ""


def own_network() -> None:
    """Leave the machine's network for one in which every port is free; stay where the system does not allow it."""
    uid, gid = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET):
        return
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        loopback = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(any_socket, 0x8913, loopback))[1]
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14s", b"lo", flags | 1, b""))


def run(page: Path) -> None:
    running: list[subprocess.Popen[bytes]] = []
    try:
        for number, block in enumerate(blocks(page.read_text(encoding="utf-8"))):
            shell = ["bash", "-e", "-u", "-o", "pipefail", "-c", block.commands]
            with tempfile.NamedTemporaryFile("w+", delete=False, dir=os.environ["OUTPUTS"]) as output:
                process = subprocess.Popen(shell, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
                running.append(process)
                until = time.monotonic() + PATIENCE_S
                seen = ""
                while time.monotonic() < until:
                    seen = Path(output.name).read_text()
                    lost = missing(block.prints, seen)
                    if process.poll() is not None or (block.is_terminal and not lost):
                        break
                    time.sleep(0.05)
            seen = Path(output.name).read_text()
            lost = missing(block.prints, seen)
            if lost or (not block.is_terminal and process.returncode != 0):
                why = f"it does not print: {lost}" if lost else f"exit code {process.returncode}"
                raise SystemExit(
                    f"{page.name}, block {number}, {why}\n{block.commands}\n--- it printed ---\n{seen[-6000:]}"
                )
    finally:
        for process in reversed(running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(30)


if __name__ == "__main__":
    own_network()
    run(Path(sys.argv[1]))
