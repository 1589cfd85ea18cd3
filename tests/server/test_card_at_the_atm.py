"""The card at the ATM and at the portal, from both sides at once, at two processes of gunicorn."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from http.client import HTTPException

import pytest

from tests.server.card_host import CardHost, code_of
from tests.server.portal import PIN, Person, Portal
from tests.server.processes import children_of, wait_until
from tests.server.visitor import Answer, Visitor, at_once

pytestmark = pytest.mark.server

LIMIT = 5
GUESSES = 25
# Judging takes a second or so, so that there is a moment in which to die.
SLOW_KIB = 512 * 1024
Start = Callable[..., Portal]


def start_with_queue(start: Start) -> Portal:
    return start(LOGIN_FAILURE_LIMIT=str(LIMIT), HASHING_QUEUE="100", HASHING_WAIT_SECONDS="30")


def judged(portal: Portal, person: Person, act: str) -> list[int]:
    """Return the counts that the judged failures of one side were given."""
    lines = portal.events(act, person)
    details = [json.loads(line) if isinstance(line, str) else line for line in lines]
    return [one["failures"] for one in details if one["failures"]]


def test_guesses_at_the_portal_and_at_the_atm_share_one_limit(start: Start) -> None:
    portal = start_with_queue(start)
    host = CardHost(portal)
    [person] = portal.people(1)
    visitors = [portal.visitor(f"198.51.100.{i + 1}") for i in range(GUESSES)]
    for visitor in visitors:
        visitor.get("/login/")

    def at_portal(visitor: Visitor, pin: str) -> Callable[[], Answer]:
        return lambda: visitor.post("/login/", card_number=person.card_number, pin=pin)

    def at_atm(pin: str) -> Callable[[], Answer]:
        return lambda: host.ask(person, pin)

    guesses = []
    for i, visitor in enumerate(visitors):
        guesses += [at_portal(visitor, f"{7000 + i}"), at_atm(f"{8000 + i}")]
    answers = at_once(guesses)
    for visitor in visitors:
        visitor.close()

    assert [answer.status for answer in answers] == [200] * (2 * GUESSES)
    both = judged(portal, person, "sign_in_failed") + judged(portal, person, "card_refused")
    assert sorted(both) == [1, 2, 3, 4, 5]
    assert len(portal.events("sign_in_failed", person)) == GUESSES
    assert len(portal.events("card_refused", person)) == GUESSES
    assert len(portal.events("suspended", person)) == 1
    assert {code_of(answer) for answer in answers[1::2]} <= {"55", "75"}
    assert [code_of(answer) for answer in answers[1::2]].count("55") <= LIMIT - 1

    # What is right opens nothing any more, on either side.
    assert code_of(host.ask(person, PIN)) == "75"
    visitor = portal.visitor()
    visitor.get("/login/")
    assert visitor.post("/login/", card_number=person.card_number, pin=PIN).status == 200
    assert not visitor.is_signed_in
    visitor.close()
    assert portal.sessions(person) == 0
    assert portal.events("card_verified", person) == []


def test_equal_questions_at_once_are_judged_once(start: Start) -> None:
    portal = start_with_queue(start)
    host = CardHost(portal)
    [person] = portal.people(1)
    answers = at_once([lambda: host.ask(person, "7000", trace="T1")] * GUESSES)
    answered = [answer for answer in answers if answer.status == 200]
    assert {answer.status for answer in answers} <= {200, 409}
    assert {code_of(answer) for answer in answered} == {"55"}
    for answer in answers:
        assert answer.status == 200 or answer.headers["Retry-After"] == "1"
    assert portal.failures(person) == 1
    assert len(portal.events("card_refused", person)) == 1


def test_whoever_waits_for_a_slot_holds_no_connection(start: Start) -> None:
    portal = start(
        WEB_CONCURRENCY="1",
        DATABASE_POOL="1",
        HASHING_SLOTS="1",
        HASHING_QUEUE="100",
        HASHING_WAIT_SECONDS="30",
    )
    host = CardHost(portal)
    people = portal.people(12)
    answers = at_once([partial(host.ask, person, PIN) for person in people])
    assert [(answer.status, code_of(answer)) for answer in answers] == [(200, "00")] * 12


@pytest.mark.parametrize("pin", ["7000", PIN], ids=["wrong", "right"])
def test_a_question_that_a_crash_cut_short_stays_counted_and_is_not_judged_again(
    start: Start, pin: str
) -> None:
    portal = start(LOGIN_FAILURE_LIMIT=str(LIMIT), HASHING_MEMORY_KIB=str(SLOW_KIB))
    host = CardHost(portal)
    [person] = portal.people(1)
    broken: list[Exception] = []

    def ask() -> None:
        try:
            host.ask(person, pin, trace="T1")
        except (OSError, HTTPException) as error:
            broken.append(error)

    question = threading.Thread(target=ask)
    question.start()
    wait_until("the attempt is counted", lambda: portal.failures(person) == 1)
    for process in children_of(portal.gunicorn):
        os.kill(process, signal.SIGKILL)
    question.join()
    assert broken, "it was answered: the kill came too late to prove anything"
    wait_until("new processes serve", lambda: len(children_of(portal.gunicorn)) == 2)

    again = host.ask(person, pin, trace="T1")
    assert (again.status, again.headers["Retry-After"]) == (409, "1")
    # A minute later, by the database's clock: the row is made a minute older.
    older = (
        "asked_at - interval '61 seconds'"
        if portal.database.url.startswith("postgres")
        else "strftime('%Y-%m-%d %H:%M:%f', asked_at, '-61 seconds')"
    )
    portal.database.rows(f"UPDATE credentials_cardverification SET asked_at = {older}")
    given_up = host.ask(person, pin, trace="T1")
    assert (given_up.status, code_of(given_up)) == (200, "91")
    assert portal.failures(person) == 1
    assert portal.events("card_verified", person) == portal.events("card_refused", person) == []
