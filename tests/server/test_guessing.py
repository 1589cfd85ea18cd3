"""Many wrong guesses at once, at two processes of gunicorn: what is counted is what was judged."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.server.mailbox import Mailbox
from tests.server.portal import PIN, Person, Portal
from tests.server.registering import PASSWORD, register
from tests.server.visitor import Answer, Visitor, at_once

pytestmark = pytest.mark.server

LIMIT = 5
GUESSES = 50
# So many judged at the same moment that only the count can hold them back.
WIDE_OPEN = {
    "LOGIN_FAILURE_LIMIT": str(LIMIT),
    "HASHING_SLOTS": str(GUESSES),
    "HASHING_QUEUE": "100",
    "HASHING_WAIT_SECONDS": "30",
    "HASHING_MEMORY_KIB": "4096",
    "DATABASE_POOL": "40",
}
Start = Callable[..., Portal]
# A page and what is typed there.
Form = tuple[str, dict[str, str]]


def judged(portal: Portal, person: Person) -> list[int]:
    """Return the counts that the judged failures were given, in order."""
    details = [
        json.loads(line) if isinstance(line, str) else line
        for line in portal.events("sign_in_failed", person)
    ]
    return sorted(one["failures"] for one in details if one["failures"])


def guess(portal: Portal, guesses: list[Form]) -> list[Answer]:
    """Send all of these forms at once, each from a browser and an address of its own."""

    def ready(i: int, path: str, fields: dict[str, str]) -> tuple[Visitor, Callable[[], Answer]]:
        visitor = portal.visitor(f"198.51.100.{i + 1}")
        visitor.get(path)
        return visitor, lambda: visitor.post(path, **fields)

    visitors = [ready(i, path, fields) for i, (path, fields) in enumerate(guesses)]
    answers = at_once([post for _visitor, post in visitors])
    for visitor, _post in visitors:
        visitor.close()
    return answers


def assert_stopped(portal: Portal, mailbox: Mailbox, person: Person, answers: list[Answer]) -> None:
    """Exactly the limit was judged, once it was suspended, once a mail went out."""
    assert [answer.status for answer in answers] == [200] * GUESSES
    assert judged(portal, person) == [1, 2, 3, 4, 5]
    assert len(portal.events("sign_in_failed", person)) == GUESSES
    assert len(portal.events("suspended", person)) == 1
    assert portal.sessions(person) == 0
    with portal.worker():
        before = len(mailbox.to(person.email))
        [told] = mailbox.wait_for(person.email, before or 1)[-1:]
    assert person.card_number[-4:] in told.get_content()
    assert [mail["Subject"] for mail in mailbox.to(person.email)].count(told["Subject"]) == 1
    [(waiting,)] = portal.database.rows(
        "SELECT count(*) FROM credentials_outboxmail WHERE closed_at IS NULL"
    )
    assert waiting == 0


def assert_closed(portal: Portal, person: Person, right: Form) -> None:
    """What is right opens nothing any more."""
    path, fields = right
    visitor = portal.visitor()
    visitor.get(path)
    assert visitor.post(path, **fields).status == 200
    assert not visitor.is_signed_in
    assert portal.sessions(person) == 0
    visitor.close()


def card(person: Person, pin: str) -> Form:
    """Return the form of one way in, filled in."""
    return "/login/", {"card_number": person.card_number, "pin": pin}


def web_id(name: str, password: str) -> Form:
    """Return the form of the other."""
    return "/login/web-id/", {"web_id": name, "password": password}


def test_of_fifty_wrong_pins_at_once_the_limit_is_judged(start: Start, mailbox: Mailbox) -> None:
    portal = start(**WIDE_OPEN)
    [person] = portal.people(1)
    answers = guess(portal, [card(person, f"{7000 + i}") for i in range(GUESSES)])
    assert_stopped(portal, mailbox, person, answers)

    assert_closed(portal, person, card(person, PIN))


def test_both_ways_in_share_one_count(start: Start, mailbox: Mailbox) -> None:
    portal = start(**WIDE_OPEN)
    [person] = portal.people(1)
    with portal.worker():
        register(portal, mailbox, person, web_id="hanako1983")
        mailbox.wait_for(person.email, 2)
    mailbox.mails.clear()
    guesses: list[Form] = []
    for i in range(GUESSES // 2):
        guesses += [card(person, f"{7000 + i}"), web_id("HANAKO1983", f"wrong {i}")]
    answers = guess(portal, guesses)
    assert_stopped(portal, mailbox, person, answers)

    assert_closed(portal, person, card(person, PIN))
    assert_closed(portal, person, web_id("hanako1983", PASSWORD))


def test_the_right_pin_among_wrong_ones_opens_at_most_one_session(start: Start) -> None:
    """And where it does, it is one of the judged."""
    portal = start(**WIDE_OPEN)
    [person] = portal.people(1)
    pins = [f"{7000 + i}" for i in range(GUESSES - 1)]
    answers = guess(portal, [card(person, pin) for pin in [*pins[:20], PIN, *pins[20:]]])
    opened = [answer for answer in answers if answer.status == 302]
    assert len(opened) == len(portal.events("signed_in", person)) <= 1
    # A success clears the failures up to its own attempt, and none that was begun after it.
    assert len(judged(portal, person)) <= 2 * LIMIT - 1
