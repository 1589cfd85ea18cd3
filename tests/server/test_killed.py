"""gunicorn killed between counting an attempt and judging it: the attempt stays counted."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from http.client import HTTPException

import pytest

from tests.server.portal import PIN, Portal
from tests.server.processes import children_of, resident_kib, wait_until

pytestmark = pytest.mark.server

LIMIT = 2
# Judging takes a second or so, so that there is a moment in which to die.
SLOW_KIB = 512 * 1024
Start = Callable[..., Portal]


def is_hashing(portal: Portal) -> bool:
    """Whether a process holds most of the memory that a hashing takes."""
    return any(resident_kib(pid) > SLOW_KIB // 2 for pid in children_of(portal.gunicorn))


@pytest.mark.parametrize("pin", ["7000", PIN], ids=["wrong", "right"])
def test_an_attempt_that_a_crash_cut_short_stays_counted(start: Start, pin: str) -> None:
    portal = start(LOGIN_FAILURE_LIMIT=str(LIMIT), HASHING_MEMORY_KIB=str(SLOW_KIB))
    [person] = portal.people(1)
    fields = {"card_number": person.card_number, "pin": pin}
    visitor = portal.visitor()
    visitor.get("/login/")
    broken: list[Exception] = []

    def sign_in() -> None:
        try:
            visitor.post("/login/", **fields)
        except (OSError, HTTPException) as error:
            broken.append(error)

    attempt = threading.Thread(target=sign_in)
    attempt.start()
    wait_until("the attempt is being judged", lambda: is_hashing(portal))
    for process in children_of(portal.gunicorn):
        os.kill(process, signal.SIGKILL)
    attempt.join()
    visitor.close()

    assert broken, "it was answered: the kill came too late to prove anything"
    assert portal.failures(person) == 1
    assert portal.events("sign_in_failed", person) == portal.events("signed_in", person) == []
    assert portal.sessions(person) == 0

    # And it counts: one more failure is the limit.
    again = portal.visitor()
    wait_until("new processes serve", lambda: len(children_of(portal.gunicorn)) == 2)
    again.get("/login/")
    assert again.post("/login/", card_number=person.card_number, pin="7001").status == 200
    again.close()
    assert len(portal.events("suspended", person)) == 1
