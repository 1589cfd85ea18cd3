"""Redis goes away, or hangs, in the middle of an attack: stricter, never looser."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.attack.test_many_cards import (
    ACCOUNTS,
    Measured,
    Start,
    accounts_judged,
    sign_in,
    spray,
    used_by,
)
from tests.server.databases import redis_at, redis_url
from tests.server.portal import Person, Portal
from tests.server.processes import free_port, wait_until
from tests.server.test_guessing import WIDE_OPEN
from tests.server.visitor import at_once

pytestmark = pytest.mark.server


@contextmanager
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="redis-") as name:
        yield Path(name)


def strangers(number: int) -> list[str]:
    """Return so many addresses."""
    return [f"198.18.0.{i}" for i in range(number)]


def is_back_to_normal(portal: Portal, person: Person) -> bool:
    """Whether a device that nobody knows signs in."""
    return sign_in(portal.visitor("203.0.113.77"), person) == 302


@pytest.mark.attack(
    "Redis killed while one PIN is tried on 70 cards",
    "0 judged while it is gone; a known device signs in; all is normal when it is back",
)
def test_redis_killed(start: Start, measured: Measured) -> None:
    port = free_port()
    with folder() as where:
        with redis_at(port, where) as process:
            portal = start(**WIDE_OPEN, CACHE_URL=redis_url(port))
            people = portal.people(72)
            mine, other = people.pop(), people.pop()
            known = used_by(portal, mine)
            spray(portal, people[:20], ["198.51.100.1"] * 20)
            before = accounts_judged(portal)
            assert before == ACCOUNTS
            process.kill()
            process.wait()
            answers = spray(portal, people[20:], strangers(50))
            measured(f"{before} judged before, {accounts_judged(portal) - before} while gone")
            assert {answer.status for answer in answers} == {503}
            assert all(answer.headers["Retry-After"] for answer in answers)
            assert accounts_judged(portal) == before
            assert sum(portal.failures(person) for person in people[20:]) == 0
            assert sign_in(known, mine) == 302
        with redis_at(port, where):
            wait_until("normal again", lambda: is_back_to_normal(portal, other), 20)
            answers = spray(portal, people[20:40], ["198.51.100.2"] * 20)
            measured(f"{accounts_judged(portal) - before} when it is back")
            assert accounts_judged(portal) == before + ACCOUNTS


@pytest.mark.attack(
    "Redis hangs while 100 strangers sign in",
    "0 judged; none waits longer than a few seconds; a known device signs in",
)
def test_redis_hangs(start: Start, measured: Measured) -> None:
    port = free_port()
    with folder() as where, redis_at(port, where) as process:
        portal = start(**WIDE_OPEN, CACHE_URL=redis_url(port))
        people = portal.people(102)
        mine, other = people.pop(), people.pop()
        known = used_by(portal, mine)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            took: list[float] = []

            def timed(person: Person, address: str) -> int:
                visitor = portal.visitor(address)
                visitor.get("/login/")
                began = time.monotonic()
                status = visitor.post("/login/", card_number=person.card_number, pin="7000").status
                took.append(time.monotonic() - began)
                visitor.close()
                return status

            seen = set()
            for turn in range(0, 100, 20):
                some = zip(people[turn : turn + 20], strangers(20), strict=True)
                seen |= set(at_once([lambda one=one: timed(*one) for one in some]))
            measured(f"{accounts_judged(portal)} judged, longest wait {max(took):.1f} s")
            assert seen == {503}
            assert accounts_judged(portal) == 0
            # A second for Redis; the rest is this machine's.
            assert max(took) < 6
            assert sorted(took)[50] < 1
            assert sign_in(known, mine) == 302
        finally:
            os.kill(process.pid, signal.SIGCONT)
        wait_until("normal again", lambda: is_back_to_normal(portal, other), 20)
