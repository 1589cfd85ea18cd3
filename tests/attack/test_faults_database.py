"""The database killed, stopped and hung while members sign in: closed with a plain page, and back.

Unaided: nobody touches the portal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.server.databases import PostgreSQL, redis
from tests.server.portal import NO_SOURCE_LIMITS, PIN, Person, Portal, serving
from tests.server.processes import wait_until
from tests.server.services import Cluster, serving_until_the_end
from tests.server.visitor import Answer, Visitor

# Side by side with others, these would measure each other (`--dist loadgroup`).
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("faults")]

# More than the one process has threads, so that all of them could be waiting for the database.
BROWSERS = 100
# The database is what is to be short, not the processor.
CHEAP = {**NO_SOURCE_LIMITS, "HASHING_MEMORY_KIB": "64", "WEB_CONCURRENCY": "1"}
# A statement's five seconds, a connection's three, and a busy machine.
BOUND = 15.0
# Without the doorway 2.8 s, with it 1.4, on a busy machine.
HEALTHY = 2.4
BACK = 10.0
Measured = Callable[[str], None]


@pytest.fixture
def ground(migrated: PostgreSQL) -> Iterator[tuple[Cluster, Portal]]:
    """A portal over a PostgreSQL of its own, with one member."""
    with TemporaryDirectory(prefix="portal-") as temporary:
        folder = Path(temporary)
        cluster = Cluster(migrated, folder)
        with (
            serving_until_the_end(cluster),
            redis(folder) as counters,
            serving(cluster.database, folder, CACHE_URL=counters, **CHEAP) as portal,
        ):
            yield cluster, portal


class Crowd:
    """Browsers that go on asking, whatever they get; what each answer was, and when."""

    def __init__(self, portal: Portal, people: list[Person]) -> None:
        self._portal, self._people = portal, people
        self.statuses: set[int] = set()
        self.longest = 0.0
        self._over = threading.Event()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Let them ask while the block runs, each for one of the people."""
        threads = [
            threading.Thread(target=self._ask, args=(i, person))
            for i, person in enumerate(self._people)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _ask(self, i: int, person: Person) -> None:
        visitor = self._portal.visitor(f"198.51.100.{i + 1}")
        while not self._over.is_set():
            began = time.monotonic()
            # With a cookie, so that the database is asked.
            visitor.cookies["__Host-session"] = "0" * 32
            self._note(visitor.get("/login/"))
            if visitor.token:
                fields = {"card_number": person.card_number, "pin": "7000"}
                self._note(visitor.post("/login/", **fields))
            self.longest = max(self.longest, time.monotonic() - began)
            self._over.wait(1)
        visitor.close()

    def _note(self, answer: Answer) -> None:
        self.statuses.add(answer.status)
        assert answer.status != 503 or answer.headers["Retry-After"]


def sign_in(portal: Portal, person: Person, token: tuple[dict[str, str], str]) -> Answer:
    """Sign in from a page that was loaded before."""
    visitor = portal.visitor()
    visitor.cookies, visitor.token = dict(token[0]), token[1]
    answer = visitor.post("/login/", card_number=person.card_number, pin=PIN)
    visitor.close()
    return answer


def health(portal: Portal) -> float:
    """Return how long `/healthz/` took."""
    began = time.monotonic()
    visitor = Visitor(portal.port)
    assert visitor.get("/healthz/").status == 200
    visitor.close()
    return time.monotonic() - began


def slowest_until(end: float, portal: Portal) -> float:
    """Ask for `/healthz/` all the time until then; return how long the slowest answer took."""
    slowest = 0.0
    while time.monotonic() < end:
        slowest = max(slowest, health(portal))
        time.sleep(0.1)
    return slowest


def ready(portal: Portal) -> Answer:
    visitor = Visitor(portal.port)
    answer = visitor.get("/readyz/")
    visitor.close()
    return answer


def page(portal: Portal) -> tuple[dict[str, str], str]:
    """Load the sign-in page, as it was open before the fault."""
    visitor = portal.visitor()
    visitor.get("/login/")
    visitor.close()
    return visitor.cookies, visitor.token


def until_signed_in(portal: Portal, person: Person, token: tuple[dict[str, str], str]) -> float:
    """Try again and again; return how long it took."""
    began = time.monotonic()
    wait_until("sign-in is back", lambda: sign_in(portal, person, token).status == 302, BACK)
    return time.monotonic() - began


@pytest.mark.attack("PostgreSQL killed, stopped, hung under 100 browsers", "plain 503, back < 10 s")
@pytest.mark.parametrize("fault", ["kill", "stop_at_once", "hang"])
def test_sign_in_is_closed_without_the_database_and_back_with_it(
    ground: tuple[Cluster, Portal], measured: Measured, fault: str
) -> None:
    cluster, portal = ground
    person, *victims = portal.people(1 + BROWSERS)
    token = page(portal)
    assert sign_in(portal, person, token).status == 302
    crowd = Crowd(portal, victims)
    with crowd.asking():
        time.sleep(1)
        getattr(cluster, fault)()
        over = time.monotonic() + 6
        refused: list[float] = []
        checks = ThreadPoolExecutor(1)
        checked = checks.submit(slowest_until, over, portal)
        while time.monotonic() < over:
            began = time.monotonic()
            answer = sign_in(portal, person, token)
            refused.append(time.monotonic() - began)
            assert answer.status == 503
            assert answer.headers["Retry-After"]
            assert "<main" in answer.text
        slowest = checked.result()
        checks.shutdown()
        not_ready = ready(portal)
        assert not_ready.status == 503
        assert '"database": "ok"' not in not_ready.text
        assert '"cache": "ok"' in not_ready.text
        cluster.go_on() if fault == "hang" else cluster.start()
        back = until_signed_in(portal, person, token)
    measured(
        f"{fault}: 503 in at most {max(refused):.1f} s, health {slowest:.1f} s, back {back:.1f} s"
    )
    assert crowd.statuses <= {200, 503}
    assert max(refused) < BOUND
    assert crowd.longest < 2 * BOUND
    assert slowest < HEALTHY
    assert ready(portal).status == 200
    # Whoever is let in now is let in for good: no dead connection is left in the pool.
    assert {sign_in(portal, person, token).status for _turn in range(20)} == {302}
