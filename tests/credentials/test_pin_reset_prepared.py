"""A PIN re-set prepared from afar: worth nothing until staff saw the document in person."""

from __future__ import annotations

import re
from typing import Any

import pytest

from credentials import pin_reset
from credentials.models import Event, PinReset
from credentials.refusals import Refusal, Why
from credentials.verification import Fact, check_by_questions
from members import pins
from members.models import Card, Member, User
from tests.clock import time_passes
from tests.conftest import Browser
from tests.factories import MemberFactory, StaffFactory
from tests.pages import is_signed_in, with_card

pytestmark = pytest.mark.django_db
NEW_PIN = "7294"


@pytest.fixture
def member() -> Member:
    return MemberFactory()


@pytest.fixture
def clerk() -> User:
    return StaffFactory(role="Store")


def prepared(member: Member) -> str:
    ticket = pin_reset.prepare_for_oneself(member=member, source="198.51.100.4")
    assert isinstance(ticket, str)
    return ticket


def start(member: Member, by: User, ticket: str = "") -> str | Refusal:
    return pin_reset.start(
        member=member, by=by, document="passport", place="Shibuya", prepared_ticket=ticket
    )


def set_pin(member: Member, ticket: str) -> Refusal | None:
    number = Card.objects.get(member=member).number
    return pin_reset.set_pin(card_number=number, ticket=ticket, pin=NEW_PIN, source="203.0.113.5")


def test_from_the_portal_to_the_new_pin(member: Member, clerk: User) -> None:
    ticket = prepared(member)
    assert with_card(Browser(), member).status_code == 302, "the old PIN holds"
    assert set_pin(member, ticket), "no document was seen yet"
    assert start(member, clerk, ticket) == ticket
    assert with_card(Browser(), member).status_code == 200, "the old PIN stopped"
    assert set_pin(member, ticket) is None
    assert with_card(Browser(), member, pin=NEW_PIN).status_code == 302
    reset = PinReset.objects.get()
    assert reset.prepared_by == "member"
    assert (reset.started_by, reset.document) == (f"staff:{clerk.username}", "passport")


def test_from_the_call_centre_after_verification(member: Member, clerk: User) -> None:
    operator = StaffFactory(role="Call centre")
    assert isinstance(pin_reset.prepare(member=member, by=operator), Refusal)
    check_by_questions(member=member, by=operator, answered=[Fact.NAME, Fact.EMAIL, Fact.PHONE])
    ticket = pin_reset.prepare(member=member, by=operator)
    assert isinstance(ticket, str)
    assert start(member, clerk, ticket) == ticket
    assert set_pin(member, ticket) is None
    event = Event.objects.get(act=Event.Act.PIN_RESET_PREPARED)
    assert event.by == f"staff:{operator.username}"
    assert ticket not in str(list(Event.objects.values_list("details", flat=True)))


def test_a_ticket_is_started_once_and_used_once(member: Member, clerk: User) -> None:
    ticket = prepared(member)
    start(member, clerk, ticket)
    assert isinstance(start(member, StaffFactory(role="Store"), ticket), Refusal)
    assert set_pin(member, ticket) is None
    assert set_pin(member, ticket)
    refusal = start(member, clerk, ticket)
    assert isinstance(refusal, Refusal)
    assert refusal.reason
    assert Event.objects.filter(act=Event.Act.PIN_RESET_STARTED).count() == 1
    assert with_card(Browser(), member, pin=NEW_PIN).status_code == 302, "the new PIN holds"


def test_another_cards_ticket_stops_nothing(member: Member, clerk: User) -> None:
    other = MemberFactory()
    ticket = prepared(other)
    assert isinstance(start(member, clerk, ticket), Refusal)
    assert with_card(Browser(), member).status_code == 302, "the PIN was not stopped"
    assert Event.objects.filter(act=Event.Act.TICKET_FAILED, whom=member.number).exists()
    start(other, clerk, ticket)
    assert set_pin(member, ticket), "nor does it set another card's PIN"


def test_a_day(member: Member, clerk: User) -> None:
    ticket = prepared(member)
    time_passes(hours=24, seconds=1)
    assert isinstance(start(member, clerk, ticket), Refusal)


def test_started_it_is_good_for_minutes_only(member: Member, clerk: User) -> None:
    ticket = prepared(member)
    start(member, clerk, ticket)
    time_passes(minutes=15, seconds=1)
    assert set_pin(member, ticket)


def test_nobody_far_away_takes_a_ticket_from_the_terminal(member: Member, clerk: User) -> None:
    ticket = start(member, clerk)
    assert isinstance(ticket, str)
    refusal = pin_reset.prepare_for_oneself(member=member, source="198.51.100.4")
    assert isinstance(refusal, Refusal)
    assert set_pin(member, ticket) is None


def test_of_two_clerks_the_later_ones_ticket_is_good(member: Member, clerk: User) -> None:
    first, second = start(member, clerk), start(member, StaffFactory(role="Store"))
    assert isinstance(first, str)
    assert isinstance(second, str)
    assert set_pin(member, first)
    assert set_pin(member, second) is None


@pytest.mark.parametrize("role", ["Store", "Auditor", "Administrator", ""])
def test_who_may_not_prepare(member: Member, role: str) -> None:
    refusal = pin_reset.prepare(member=member, by=StaffFactory(role=role))
    assert isinstance(refusal, Refusal)
    assert refusal.why is Why.NOT_PERMITTED


class TestOnThePortal:
    def test_makes_a_ticket_on_pressing_the_button_only(
        self, client: Browser, member: Member, clerk: User
    ) -> None:
        with_card(client, member)
        client.get("/pin/prepare/")
        assert not PinReset.objects.exists()
        page = client.post("/pin/prepare/").content.decode()
        [ticket] = re.findall(r'id="ticket"[^>]*>(\d{4} \d{4})<', page)
        assert start(member, clerk, ticket.replace(" ", "")) == ticket.replace(" ", "")
        assert not is_signed_in(client), "a started re-set ends the sessions"

    def test_only_for_members(self, client: Browser, staff_browser: Any) -> None:
        assert client.post("/pin/prepare/")["Location"].startswith("/login/")
        assert staff_browser("Store").post("/pin/prepare/")["Location"] == "/admin/"
        assert not PinReset.objects.exists()

    def test_says_so_where_the_member_stands_at_the_terminal(
        self, client: Browser, member: Member, clerk: User
    ) -> None:
        start(member, clerk)
        card = Card.objects.get(member=member)
        card.sealed_pin = pins.seal("2580", card_number=card.number)
        card.save()
        with_card(client, member)
        page = client.post("/pin/prepare/").content.decode()
        assert 'id="ticket"' not in page
        assert "notice--error" in page


def test_the_terminal_leaves_nothing_behind(client: Browser) -> None:
    answer = client.get("/pin/")
    assert answer["Cache-Control"] == "no-store"
    page = answer.content.decode()
    assert page.count('autocomplete="off"') == 5
    number = "4990000000000018"
    typed = {"card_number": number, "ticket": "12345678", "pin1": "7294", "pin2": "7294"}
    page = client.post("/pin/", typed).content.decode()
    assert "7294" not in page
    done = client.get("/pin/done/")
    assert done["Refresh"] == "30; url=/pin/"
    assert done["Clear-Site-Data"] == '"cache", "storage"'
    assert done["Cache-Control"] == "no-store"
