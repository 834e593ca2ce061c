"""The real server, as the process file starts it: what it says and writes about bytes that are no callback."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real_server import real_server

KEY = "review+canary+key+0000000000001"
CHANNEL = f"""
[[channel]]
name = "first"
client_id = 1201
channel_id = 32
auth_keys = ["{KEY}"]
gateways = ["pipe17"]
[channel.pipe17]
base_url = "http://127.0.0.1:9"
api_key = "irrelevant-key"
"""


@dataclass
class Served:
    port: int
    log: Path

    def send(self, raw: bytes) -> bytes:
        """Raw bytes in, everything that comes back until the server closes, as it does after what it refuses."""
        heard = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as line:
            line.sendall(raw)
            while piece := line.recv(65536):
                heard += piece
        return heard


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with real_server(tmp_path_factory.mktemp("served"), CHANNEL) as server:
        yield Served(server.port, server.log)


def request(body: bytes, *headers: str, target: str = "/api/channel/catalog_get_config_v1") -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: x", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


BODY = json.dumps({"integration_auth_token": KEY, "client_id": 1201, "channel_info": {"id": 32}}).encode()
COMPACT = BODY.replace(b" ", b"")


def test_p20_a_body_longer_than_it_says_does_not_put_the_key_into_the_log(served: Served) -> None:
    served.send(request(COMPACT + b"\r\n\r\n", "Content-Length: 1"))
    assert KEY.encode() not in served.log.read_bytes()


def test_p20_no_reply_to_what_is_no_request_repeats_it(served: Served) -> None:
    assert KEY.encode() not in served.send(COMPACT + b"\r\n\r\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"GET\x00 / HTTP/1.1\r\n\r\n",
        request(BODY, f"Content-Length: {len(BODY)}", "X-Long: " + "y" * 20_000),
        request(BODY, f"Content-Length: {len(BODY)}", target="/api/channel/catalog_get_config_v1?" + "q" * 5_000),
        request(BODY, f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked"),
        request(BODY, f"Content-Length: {len(BODY)}", "Expect: 200-maybe"),
    ],
    ids=["no-request", "huge-header", "long-address", "two-lengths", "odd-expectation"],
)
def test_p5_what_the_http_server_refuses_by_itself_is_no_html(raw: bytes, served: Served) -> None:
    heard = served.send(raw)
    assert heard.startswith(b"HTTP/1.1 4")
    assert b"<html" not in heard.lower() and b"text/html" not in heard


@pytest.mark.parametrize("chunks", [b"zz\r\nabc\r\n0\r\n\r\n", b"5\r\nabcdefgh\r\n0\r\n\r\n"], ids=["size", "length"])
def test_p5_broken_chunks_are_a_fault_of_the_caller(chunks: bytes, served: Served) -> None:
    heard = served.send(request(chunks, "Transfer-Encoding: chunked"))
    assert heard.startswith(b"HTTP/1.1 400")


def test_gunicorns_own_lines_reach_the_log_whole(served: Served) -> None:
    """The worker switches off what gunicorn's format needs; its warnings then arrive as logging errors."""
    served.send(b"GET\x00 / HTTP/1.1\r\n\r\n")
    assert b"Logging error" not in served.log.read_bytes()


def test_a_gzip_body_of_two_members_is_read_whole(served: Served) -> None:
    body = gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])
    headers = (f"Content-Length: {len(body)}", "Content-Encoding: gzip", "Connection: close")
    heard = served.send(request(body, *headers))
    assert heard.startswith(b"HTTP/1.1 200")


def test_p5_a_client_that_hangs_up_in_its_body_is_no_fault_of_ours(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as line:
        line.sendall(request(BODY, f"Content-Length: {len(BODY) + 10}"))
        line.shutdown(socket.SHUT_WR)
        assert line.recv(65536).startswith(b"HTTP/1.1 400")
    assert b'"ERROR"' not in served.log.read_bytes()


def test_what_is_no_request_gets_the_form_and_the_id_of_every_reply(served: Served) -> None:
    head, _, body = served.send(b"GET\x00 / HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")
    assert json.loads(body)["events"][0]["code"] == "BAD_REQUEST"
    assert b"content-type: application/json" in head.lower()
    request_id = re.search(rb"X-Request-Id: ([0-9a-f]{32})", head)
    assert request_id and request_id[1] in served.log.read_bytes()


def test_gunicorns_lines_are_json_like_all_others(served: Served) -> None:
    lines = [json.loads(line) for line in served.log.read_text().splitlines()]
    assert any(line["logger"] == "gunicorn.error" and line["message"].startswith("Listening") for line in lines)
