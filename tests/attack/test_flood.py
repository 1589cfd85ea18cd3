"""Too much at once: memory stays bounded, health answers, and who is shed is not charged."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from statistics import quantiles

import pytest

from tests.bench.memory import Sampler, memory_of
from tests.server.portal import NO_SOURCE_LIMITS, PIN, Portal
from tests.server.processes import children_of, wait_until
from tests.server.visitor import HOST, Answer, Visitor, at_once

# Side by side with others, these would measure each other (`--dist loadgroup`).
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("timed")]

Start = Callable[..., Portal]
AT_ONCE = 300
SLOW_CLIENTS = 400
HEALTH_SECONDS = 1.0
# Two processes, a slot each, 19 MiB in each; the constant is threads, connections and buffers.
SLOTS_MIB = 2 * 19
CONSTANT_MIB = 130
SETTINGS = {
    **NO_SOURCE_LIMITS,
    "GLOBAL_FAILURE_ALARM": "1000000/minute",
    "HASHING_SLOTS": "1",
}


class HealthProbe(threading.Thread):
    """Asks `/healthz/` over and over, each time on a connection of its own, until it is stopped."""

    def __init__(self, portal: Portal) -> None:
        super().__init__()
        self.took: list[float] = []
        self.failed = 0
        self._portal = portal
        self._stop_now = threading.Event()

    def run(self) -> None:
        while not self._stop_now.wait(0.02):
            before = time.monotonic()
            visitor = Visitor(self._portal.port, timeout=20)
            try:
                self.failed += visitor.get("/healthz/").status != 200
            except OSError:
                self.failed += 1
            finally:
                visitor.close()
            self.took.append(time.monotonic() - before)

    @property
    def p95(self) -> float:
        """The seconds that 95 in 100 answers took at most."""
        return quantiles(self.took, n=20)[-1]

    def stop(self) -> None:
        """Stop, and wait for it."""
        self._stop_now.set()
        self.join()


@contextmanager
def watched(portal: Portal) -> Iterator[tuple[HealthProbe, Sampler]]:
    """Watch health and memory inside the block."""
    probe, sampler = HealthProbe(portal), Sampler(portal.gunicorn.pid)
    probe.start()
    sampler.start()
    try:
        yield probe, sampler
    finally:
        probe.stop()
        sampler.stop()


def charged(portal: Portal) -> int:
    """Return how many attempts were ever counted, over all members."""
    [(attempts,)] = portal.database.rows("SELECT sum(attempts) FROM members_user")
    return int(attempts)


def assert_back_to_normal(portal: Portal) -> None:
    """Somebody who comes now signs in, and does not wait."""
    [person] = portal.people(1)
    visitor = portal.visitor()
    visitor.get("/login/")
    before = time.monotonic()
    assert visitor.post("/login/", card_number=person.card_number, pin=PIN).status == 302
    assert time.monotonic() - before < 2
    visitor.close()


@pytest.mark.attack(f"{AT_ONCE} sign-ins at once", "memory, health p95 < 1 s, shed is uncharged")
def test_sign_ins_at_once(start: Start, measured: Callable[[str], None]) -> None:
    portal = start(**SETTINGS)
    people = portal.people(AT_ONCE)
    first = portal.visitor()
    first.get("/login/")

    def sign_in(number: int) -> Callable[[], Answer]:
        visitor = portal.visitor(f"198.51.{number // 250}.{number % 250}")
        visitor.cookies, visitor.token = dict(first.cookies), first.token
        fields = {"card_number": people[number].card_number, "pin": "7000"}
        return lambda: visitor.post("/login/", **fields)

    idle = memory_of(portal.gunicorn.pid)["Pss"]
    with watched(portal) as (health, memory):
        answers = at_once([sign_in(number) for number in range(AT_ONCE)])
    statuses = Counter(answer.status for answer in answers)
    grown = memory.peak["Pss"] - idle
    measured(f"{statuses[200]} judged, {statuses[503]} shed, {charged(portal)} charged")
    measured(f"+{grown:.0f} MiB, health p95 {health.p95:.2f} s")
    assert statuses[200] + statuses[503] == AT_ONCE
    assert statuses[503], "nothing was shed, so this was no flood"
    assert all(a.headers["Retry-After"] for a in answers if a.status == 503)
    assert charged(portal) == statuses[200]
    assert health.failed == 0
    assert health.p95 < HEALTH_SECONDS
    assert grown < SLOTS_MIB + CONSTANT_MIB
    assert_back_to_normal(portal)


def half_a_head() -> bytes:
    return f"POST /login/ HTTP/1.1\r\nHost: {HOST}\r\n".encode()


def half_a_body() -> bytes:
    length = 60_000
    head = "Content-Type: application/x-www-form-urlencoded\r\n"
    head += f"X-Forwarded-Proto: https\r\nContent-Length: {length}\r\n\r\n"
    return half_a_head() + head.encode() + b"a" * (length - 1)


def body_without_end() -> bytes:
    return half_a_head() + b"X-Forwarded-Proto: https\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"


def length_with_zeros() -> bytes:
    return (
        half_a_head()
        + b"X-Forwarded-Proto: https\r\nContent-Length: 0000000000000000000001000\r\n\r\na"
    )


def never_reads() -> bytes:
    """Asks for the same page again and again, and takes no answer."""
    page = f"GET /login/ HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Proto: https\r\n\r\n"
    return page.encode()


@pytest.mark.parametrize(
    "request_of", [half_a_head, half_a_body, body_without_end, length_with_zeros, never_reads]
)
@pytest.mark.attack(f"{SLOW_CLIENTS} clients that stop in the middle", "health p95 < 1 s")
def test_slow_clients(
    start: Start, measured: Callable[[str], None], request_of: Callable[[], bytes]
) -> None:
    portal = start(**SETTINGS)
    idle = memory_of(portal.gunicorn.pid)["Pss"]
    with ExitStack() as stack, watched(portal) as (health, memory):
        clients = []
        for _client in range(SLOW_CLIENTS):
            client = socket.create_connection(("127.0.0.1", portal.port), timeout=30)
            stack.callback(client.close)
            client.sendall(request_of())
            clients.append(client)
        for _second in range(5):
            time.sleep(1)
            if request_of is half_a_head:
                # Alive, a byte at a time: no time-out of a single read ends these.
                for client in clients:
                    with suppress(OSError):
                        client.send(b"X")
    grown = memory.peak["Pss"] - idle
    measured(request_of.__name__.replace("_", " "))
    measured(f"health p95 {health.p95:.2f} s, +{grown:.0f} MiB")
    assert health.failed == 0
    assert health.p95 < HEALTH_SECONDS
    assert grown < CONSTANT_MIB
    assert_back_to_normal(portal)


@pytest.mark.attack("100 forms with fields of a megabyte at once", "refused, memory, health")
def test_megabyte_fields(start: Start, measured: Callable[[str], None]) -> None:
    portal = start(**SETTINGS)
    form = b"card_number=4900000000000003&pin=" + b"7" * 1_000_000
    head = f"POST /login/ HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Proto: https\r\n"
    head += (
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    )
    request = head.encode() + form

    def send() -> str:
        with socket.create_connection(("127.0.0.1", portal.port), timeout=60) as client:
            with suppress(OSError):
                # Refused before all of it was sent.
                client.sendall(request)
            try:
                return client.recv(12).decode().removeprefix("HTTP/1.1 ")
            except OSError:
                return "hung up"

    idle = memory_of(portal.gunicorn.pid)["Pss"]
    with watched(portal) as (health, memory):
        answers = Counter(at_once([send] * 100))
    grown = memory.peak["Pss"] - idle
    measured(f"{answers['400'] + answers['hung up']} refused, +{grown:.0f} MiB")
    measured(f"health p95 {health.p95:.2f} s")
    assert answers["400"] + answers["hung up"] == 100
    assert answers["400"]
    # Nobody's card, so it would be on record as such.
    assert portal.database.rows("SELECT count(*) FROM credentials_event") == [(0,)]
    assert health.failed == 0
    assert health.p95 < HEALTH_SECONDS
    assert grown < CONSTANT_MIB
    assert_back_to_normal(portal)


@pytest.mark.attack("500 clients that ask to go on and are gone", "no process dies")
def test_clients_that_are_gone(start: Start, measured: Callable[[str], None]) -> None:
    portal = start(**SETTINGS)
    wait_until("both processes serve", lambda: len(children_of(portal.gunicorn)) == 2)
    before = children_of(portal.gunicorn)
    head = half_a_head() + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n"
    for _client in range(500):
        with socket.create_connection(("127.0.0.1", portal.port), timeout=30) as client:
            # Closed with a reset: what was sent is read, and nobody is there to answer.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(head)
    assert_back_to_normal(portal)
    after = children_of(portal.gunicorn)
    measured(f"{len(set(before) - set(after))} of {len(before)} died")
    assert after == before
