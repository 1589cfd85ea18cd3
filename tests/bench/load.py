"""A load generator that takes few cycles of the cores it shares with what it measures.

One thread, raw sockets, requests made beforehand; every connection is kept open and carries one
request at a time.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.server.visitor import HOST


def request(
    method: str, path: str, *, cookies: str = "", address: str = "203.0.113.7", body: str = ""
) -> bytes:
    """Return a request as the proxy hands it to the portal."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "X-Forwarded-Proto: https"]
    lines += [f"X-Forwarded-For: {address}", "Accept-Language: ja", "Accept: text/html"]
    if cookies:
        lines.append(f"Cookie: {cookies}")
    if body:
        lines += [f"Origin: https://{HOST}", f"Content-Length: {len(body)}"]
        lines.append("Content-Type: application/x-www-form-urlencoded")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@dataclass
class Load:
    """What came back within a time."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    # What came after the headers of the last answer.
    last: bytes = b""

    @property
    def per_second(self) -> float:
        """Answers a second, whatever their status."""
        return sum(self.statuses.values()) / self.seconds


class _Connection:
    """One connection that sends requests of `source`, one after the other."""

    def __init__(self, port: int, source: Callable[[], bytes | None]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._source = source
        self._got = b""
        self._missing = -1
        self._sent_at = 0.0

    def send(self) -> bool:
        """Send the next request; False where there is none."""
        data = self._source()
        if data is None:
            return False
        self._got, self._missing = b"", -1
        self._sent_at = time.perf_counter()
        self.socket.sendall(data)
        return True

    def receive(self, load: Load) -> bool:
        """Read what is there; True where the answer is complete."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"the portal hung up: {self._got[:300]!r}")
        self._got += data
        if self._missing < 0:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return False
            length = self._got.find(b"Content-Length: ")
            if not 0 < length < end:
                raise ValueError("an answer without Content-Length")
            self._missing = end + 4 + int(self._got[length + 16 : self._got.find(b"\r", length)])
        if len(self._got) < self._missing:
            return False
        load.statuses[int(self._got[9:12])] += 1
        load.times.append(time.perf_counter() - self._sent_at)
        load.last = self._got
        return True


def drive(
    port: int, source: Callable[[], bytes | None], *, connections: int, seconds: float = 1e9
) -> Load:
    """Send the requests of `source` until `seconds` are over or it gives None; wait for all."""
    load, selector = Load(), selectors.DefaultSelector()
    everyone = [_Connection(port, source) for _turn in range(connections)]
    began = time.perf_counter()
    open_ones = 0
    for one in everyone:
        if one.send():
            selector.register(one.socket, selectors.EVENT_READ, one)
            open_ones += 1
    while open_ones:
        for key, _mask in selector.select():
            one = key.data
            if not one.receive(load):
                continue
            if time.perf_counter() - began > seconds or not one.send():
                selector.unregister(one.socket)
                open_ones -= 1
    load.seconds = time.perf_counter() - began
    for one in everyone:
        one.socket.close()
    return load


def in_turn(requests: list[bytes]) -> Callable[[], bytes]:
    """Return a source that gives these requests over and over."""
    queue = deque(requests)

    def source() -> bytes:
        queue.rotate(-1)
        return queue[0]

    return source


def each_once(requests: list[bytes]) -> Callable[[], bytes | None]:
    """Return a source that gives each of these requests once."""
    left: Iterator[bytes] = iter(requests)
    return lambda: next(left, None)


def cookies_of(answer: bytes) -> dict[str, str]:
    """Return the cookies that an answer sets."""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    lines = [line[12:] for line in head.split("\r\n") if line.startswith("Set-Cookie: ")]
    pairs = (line.split(";")[0].partition("=") for line in lines)
    return {name: value for name, _equals, value in pairs}
