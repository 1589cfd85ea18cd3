"""Mail when the mail server hangs or is down, or the worker dies: late, never lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.server.mailbox import Mailbox
from tests.server.portal import Person, Portal
from tests.server.processes import wait_until
from tests.server.registering import ask, code_of
from tests.server.visitor import Answer

pytestmark = pytest.mark.server

LIMIT = 2
# Longer than any page takes, much shorter than a mail server is waited for.
SOON = 3.0
Start = Callable[..., Portal]


def seen(answer: Answer) -> tuple[int, str, str]:
    """Return what a visitor sees of an answer: the token of the form differs always."""
    text = "".join(line for line in answer.text.splitlines() if "csrfmiddlewaretoken" not in line)
    return answer.status, answer.location, text


def suspend(portal: Portal, person: Person) -> Answer:
    """Fail until the account is suspended; return the last answer."""
    visitor = portal.visitor()
    visitor.get("/login/")
    for i in range(LIMIT):
        began = time.monotonic()
        answer = visitor.post("/login/", card_number=person.card_number, pin=f"{7000 + i}")
        assert time.monotonic() - began < SOON
    visitor.close()
    assert len(portal.events("suspended", person)) == 1
    return answer


@pytest.mark.parametrize("trouble", ["hang", "down"])
def test_trouble_of_the_mail_server_is_seen_by_nobody_and_loses_nothing(
    start: Start, mailbox: Mailbox, trouble: str
) -> None:
    portal = start(LOGIN_FAILURE_LIMIT=str(LIMIT))
    calm, troubled, registering = portal.people(3)
    with portal.worker():
        as_always = suspend(portal, calm)
        mailbox.wait_for(calm.email)

        getattr(mailbox, trouble)()
        assert seen(suspend(portal, troubled)) == tuple(
            part.replace(calm.card_number, troubled.card_number) if isinstance(part, str) else part
            for part in seen(as_always)
        )
        began = time.monotonic()
        visitor = ask(portal, registering)
        assert time.monotonic() - began < SOON
        wait_until(
            "the worker tries",
            lambda: b"mail server out of reach" in log_of(portal),
            seconds=30,
        )
        assert mailbox.to(troubled.email) == mailbox.to(registering.email) == []

        mailbox.up()
        assert len(mailbox.wait_for(troubled.email)) == 1
        answer = visitor.post("/web-id/register/code/", code=code_of(mailbox, registering))
        assert (answer.status, answer.location) == (302, "/web-id/register/choose/")
        visitor.close()


def log_of(portal: Portal) -> bytes:
    return b"".join(log.read_bytes() for log in portal.folder.glob("worker*.log"))


def test_a_worker_killed_in_mid_send_loses_no_mail(start: Start, mailbox: Mailbox) -> None:
    portal = start(LOGIN_FAILURE_LIMIT=str(LIMIT))
    [person] = portal.people(1)
    mailbox.taking.clear()
    with portal.worker() as worker:
        suspend(portal, person)
        assert mailbox.begun.wait(30)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    mailbox.down()
    mailbox.mails.clear()
    mailbox.up()
    [(tries, closed)] = portal.database.rows("SELECT tries, closed_at FROM credentials_outboxmail")
    assert (tries, closed) == (1, None)
    # The lease of the dead worker ends by itself, after a minute; let it be that minute later.
    portal.database.rows("UPDATE credentials_outboxmail SET due_at = queued_at")
    with portal.worker():
        assert len(mailbox.wait_for(person.email)) == 1


def test_a_mail_that_one_worker_is_sending_is_sent_by_no_other(
    start: Start, mailbox: Mailbox
) -> None:
    portal = start(LOGIN_FAILURE_LIMIT=str(LIMIT))
    people = portal.people(8)
    mailbox.taking.clear()
    for person in people:
        suspend(portal, person)
    with portal.worker(), portal.worker():
        assert mailbox.begun.wait(30)
        time.sleep(2)
        mailbox.taking.set()
        for person in people:
            mailbox.wait_for(person.email)
    assert len(mailbox.mails) == len(people)
