"""The clock of the web servers and the worker an hour off: the database's alone decides.

PostgreSQL and Redis have the true time.
"""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b32decode
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from credentials.totp import code_at, step_at
from tests.server.mailbox import Mailbox
from tests.server.portal import PIN, ROOT, Person, Portal
from tests.server.registering import ask, code_of, up_to_choosing
from tests.server.visitor import Answer, Visitor

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("faults")]

TOKYO = ZoneInfo("Asia/Tokyo")
LIMIT, SUSPENDED_FOR = 2, 1800
WORKER = ("-m", "tests.server.askew")
PASSWORD = "four words in a row"
Start = Callable[..., Portal]


@pytest.fixture(params=[3600, -3600], ids=["an hour fast", "an hour slow"])
def askew(request: pytest.FixtureRequest, start: Start) -> Portal:
    """A portal whose clock is an hour off."""
    return start(
        application="tests.server.askew",
        CLOCK_OFF=str(request.param),
        LOGIN_FAILURE_LIMIT=str(LIMIT),
        SUSPENSION_SECONDS=str(SUSPENDED_FOR),
        SOURCE_ACCOUNT_LIMIT="1000/hour",
        SOURCE_FAILURE_LIMIT="20/hour",
        HASHING_MEMORY_KIB="64",
    )


@pytest.mark.attack("clock of web and worker an hour off", "the database's clock decides")
def test_a_wrong_clock_changes_no_expiry(
    askew: Portal, mailbox: Mailbox, measured: Callable[[str], None]
) -> None:
    a_suspension_lasts_as_long_as_it_does(askew, mailbox)
    codes_and_sessions_live_as_long_as_they_do(askew, mailbox)
    tickets_codes_of_the_app_and_waits_go_by_true_clocks(askew)
    off = int(askew.env["CLOCK_OFF"]) // 3600
    measured(f"{off:+} h: suspension, code, session, ticket, staff's code, wait as always")


def sign_in(
    portal: Portal, person: Person, pin: str = PIN, address: str = "203.0.113.7"
) -> Visitor:
    """Return a visitor after signing in, or trying to."""
    visitor = portal.visitor(address)
    visitor.get("/login/")
    visitor.post("/login/", card_number=person.card_number, pin=pin)
    return visitor


def later(portal: Portal, table: str, *columns: str, minutes: float) -> None:
    """Let so much time pass for all rows of a table."""
    moved = ", ".join(f"{one} = {one} - INTERVAL '{minutes} minutes'" for one in columns)
    portal.database.rows(f"UPDATE {table} SET {moved}")


def a_suspension_lasts_as_long_as_it_does(askew: Portal, mailbox: Mailbox) -> None:
    [person] = askew.people(1)
    for _turn in range(LIMIT):
        sign_in(askew, person, "7000")
    [(lasts, ago, until)] = askew.database.rows(
        "SELECT suspended_until - suspended_at, now() - suspended_at, suspended_until"
        " FROM members_user WHERE suspended_at IS NOT NULL"
    )
    assert lasts == timedelta(seconds=SUSPENDED_FOR)
    assert timedelta() <= ago < timedelta(minutes=5)
    assert not sign_in(askew, person).is_signed_in
    with askew.worker(*WORKER):
        [mail] = mailbox.wait_for(person.email)
    assert shown(until) in mail.get_content()
    later(askew, "members_user", "suspended_at", "suspended_until", minutes=29)
    assert not sign_in(askew, person).is_signed_in
    later(askew, "members_user", "suspended_at", "suspended_until", minutes=1.1)
    signed_in = sign_in(askew, person)
    assert signed_in.is_signed_in


def shown(moment: datetime) -> str:
    """Return the time of day as pages and mails show it."""
    local = moment.astimezone(TOKYO)
    return f"{local.hour}:{local.minute:02}"


