"""The access log of the real gunicorn: a line of JSON for each request, whatever was asked."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.portal import Portal
from tests.server.processes import wait_until
from tests.server.visitor import HOST

pytestmark = pytest.mark.server

# gunicorn's own words about its processes and about requests that it could not read.
ABOUT_ITSELF = re.compile(r"\[\d{4}-\d\d-\d\d .*\] \[\d+\] \[(INFO|WARNING|ERROR)\] ")
FORGED = '{"at":"[now]","method":"POST","path":"/forged/","status":302,"bytes":0,"us":1}'
ASKED = [
    "/%0A" + FORGED.replace('"', "%22").replace(" ", "%20"),
    "/%22,%22status%22:200,%22x%22:%22",
    "/%5C%22%5C",
    "/%00%01%1B[31m%7F",
    "/%0D%0A%E2%80%A8%C2%85",
    "/%FF%FE%80",
    "/%E5%B1%B1?member=123456789",
    '/raw"quote',
]


def ask(port: int, path: str, method: str = "GET") -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Proto: https\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode("latin-1"))
        while connection.recv(65536):
            pass


def test_every_line_is_json_and_none_is_forged(start: Callable[..., Portal]) -> None:
    portal = start()
    for path in ASKED:
        ask(portal.port, path)
    ask(portal.port, "/nobody/", method='GE"T')

    def lines() -> list[dict[str, Any]]:
        said = [line for line in portal.log.read_text().splitlines() if line]
        own = [json.loads(line) for line in said if not ABOUT_ITSELF.match(line)]
        return [line for line in own if line.get("path", "/healthz/") != "/healthz/"]

    wait_until("each is logged", lambda: len(lines()) >= len(ASKED))
    paths = {line["path"] for line in lines()}
    assert "/\n" + FORGED in paths
    assert '/","status":200,"x":"' in paths
    assert "/forged/" not in paths
    assert {line["status"] for line in lines()} <= {400, 404}
    assert "123456789" not in portal.log.read_text()
