"""After which acts every open session of the member is refused, and the member gets a notice.

Security.md, "Flows", as a table: one line for each act.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from django.core.mail import EmailMessage
from django.db.models.functions import Now
from django.urls import reverse

from credentials import card_verification, closure
from credentials.models import ApiClient, ApiKey, Closure, Event
from members.models import Member, User
from tests.conftest import Browser
from tests.factories import PASSWORD, PIN, MemberFactory, StaffFactory, with_check_digit
from tests.members.feeds import HEADER, run
from tests.pages import as_staff, browser, code_in, fail, is_signed_in, user_of, with_card

pytestmark = pytest.mark.django_db

Deliver = Callable[[], list[EmailMessage]]
_traces = count(1)


@dataclass
class Scene:
    """A member who is signed in twice, and what the acts need."""

    member: Member
    phone: Browser
    computer: Browser
    deliver: Deliver
    folder: Path

    def feed(self, **cells: str) -> None:
        """Import a line about the member, with these cells changed."""
        member = self.member
        line = {
            "member_number": member.number,
            "name": member.name,
            "name_kana": member.name_kana,
            "birth_date": "1983-12-31",
            "email": member.email,
            "phone": member.phone,
            "card_number": member.card.number,
            "pin": "",
        } | cells
        file = self.folder / "members.csv"
        file.write_text(f"{HEADER}\n{','.join(line.values())}\n", encoding="utf-8")
        assert run(file).exit_code == 0


@pytest.fixture
def scene(deliver: Deliver, tmp_path: Path) -> Scene:
    member = MemberFactory()
    phone, computer = browser("en"), browser("en")
    for client in (phone, computer):
        assert with_card(client, member).status_code == 302
        assert is_signed_in(client)
    # The computer is a new device.
    [_told] = deliver()
    return Scene(member, phone, computer, deliver, tmp_path)


def register_web_id(scene: Scene) -> None:
    client = browser("en")
    asked = {"member_number": scene.member.number, "email": scene.member.email}
    client.post("/web-id/register/", asked)
    [mail] = scene.deliver()
    client.post("/web-id/register/code/", {"code": code_in(mail)})
    chosen = {"web_id": "Hanako1983", "password1": PASSWORD, "password2": PASSWORD}
    assert client.post("/web-id/register/choose/", chosen).status_code == 302


def start_pin_reset(scene: Scene) -> str:
    store = as_staff(StaffFactory(role="Store"))
    typed = {"document": "passport", "place": "Ueno"}
    answer = store.post(reverse("admin:member_pin_reset", args=[scene.member.pk]), typed)
    [ticket] = re.findall(r"\b(\d{4} \d{4})\b", answer.content.decode())
    return str(ticket)


def set_pin(scene: Scene) -> None:
    ticket = start_pin_reset(scene)
    scene.deliver()
    # Signed in anew in between, so that it is the new PIN that ends it.
    User.objects.filter(member=scene.member).update(epoch=0)
    assert is_signed_in(scene.phone)
    number = scene.member.card.number
    typed = {"card_number": number, "ticket": ticket, "pin1": "7294", "pin2": "7294"}
    assert browser().post("/pin/", typed).status_code == 302


def feed_another_pin(scene: Scene) -> None:
    scene.feed(pin="7294")


def feed_another_card(scene: Scene) -> None:
    scene.feed(card_number=with_check_digit("939200000000042"))


def feed_another_address(scene: Scene) -> None:
    scene.feed(email="new@example.jp")


def feed_no_address(scene: Scene) -> None:
    scene.feed(email="")


def fail_on_the_portal(scene: Scene) -> None:
    fail(scene.member, 5)


def fail_at_the_atm(scene: Scene) -> None:
    host = ApiClient.objects.create(name="card host")
    scope = ApiKey.Scope.CARD_VERIFICATIONS
    key = ApiKey.objects.create(
        client=host, prefix="msp_tests000", scope=scope, expires_at=Now() + timedelta(days=1)
    )
    for _ in range(5):
        card_verification.verify(
            by=key,
            card_number=scene.member.card.number,
            pin="9753",
            terminal="ATM-0001",
            trace=str(next(_traces)),
            source="192.0.2.10",
        )


def close(scene: Scene) -> None:
    Member.objects.update(balance=0)
    assert closure.ask(member=scene.member, certificate=False, source="") is None
    scene.deliver()
    asked = Closure.objects.get(member=scene.member)
    first, second = StaffFactory(role="Call centre"), StaffFactory(role="Call centre")
    asked.member.refresh_from_db()
    assert closure.check(closure=asked, by=first, no_balance=True, nothing_open=True) is None
    assert closure.approve(closure=asked, by=second) is None


def disown(scene: Scene) -> None:
    event = Event.objects.filter(act=Event.Act.SIGNED_IN).first()
    assert event
    assert scene.phone.post(reverse("disown", args=[event.pk])).status_code == 302


def disown_without_saying_which(scene: Scene) -> None:
    assert scene.phone.post("/sign-ins/not-me/").status_code == 302


ACTS: dict[Callable[[Scene], object], str] = {
    register_web_id: "Your Web-ID was registered",
    start_pin_reset: "Your PIN is being set again",
    set_pin: "Your new PIN is set",
    feed_another_pin: "Your card or its PIN was changed",
    feed_another_card: "Your card or its PIN was changed",
    feed_another_address: "Your registered email address was changed",
    fail_on_the_portal: "Your account and card are suspended",
    fail_at_the_atm: "Your account and card are suspended",
    close: "Your membership is closed",
    disown: "You reported a sign-in: everything is stopped",
    disown_without_saying_which: "You reported a sign-in: everything is stopped",
}


@pytest.mark.parametrize(
    ("act", "subject"), ACTS.items(), ids=lambda one: getattr(one, "__name__", "")
)
def test_every_open_session_is_refused_and_the_member_is_told(
    scene: Scene, act: Callable[[Scene], object], subject: str
) -> None:
    act(scene)
    assert not is_signed_in(scene.phone)
    assert not is_signed_in(scene.computer)
    notices = scene.deliver()
    assert {mail.subject for mail in notices} == {subject}
    assert scene.member.email in {address for mail in notices for address in mail.to}


def test_signing_out_everywhere_keeps_the_one_that_asked(scene: Scene) -> None:
    scene.phone.post("/sign-ins/")
    assert is_signed_in(scene.phone)
    assert not is_signed_in(scene.computer)
    [mail] = scene.deliver()
    assert (mail.to, mail.subject) == (
        [scene.member.email],
        "You are signed out on every other device",
    )


# --- What the feed changes --------------------------------------------------------------------


def test_changed_address_is_told_at_the_old_one_and_at_the_new(scene: Scene) -> None:
    feed_another_address(scene)
    mails = scene.deliver()
    assert sorted(mail.to[0] for mail in mails) == sorted([scene.member.email, "new@example.jp"])
    # Whoever reads the old mailbox does not learn the new address.
    assert not any("new@example.jp" in mail.body for mail in mails)
    event = Event.objects.get(act=Event.Act.ADDRESS_CHANGED)
    assert (event.by, event.whom, event.details) == ("system", scene.member.number, {})
    assert scene.deliver() == []


@pytest.mark.parametrize("change", ["taken away", "given"])
def test_address_that_is_taken_away_or_given_is_told_where_there_is_one(
    scene: Scene, change: str
) -> None:
    feed_no_address(scene)
    assert [mail.to for mail in scene.deliver()] == [[scene.member.email]]
    if change == "given":
        epoch = user_of(scene.member).epoch
        scene.feed(email="new@example.jp")
        assert [mail.to for mail in scene.deliver()] == [["new@example.jp"]]
        assert user_of(scene.member).epoch == epoch + 1


def test_address_written_another_way_ends_nothing(scene: Scene) -> None:
    scene.feed(email=scene.member.email.upper())
    assert is_signed_in(scene.phone)
    assert scene.deliver() == []


@pytest.mark.parametrize(
    "cells", [{}, {"name": "山田 太郎"}, {"phone": "09000000000"}, {"pin": PIN}]
)
def test_what_changes_no_way_in_ends_nothing(scene: Scene, cells: dict[str, str]) -> None:
    scene.feed(**cells)
    assert is_signed_in(scene.phone)
    assert scene.deliver() == []


def test_second_run_of_the_feed_tells_nothing_again(scene: Scene) -> None:
    for _ in range(2):
        scene.feed(email="new@example.jp", pin="7294")
    assert len(scene.deliver()) == 3
    acts = Event.objects.filter(by="system").order_by("pk").values_list("act", flat=True)
    assert list(acts) == [Event.Act.ADDRESS_CHANGED, Event.Act.CARD_CHANGED]
    assert user_of(scene.member).epoch == 1


def test_code_that_was_mailed_to_the_old_address_confirms_nothing(scene: Scene) -> None:
    client = browser("en")
    asked = {"member_number": scene.member.number, "email": scene.member.email}
    client.post("/web-id/register/", asked)
    [mail] = scene.deliver()
    feed_another_address(scene)
    client.post("/web-id/register/code/", {"code": code_in(mail)})
    assert client.get("/web-id/register/choose/")["Location"] == "/web-id/register/"
