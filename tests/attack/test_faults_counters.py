"""Redis killed and hung: stricter, never looser; nobody waits for long, and back unaided."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.attack.test_faults_database import health, page, ready, sign_in, until_signed_in
from tests.server.databases import PostgreSQL
from tests.server.portal import NO_SOURCE_LIMITS, serving
from tests.server.processes import wait_until
from tests.server.services import Redis, serving_until_the_end
from tests.server.test_guessing import LIMIT, WIDE_OPEN, card, guess, judged

# Side by side with others, these would measure each other (`--dist loadgroup`).
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("faults")]

GUESSES = 30
BOUND = 4.0
HEALTHY = 2.0


@pytest.mark.attack("Redis killed, hung under 30 guesses at once", "no 500, 5 judged, back < 10 s")
@pytest.mark.parametrize("fault", ["kill", "hang"])
def test_without_counters_nothing_is_looser(
    migrated: PostgreSQL, measured: Callable[[str], None], fault: str
) -> None:
    with TemporaryDirectory(prefix="portal-") as temporary:
        folder = Path(temporary)
        counters = Redis(folder)
        settings = {**WIDE_OPEN, **NO_SOURCE_LIMITS, "CACHE_URL": counters.url}
        with (
            serving_until_the_end(counters),
            serving(migrated.copy(), folder, **settings) as portal,
        ):
            person, victim = portal.people(2)
            token = page(portal)
            assert sign_in(portal, person, token).status == 302
            getattr(counters, fault)()

            not_ready = ready(portal)
            assert not_ready.status == 503
            assert '"database": "ok"' in not_ready.text
            assert '"cache": "ok"' not in not_ready.text
            began = time.monotonic()
            answers = guess(portal, [card(victim, f"{7000 + i}") for i in range(GUESSES)])
            assert {answer.status for answer in answers} <= {200, 503}
            assert all(answer.headers["Retry-After"] for answer in answers if answer.status == 503)
            slowest = health(portal)
            began = time.monotonic()
            assert sign_in(portal, person, token).status in (302, 503)
            took = time.monotonic() - began

            counters.go_on() if fault == "hang" else counters.start()
            back = until_signed_in(portal, person, token)
            # Each process finds out for itself: until then its answers are 503, and no guess.
            wait_until("both ready", lambda: {ready(portal).status for _ in range(8)} == {200})
            guess(portal, [card(victim, f"{8000 + i}") for i in range(GUESSES)])
            counts = judged(portal, victim)
            measured(
                f"{fault}: answered in {took:.1f} s, health {slowest:.1f} s, back {back:.1f} s, "
                f"{len(counts)} judged"
            )
            assert counts == [*range(1, LIMIT + 1)]
            assert took < BOUND
            assert slowest < HEALTHY
