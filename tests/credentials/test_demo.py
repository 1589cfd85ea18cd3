"""`manage.py demo`: what it prints is what signs in."""

from __future__ import annotations

import re
from base64 import b32decode
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from credentials import suspension
from members.models import Card, Member, User
from tests.conftest import Browser
from tests.factories import app_code
from tests.pages import browser, is_signed_in, user_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(settings: Any) -> Callable[[], str]:
    """Return a function that runs the demo up to serving, and gives what it printed."""
    backend = settings.EMAIL_BACKEND

    def demo() -> str:
        settings.PLAIN_HTTP = True
        out = StringIO()
        call_command("demo", "--no-serve", stdout=out)
        settings.PLAIN_HTTP = False
        # The demo shows mails on the console; here they are looked at.
        settings.EMAIL_BACKEND = backend
        return out.getvalue()

    return demo


@pytest.fixture
def printed(run: Callable[[], str]) -> str:
    return run()


def cards_in(printed: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = re.findall(r"card ([\d ]{19})\s+PIN (\d{4})", printed)
    assert len(found) == 3
    return found


def try_card(number: str, pin: str) -> Browser:
    client = browser()
    client.post("/login/", {"card_number": number, "pin": pin})
    return client


def test_demo_runs_in_debug_only(settings: Any) -> None:
    assert settings.PLAIN_HTTP is False
    with pytest.raises(CommandError, match="DEBUG"):
        call_command("demo", "--no-serve", stdout=StringIO())
    assert not Member.objects.exists()


def test_printed_cards_sign_in_but_for_the_suspended_one(printed: str) -> None:
    signed_in = [is_signed_in(try_card(*card)) for card in cards_in(printed)]
    assert signed_in == [True, True, False]
    member = Member.objects.get(card__number=cards_in(printed)[2][0].replace(" ", ""))
    assert suspension.is_in_force(user_of(member))


def test_printed_web_id_signs_in(printed: str) -> None:
    [(web_id, password)] = re.findall(r"Web-ID (\w+)\s+password: (.+)", printed)
    client = browser()
    client.post("/login/web-id/", {"web_id": web_id, "password": password})
    assert is_signed_in(client)


def test_printed_member_number_and_address_begin_a_registration(printed: str, deliver: Any) -> None:
    [number] = re.findall(r"member number (\d{9})", printed)
    [email] = re.findall(r"email\s+(\S+@\S+)", printed)
    deliver()
    browser().post("/web-id/register/", {"member_number": number, "email": email})
    [mail] = deliver()
    assert mail.to == [email]


def test_printed_staff_sign_in_each_in_one_role(printed: str) -> None:
    [password] = re.findall(r"password of all: (.+)", printed)
    [letters] = re.findall(r"authenticator app, the same for all:\s+([A-Z2-7 ]+)\n", printed)
    secret = b32decode(letters.replace(" ", ""))
    staff = User.objects.filter(is_staff=True)
    assert staff.count() == 4
    for user in staff:
        client = browser()
        client.post("/admin/login/", {"username": user.username, "password": password})
        assert not is_signed_in(client)
        client.post("/admin/second-factor/", {"code": app_code(secret=secret)})
        assert is_signed_in(client)
        [role] = user.groups.all()
        assert re.search(rf"{user.username}\s+{role.name}", printed)


def test_second_run_puts_everything_back_as_printed(printed: str, run: Callable[[], str]) -> None:
    cards = cards_in(printed)
    for _ in range(5):
        try_card(cards[0][0], "0000" if cards[0][1] != "0000" else "0001")
    Card.objects.filter(number=cards[1][0].replace(" ", "")).update(sealed_pin="")
    again = run()
    codes = r"recovery codes: (.+)"
    assert re.sub(codes, "", again) == re.sub(codes, "", printed)
    signed_in = [is_signed_in(try_card(*card)) for card in cards]
    assert signed_in == [True, True, False]
    # Each works once, so they are the one thing that every run makes anew.
    [password] = re.findall(r"password of all: (.+)", again)
    for shown, works in ((printed, False), (again, True)):
        client = browser()
        client.post("/admin/login/", {"username": "demo-call-centre", "password": password})
        first = re.findall(codes, shown)[0].split(",")[0]
        client.post("/admin/second-factor/", {"code": first})
        assert is_signed_in(client) == works
