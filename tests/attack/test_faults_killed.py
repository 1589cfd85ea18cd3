"""`kill -9` between any step and the next: counted or nothing happened, and never half of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.server.mailbox import Mailbox
from tests.server.portal import NO_SOURCE_LIMITS, PIN, Person, Portal
from tests.server.processes import children_of, wait_until
from tests.server.registering import PASSWORD, ask, choice, code_of, up_to_choosing
from tests.server.visitor import Answer, Visitor

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("faults")]

WRONG = "7000"
WORKER = ("-m", "tests.server.mortal")
Start = Callable[..., Portal]
Measured = Callable[[str], None]


@dataclass(frozen=True)
class Mortals:
    """A portal whose processes die at the step that is ordered."""

    portal: Portal
    order: Path

    def dies(self, step: str, act: Callable[[], Answer]) -> None:
        """Do `act`; the process that answers it dies at `step`, and nobody gets an answer."""
        wait_until("two processes serve", lambda: len(children_of(self.portal.gunicorn)) == 2)
        self.order.write_text(step)
        with pytest.raises((OSError, HTTPException)):
            act()
        assert not self.order.exists(), f"never came to: {step}"


@pytest.fixture
def mortals(start: Start, tmp_path: Path) -> Mortals:
    order = tmp_path / "order"
    portal = start(
        application="tests.server.mortal",
        MORTAL=str(order),
        LOGIN_FAILURE_LIMIT="2",
        HASHING_MEMORY_KIB="64",
        **NO_SOURCE_LIMITS,
    )
    return Mortals(portal, order)


def sign_in(portal: Portal, person: Person, pin: str) -> Callable[[], Answer]:
    """Return the last click of a sign-in."""
    visitor = portal.visitor()
    visitor.get("/login/")
    return lambda: visitor.post("/login/", card_number=person.card_number, pin=pin)


def standing(portal: Portal, person: Person) -> tuple[int, int, int, int]:
    """Return failures counted, failures on record, sign-ins on record, sessions."""
    return (
        portal.failures(person),
        len(portal.events("sign_in_failed", person)),
        len(portal.events("signed_in", person)),
        portal.sessions(person),
    )


NOTHING, COUNTED = (0, 0, 0, 0), (1, 0, 0, 0)
SIGN_IN = [
    ("before credentials.login:reserve", PIN, NOTHING),
    ("after credentials.login:reserve", PIN, COUNTED),
    ("before credentials.login:_open", PIN, COUNTED),
    ("after credentials.login:settle_success", PIN, COUNTED),
    ("before credentials.login:open_session", PIN, COUNTED),
    ("after credentials.login:open_session", PIN, COUNTED),
    # All of it, but nobody holds the session's key.
    ("after credentials.login:_open", PIN, (0, 0, 1, 1)),
    ("before credentials.login:reserve", WRONG, NOTHING),
    ("after credentials.login:reserve", WRONG, COUNTED),
    ("before credentials.suspension:fail", WRONG, COUNTED),
    ("after credentials.suspension:settle_failure", WRONG, COUNTED),
    ("after credentials.audit:record", WRONG, COUNTED),
    ("after credentials.suspension:fail", WRONG, (1, 1, 0, 0)),
]


@pytest.mark.attack("kill -9 at each of 13 steps of a sign-in", "counted, or nothing happened")
def test_a_sign_in_that_a_crash_cuts_short(mortals: Mortals, measured: Measured) -> None:
    portal = mortals.portal
    people = portal.people(len(SIGN_IN))
    for person, (step, pin, expected) in zip(people, SIGN_IN, strict=True):
        mortals.dies(step, sign_in(portal, person, pin))
        assert standing(portal, person) == expected, step
    for person in people:
        assert sign_in(portal, person, PIN)().status == 302
        assert portal.failures(person) == 0
    measured(f"{len(SIGN_IN)} killed, {len(people)} signed in afterwards")


SUSPENDING = [
    "after credentials.login:reserve",
    "after credentials.suspension:settle_failure",
    "after credentials.mail:queue",
    "after credentials.suspension:fail",
]


@pytest.mark.attack("kill -9 in the very failure that suspends", "suspended, one mail")
def test_the_last_failure_that_a_crash_cuts_short(
    mortals: Mortals, mailbox: Mailbox, measured: Measured
) -> None:
    """It is counted, so nothing is judged any more; and the next attempt settles it."""
    portal = mortals.portal
    people = portal.people(len(SUSPENDING))
    for person, step in zip(people, SUSPENDING, strict=True):
        assert sign_in(portal, person, WRONG)().status == 200
        mortals.dies(step, sign_in(portal, person, WRONG))
        assert sign_in(portal, person, PIN)().status == 200, f"too late, and opened: {step}"
        # A minute later.
        portal.database.rows(
            "UPDATE members_user SET last_attempt_at = last_attempt_at - INTERVAL '61 seconds'"
        )
        assert sign_in(portal, person, PIN)().status == 200
        assert len(portal.events("suspended", person)) == 1, step
        assert portal.sessions(person) == 0
    with portal.worker():
        for person in people:
            assert len(mailbox.wait_for(person.email)) == 1
    measured(f"{len(people)} suspended, {len(mailbox.mails)} mails")


def clicks(visitor: Visitor, path: str, **fields: str) -> Callable[[], Answer]:
    """Return a click on the button of this page."""
    visitor.get(path)
    return lambda: visitor.post(path, **fields)


ASK, CODE, CHOOSE = (f"/web-id/register/{step}" for step in ("", "code/", "choose/"))


@pytest.mark.attack("kill -9 at each of 10 steps of a registration", "a code works once, mails ≥ 1")
def test_a_registration_that_a_crash_cuts_short(
    mortals: Mortals, mailbox: Mailbox, measured: Measured
) -> None:
    portal = mortals.portal
    asking, composing, sending, *others = portal.people(9)
    for step in ("after credentials.mail:queue", "after credentials.registration:ask"):
        fields = {"member_number": asking.member_number, "email": asking.email}
        mortals.dies(step, clicks(portal.visitor(), ASK, **fields))
    # Of the first nothing is left; the second was asked, and its code goes to nobody's browser.
    with portal.worker():
        code = code_of(mailbox, asking)
    assert len(mailbox.to(asking.email)) == 1

    for person, step, mails in (
        (composing, "after credentials.mail:message_of", 0),
        (sending, "before credentials.mail:_close", 1),
    ):
        visitor = ask(portal, person)
        mortals.order.write_text(step)
        with portal.worker(*WORKER) as worker:
            worker.wait(30)
        assert not mortals.order.exists()
        assert len(mailbox.to(person.email)) == mails
        portal.database.rows("UPDATE credentials_outboxmail SET due_at = queued_at")
        with portal.worker(*WORKER):
            code = code_of(mailbox, person, mails + 1)
        # Each mail has a code of its own, and the last one is the one.
        assert clicks(visitor, CODE, code=code)().location == CHOOSE
        assert clicks(visitor, CODE, code=code)().status == 200, "twice"

    with portal.worker():
        for step, came_back in (
            ("before credentials.registration:confirm", False),
            ("after credentials.audit:record", False),
            ("after credentials.registration:confirm", True),
        ):
            person = others.pop()
            visitor = ask(portal, person)
            code = code_of(mailbox, person)
            mortals.dies(step, clicks(visitor, CODE, code=code))
            again = clicks(visitor, CODE, code=code)()
            assert again.status == (200 if came_back else 302), step
            chosen = clicks(visitor, CHOOSE, **choice(f"hanako{person.member_number}"))()
            assert chosen.location.endswith("/done/"), step

        for step, chose in (
            ("before credentials.registration:register", False),
            ("after credentials.mail:queue", False),
            ("after credentials.registration:register", True),
        ):
            person = others.pop()
            visitor = up_to_choosing(portal, mailbox, person)
            name = f"hanako{person.member_number}"
            mortals.dies(step, clicks(visitor, CHOOSE, **choice(name)))
            again = clicks(visitor, CHOOSE, **choice(name))()
            assert again.location.endswith("register/" if chose else "/done/"), step
            assert len(portal.events("web_id_registered", person)) == 1
            came = portal.visitor()
            entering = clicks(came, "/login/web-id/", web_id=name, password=PASSWORD)
            assert entering().status == 302
            mailbox.wait_for(person.email, 2)
    measured(f"10 killed, {len(mailbox.mails)} mails, 6 registered")
