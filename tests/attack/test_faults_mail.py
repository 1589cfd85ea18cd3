"""The mail server refusing, hanging, dying in mid-mail, gone for half an hour: late, never lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import pytest

from tests.server.mailbox import Mailbox
from tests.server.portal import NO_SOURCE_LIMITS, Person, Portal
from tests.server.processes import wait_until
from tests.server.registering import ask
from tests.server.test_mail_trouble import seen

# Side by side with others, these would measure each other (`--dist loadgroup`).
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("faults")]

TIMES = 6
Start = Callable[..., Portal]


def asked(portal: Portal, people: list[Person]) -> tuple[set[tuple[int, str, str]], float]:
    """Let each of them ask for a code; return what they saw, and how long it took them."""
    answers, took = set(), []
    for person in people:
        visitor = portal.visitor()
        visitor.get("/web-id/register/")
        began = time.monotonic()
        answer = visitor.post(
            "/web-id/register/", member_number=person.member_number, email=person.email
        )
        took.append(time.monotonic() - began)
        answers.add(seen(answer))
        visitor.close()
    return answers, median(took)


@pytest.mark.attack("mail server down, mute, dying in mid-mail, half an hour", "every mail, ≥ once")
def test_no_mail_is_lost_and_nobody_sees_a_difference(
    start: Start, mailbox: Mailbox, measured: Callable[[str], None]
) -> None:
    portal = start(HASHING_MEMORY_KIB="64", **NO_SOURCE_LIMITS)
    people = portal.people(4 * TIMES + 1)
    calm, down, mute, dying = (people[i * TIMES : (i + 1) * TIMES] for i in range(4))
    log = portal.folder
    with portal.worker():
        as_always, usual = asked(portal, calm)
        for person in calm:
            mailbox.wait_for(person.email)

        mailbox.down()
        assert asked(portal, down)[0] == as_always
        mailbox.hang()
        answers, took = asked(portal, mute)
        assert answers == as_always
        # The worker's ten seconds with a mute server: it waits, members do not.
        wait_until(
            "the worker tried",
            lambda: any(b"out of reach" in one.read_bytes() for one in log.glob("worker*.log")),
        )
        mailbox.down()
        assert mailbox.to(down[0].email) == mailbox.to(mute[0].email) == []

        mailbox.begun.clear()
        mailbox.up()
        mailbox.taking.clear()
        assert asked(portal, dying)[0] == as_always
        assert mailbox.begun.wait(30)
        # It dies with a mail half taken.
        mailbox.down()
        mailbox.mails.clear()
    # Half an hour later, with a worker that was started anew.
    portal.database.rows(
        "UPDATE credentials_outboxmail SET queued_at = queued_at - INTERVAL '30 minutes',"
        " due_at = due_at - INTERVAL '30 minutes' WHERE closed_at IS NULL"
    )
    mailbox.up()
    with portal.worker():
        for person in (*down, *mute, *dying):
            mailbox.wait_for(person.email)
    outcomes = portal.database.rows(
        "SELECT outcome, count(*) FROM credentials_outboxmail GROUP BY outcome"
    )
    measured(
        f"{len(mailbox.mails)} mails of 18 held up, answers in {took:.3f} s, {usual:.3f} usual"
    )
    assert outcomes == [("sent", 4 * TIMES)]
    assert took < 5 * usual + 0.5
    ask(portal, people[-1]).close()
