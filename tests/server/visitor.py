"""A visitor: a browser's HTTP, cookies and forms, behind the one proxy that the portal trusts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from http.cookies import SimpleCookie
from threading import Barrier
from typing import TypeVar
from urllib.parse import urlencode

HOST = "portal.example"
# Less than the portal keeps a quiet connection open.
KEPT_OPEN = 2.0
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: HTTPMessage
    text: str

    @property
    def location(self) -> str:
        """Where it leads on; empty where it does not."""
        return self.headers.get("Location", "")


class Visitor:
    """One browser, at one address of its own."""

    def __init__(self, port: int, address: str = "203.0.113.7", timeout: float = 60) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
        self._address = address
        self._last_used = 0.0
        self.cookies: dict[str, str] = {}
        self.token = ""

    def get(self, path: str) -> Answer:
        """Load a page, and keep the token of its form."""
        answer = self._send("GET", path)
        found = _TOKEN.search(answer.text)
        self.token = found[1] if found else self.token
        return answer

    def post(self, path: str, **fields: str) -> Answer:
        """Send a form, with the token of the page that was loaded before."""
        return self._send("POST", path, urlencode({"csrfmiddlewaretoken": self.token, **fields}))

    def _send(self, method: str, path: str, body: str | None = None) -> Answer:
        headers = {
            "Host": HOST,
            "X-Forwarded-Proto": "https",
            # The left one is what any client may claim; the proxy wrote the right one.
            "X-Forwarded-For": f"192.0.2.200, {self._address}",
            "Accept-Language": "en",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = f"https://{HOST}"
        if time.monotonic() - self._last_used > KEPT_OPEN:
            # As a browser does: the next request opens it anew.
            self._connection.close()
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        answer = Answer(response.status, response.headers, response.read().decode())
        self._last_used = time.monotonic()
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer

    @property
    def is_signed_in(self) -> bool:
        """Whether the top page opens."""
        return self.get("/").status == 200

    def close(self) -> None:
        """Leave."""
        self._connection.close()


def at_once(acts: Sequence[Callable[[], T]]) -> list[T]:
    """Do all of `acts` at the same moment, each in a thread of its own; return what they gave."""
    gate = Barrier(len(acts))

    def do(act: Callable[[], T]) -> T:
        gate.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(do, acts))
