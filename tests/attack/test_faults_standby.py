"""The primary killed in the middle of a guessing run, and its standby promoted: nothing forgotten.

Whoever was told of a failure is counted at the new primary too, since every commit waits until
the standby has it; and the portal finds the new primary unaided (docs/operations.md).
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.server.databases import PostgreSQL, redis
from tests.server.portal import NO_SOURCE_LIMITS, PIN, Person, Portal, serving
from tests.server.processes import wait_until
from tests.server.services import Cluster, serving_until_the_end

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("faults")]

LIMIT = 5
GUESSERS = 8
MEMBERS = 60
REFUSED = "We could not sign you in"
BACK = 15.0
Measured = Callable[[str], None]


class Both:
    """Two hosts in one DATABASE_URL; asked by us at the one that is the primary now."""

    def __init__(self, first: Cluster, second: Cluster) -> None:
        name = first.database.name
        self.url = (
            f"postgres://postgres@127.0.0.1:{first.port},127.0.0.1:{second.port}/{name}"
            "?target_session_attrs=read-write"
        )
        self.primary = first.database
        self.rows = first.database.rows

    def copy(self) -> PostgreSQL:
        return self.primary.copy()


def guess(
    portal: Portal, people: list[Person], told: Counter[Person], over: threading.Event
) -> None:
    """Guess at one after the other, and count what we were told; until it is `over`."""
    visitor = portal.visitor()
    turn = 0
    while not over.is_set():
        person, turn = people[turn % len(people)], turn + 1
        try:
            if not visitor.token:
                visitor.get("/login/")
            answer = visitor.post("/login/", card_number=person.card_number, pin=f"{7000 + turn}")
        except (OSError, HTTPException):
            continue
        assert answer.status in (200, 503)
        if answer.status == 200 and REFUSED in answer.text:
            told[person] += 1
    visitor.close()


@pytest.mark.attack(
    "primary killed in a guessing run, standby promoted", "no failure forgotten, 5 judged"
)
def test_no_failure_is_forgotten(migrated: PostgreSQL, measured: Measured) -> None:
    with TemporaryDirectory(prefix="portal-") as temporary:
        folder = Path(temporary)
        first = Cluster(migrated, folder)
        with serving_until_the_end(first):
            second = Cluster(first.database, folder, standby=True)
            with serving_until_the_end(second), redis(folder) as counters:
                first.replicate_to(second)
                settings = {
                    **NO_SOURCE_LIMITS,
                    "CACHE_URL": counters,
                    "HASHING_MEMORY_KIB": "64",
                    "LOGIN_FAILURE_LIMIT": str(LIMIT),
                }
                with serving(Both(first, second), folder, **settings) as portal:
                    fail_over(portal, first, second, measured)


def fail_over(portal: Portal, first: Cluster, second: Cluster, measured: Measured) -> None:
    lucky, *people = portal.people(1 + MEMBERS)
    told: list[Counter[Person]] = [Counter() for _guesser in range(GUESSERS)]
    over = threading.Event()
    shares = [people[i::GUESSERS] + people[:2] for i in range(GUESSERS)]
    guessers = [
        threading.Thread(target=guess, args=(portal, share, counted, over))
        for share, counted in zip(shares, told, strict=True)
    ]
    for one in guessers:
        one.start()
    time.sleep(1.5)
    # What is told from here on, without the standby, would be forgotten.
    second.kill()
    time.sleep(1)
    first.kill()
    before = sum(told, Counter())
    began = time.monotonic()
    second.start()
    second.promote()
    promoted = time.monotonic()
    wait_until("the portal goes on", lambda: sum(map(Counter.total, told)) > before.total(), BACK)
    back = time.monotonic()
    time.sleep(1.5)
    over.set()
    for one in guessers:
        one.join()

    acknowledged: Counter[Person] = sum(told, Counter())
    recorded = second.database.rows(
        "SELECT whom, details FROM credentials_event WHERE act = 'sign_in_failed'"
    )
    on_record = Counter(whom for whom, _details in recorded)
    judged = Counter(whom for whom, how in recorded if _failures(how))
    attempts = dict(
        second.database.rows(
            "SELECT m.number, u.attempts FROM members_user u JOIN members_member m"
            " ON m.id = u.member_id"
        )
    )
    forgotten = sum(
        max(times - on_record[person.member_number], 0) for person, times in acknowledged.items()
    )
    most = max(max(judged.values()), max(attempts.values()))
    measured(
        f"{acknowledged.total()} told, {before.total()} of them before, {forgotten} forgotten, "
        f"{most} judged, promoted in {promoted - began:.1f} s, then back in {back - promoted:.1f} s"
    )
    assert before.total() > LIMIT
    assert forgotten == 0
    assert most <= LIMIT
    assert sign_in(portal, lucky) == 302


def _failures(how: object) -> int:
    return int((json.loads(how) if isinstance(how, str) else how)["failures"])  # type: ignore[index]


def sign_in(portal: Portal, person: Person) -> int:
    visitor = portal.visitor()
    visitor.get("/login/")
    answer = visitor.post("/login/", card_number=person.card_number, pin=PIN)
    visitor.close()
    return answer.status