def codes_and_sessions_live_as_long_as_they_do(askew: Portal, mailbox: Mailbox) -> None:
    in_time, late, chooser, member = askew.people(4)
    with askew.worker(*WORKER):
        waiting = {person: ask(askew, person) for person in (in_time, late)}
        codes = {person: code_of(mailbox, person) for person in waiting}
        choosing = up_to_choosing(askew, mailbox, chooser)
    later(askew, "credentials_registrationrequest", "sent_at", "confirmed_at", minutes=9)
    right = waiting[in_time].post("/web-id/register/code/", code=codes[in_time])
    assert right.location == "/web-id/register/choose/"
    assert choosing.get("/web-id/register/choose/").status == 200
    later(askew, "credentials_registrationrequest", "sent_at", "confirmed_at", minutes=1.1)
    assert waiting[late].post("/web-id/register/code/", code=codes[late]).status == 200
    assert choosing.get("/web-id/register/choose/").status == 302

    idle, old = sign_in(askew, member), sign_in(askew, member)
    top = idle.get("/")
    assert top.status == 200
    [(at,)] = askew.database.rows("SELECT max(previous_sign_in_at) FROM members_user")
    assert shown(at) in top.text
    later(askew, "credentials_session", "last_seen_at", minutes=14)
    assert idle.is_signed_in
    later(askew, "credentials_session", "last_seen_at", minutes=15.1)
    assert not idle.is_signed_in
    askew.database.rows("UPDATE credentials_session SET last_seen_at = now()")
    later(askew, "credentials_session", "opened_at", minutes=12 * 60 - 1)
    assert old.is_signed_in
    later(askew, "credentials_session", "opened_at", minutes=1.1)
    assert not old.is_signed_in


PREPARE = """
from django.db.models.functions import Now
from credentials import pin_reset
from members.models import Member, User
card = Member.objects.get(number={number!r}).card
pin_reset._issue(card, "12345678", prepared_by="tests", started_at=Now(), started_by="tests",
                 document="tests", place="tests")
User.objects.create_superuser("boss", {password!r})
"""


def tickets_codes_of_the_app_and_waits_go_by_true_clocks(askew: Portal) -> None:
    [person] = askew.people(1)
    program = PREPARE.format(number=person.member_number, password=PASSWORD)
    subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-v0", "-c", program],
        cwd=ROOT,
        env=dict(askew.env),
        check=True,
    )
    later(askew, "credentials_pinreset", "prepared_at", "started_at", minutes=14)
    assert with_ticket(askew, person, "9642").location == "/pin/done/"
    askew.database.rows("UPDATE credentials_pinreset SET ended_at = NULL")
    later(askew, "credentials_pinreset", "prepared_at", "started_at", minutes=1.1)
    assert with_ticket(askew, person, "9753").status == 200

    boss = Visitor(askew.port)
    boss.get("/admin/login/")
    boss.post("/admin/login/", username="boss", password=PASSWORD)
    page = boss.get("/admin/second-factor/")
    page = boss.get(page.location) if page.location else page
    [letters] = re.findall(r"[A-Z2-7]{32}", re.sub(r"(?<=[A-Z2-7]) (?=[A-Z2-7])", "", page.text))
    true = code_at(b32decode(letters), step_at(datetime.now().astimezone()))
    assert boss.post("/admin/second-factor/enrol/", code=true).status in (200, 302)
    assert boss.get("/admin/").status == 200

    address, waits = "198.51.100.9", set()
    visitor = askew.visitor(address)
    visitor.get("/login/")
    for i in range(25):
        answer = visitor.post("/login/", card_number=person.card_number, pin=f"{7000 + i}")
        if answer.status == 429:
            waits.add(int(answer.headers["Retry-After"]))
    assert waits
    assert all(3000 < wait <= 3600 for wait in waits)


def with_ticket(portal: Portal, person: Person, pin: str) -> Answer:
    """Type a ticket and a new PIN at the terminal."""
    terminal = portal.visitor()
    terminal.get("/pin/")
    return terminal.post(
        "/pin/", card_number=person.card_number, ticket="12345678", pin1=pin, pin2=pin
    )
