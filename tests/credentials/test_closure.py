"""Closure: asked for, withdrawn, checked, closed by a second pair of eyes; what it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.mail import EmailMessage

from credentials import closure, pin_reset
from credentials.models import Closure, Event
from credentials.refusals import Refusal, Why
from credentials.verification import Fact, check_by_questions, check_in_person
from members.models import Card, Member, User, WebID
from tests.clock import time_passes
from tests.conftest import Browser
from tests.factories import PASSWORD, MemberFactory, StaffFactory
from tests.pages import is_signed_in, with_card, with_web_id

pytestmark = pytest.mark.django_db
Deliver = Callable[[], list[EmailMessage]]


@pytest.fixture
def member() -> Member:
    return MemberFactory(web_id="Hanako1983")


@pytest.fixture
def operator() -> User:
    return StaffFactory(role="Call centre")


@pytest.fixture
def second() -> User:
    return StaffFactory(role="Call centre")


def asked(member: Member) -> Closure:
    assert closure.ask(member=member, certificate=True, source="198.51.100.4") is None
    return Closure.objects.get(member=member, ended_at__isnull=True)


def check(this: Closure, by: User, **ticked: bool) -> Refusal | None:
    confirmed = {"no_balance": True, "nothing_open": True, **ticked}
    return closure.check(closure=this, by=by, **confirmed)


def approve(this: Closure, by: User) -> Refusal | None:
    return closure.approve(closure=this, by=by)


def test_from_the_wish_to_the_mail(
    member: Member, operator: User, second: User, deliver: Deliver, client: Browser
) -> None:
    with_card(client, member)
    this = asked(member)
    assert check(this, operator) is None
    this.refresh_from_db()
    assert this.state == Closure.State.CHECKED
    assert is_signed_in(client), "nothing ends before it is closed"
    assert approve(this, second) is None
    this.refresh_from_db()
    assert this.state == Closure.State.CLOSED
    assert (this.checked_by, this.ended_by) == (
        f"staff:{operator.username}",
        f"staff:{second.username}",
    )
    assert not is_signed_in(client)
    assert with_card(Browser(), member).status_code == 200, "the card ended"
    assert with_web_id(Browser(), member).status_code == 200, "the Web-ID ended"
    member.refresh_from_db()
    assert member.closed_at
    assert Card.objects.get(member=member).sealed_pin == ""
    assert WebID.objects.filter(name__lower="hanako1983").exists(), "it is not given out again"
    subjects = [mail.subject for mail in deliver()]
    assert len(subjects) == 2
    acts = Event.objects.filter(whom=member.number, act__startswith="closure").values_list("act")
    assert acts.count() == 2
    closed = Event.objects.get(act=Event.Act.MEMBERSHIP_CLOSED)
    assert closed.details == {"via": "portal", "certificate": True}


def test_mails_name_the_certificate_and_hold_no_link(
    member: Member, operator: User, second: User, deliver: Deliver
) -> None:
    this = asked(member)
    check(this, operator)
    approve(this, second)
    User.objects.filter(member=member).update(language="en")
    asked_for, closed = deliver()
    assert "certificate" in closed.body
    for mail in (asked_for, closed):
        assert "http" not in mail.body
        assert member.number not in mail.body
        assert PASSWORD not in mail.body


def test_one_at_a_time(member: Member) -> None:
    asked(member)
    assert closure.ask(member=member, certificate=False, source="")
    assert Closure.objects.count() == 1


def test_withdrawn_by_the_member(member: Member, operator: User, deliver: Deliver) -> None:
    this = asked(member)
    check(this, operator)
    assert closure.withdraw(member=member, source="198.51.100.4") is None
    this.refresh_from_db()
    assert (this.state, this.ended_by) == (Closure.State.WITHDRAWN, "member")
    assert approve(this, StaffFactory(role="Store"))
    assert User.objects.get(member=member).is_active
    assert len(deliver()) == 2
    assert closure.withdraw(member=member, source=""), "there is nothing to withdraw any more"
    asked(member)


def test_staff_take_it_down_and_withdraw_only_after_verification(
    member: Member, operator: User
) -> None:
    wish = {"member": member, "by": operator}
    assert closure.ask_for(certificate=False, **wish)
    answered = [Fact.NAME, Fact.EMAIL, Fact.PHONE]
    assert check_by_questions(answered=answered, **wish) is None
    assert closure.ask_for(certificate=False, **wish) is None
    assert Closure.objects.get().via == Closure.Via.PHONE
    time_passes(minutes=16)
    assert closure.withdraw_for(**wish)
    check_by_questions(answered=answered, **wish)
    assert closure.withdraw_for(**wish) is None


def test_at_the_window(member: Member) -> None:
    clerk = StaffFactory(role="Store")
    check_in_person(member=member, by=clerk, document="passport", place="Shibuya")
    assert closure.ask_for(member=member, by=clerk, certificate=True) is None
    assert Closure.objects.get().via == Closure.Via.WINDOW


def test_the_second_pair_of_eyes_is_somebody_else(member: Member, operator: User) -> None:
    this = asked(member)
    check(this, operator)
    assert approve(this, operator)
    this.refresh_from_db()
    assert this.state == Closure.State.CHECKED


def test_no_second_pair_where_the_policy_wants_none(
    settings: Any, member: Member, operator: User
) -> None:
    settings.CLOSURE_NEEDS_SECOND = False
    this = asked(member)
    assert check(this, operator) is None
    this.refresh_from_db()
    assert this.state == Closure.State.CLOSED


@pytest.mark.parametrize("left_out", ["no_balance", "nothing_open"])
def test_the_whole_list(member: Member, operator: User, left_out: str) -> None:
    this = asked(member)
    assert check(this, operator, **{left_out: False})
    this.refresh_from_db()
    assert this.state == Closure.State.ASKED


def test_a_balance_stands_in_the_way_at_both_steps(
    member: Member, operator: User, second: User
) -> None:
    this = asked(member)
    Member.objects.filter(pk=member.pk).update(balance=120_000)
    this.refresh_from_db()
    refusal = check(this, operator)
    assert refusal
    assert "120,000" in refusal.reason
    Member.objects.filter(pk=member.pk).update(balance=0)
    this = Closure.objects.get()
    assert check(this, operator) is None
    Member.objects.filter(pk=member.pk).update(balance=1)
    assert approve(Closure.objects.get(), second)
    Member.objects.filter(pk=member.pk).update(balance=None)
    assert approve(Closure.objects.get(), second) is None, "unknown: staff looked it up"


def test_a_ticket_at_the_terminal_stands_in_the_way_until_it_expires(
    member: Member, operator: User
) -> None:
    this = asked(member)
    clerk = StaffFactory(role="Store")
    pin_reset.start(member=member, by=clerk, document="passport", place="Shibuya")
    assert check(this, operator)
    time_passes(minutes=16)
    assert check(this, operator) is None


def test_nothing_is_done_twice(member: Member, operator: User, second: User) -> None:
    this = asked(member)
    assert check(this, operator) is None
    assert check(this, second), "somebody was first"
    assert approve(this, second) is None
    assert approve(this, second)
    assert check(this, operator)
    assert closure.withdraw(member=member, source="")
    assert closure.ask(member=member, certificate=False, source=""), "closed is closed"
    assert Event.objects.filter(act=Event.Act.MEMBERSHIP_CLOSED).count() == 1
    # An operator who did not reload the page closes nothing either.
    assert pin_reset.prepare_for_oneself(member=member, source="").__class__ is Refusal


@pytest.mark.parametrize("role", ["Auditor", "Administrator", ""])
def test_other_roles(member: Member, role: str) -> None:
    staff, this = StaffFactory(role=role), asked(member)
    for refusal in (
        check(this, staff),
        approve(this, staff),
        closure.ask_for(member=member, by=staff, certificate=False),
        closure.withdraw_for(member=member, by=staff),
    ):
        assert refusal
        assert refusal.why is Why.NOT_PERMITTED
    assert Event.objects.filter(act=Event.Act.ACCESS_REFUSED).count() == 4


class TestOnThePortal:
    def test_asks_and_withdraws(self, client: Browser, member: Member) -> None:
        with_card(client, member)
        page = client.get("/closure/").content.decode()
        assert 'name="sure"' in page
        assert client.post("/closure/", {"certificate": "on"}).status_code == 200
        assert not Closure.objects.exists(), "not without being sure"
        answer = client.post("/closure/", {"certificate": "on", "sure": "on"})
        assert (answer.status_code, answer["Location"]) == (302, "/closure/")
        assert 'name="withdraw"' in client.get("/closure/").content.decode()
        assert "state--warn" in client.get("/").content.decode()
        answer = client.post("/closure/", {"sure": "on"})
        assert answer.status_code == 200, "a second wish is refused on the page"
        client.post("/closure/", {"withdraw": "1"})
        assert Closure.objects.get().state == Closure.State.WITHDRAWN
        assert "state--warn" not in client.get("/").content.decode()

    @pytest.mark.parametrize(("balance", "shown"), [(None, ""), (0, ""), (120_000, "120,000")])
    def test_says_what_is_owed(
        self, client: Browser, member: Member, balance: int | None, shown: str
    ) -> None:
        Member.objects.filter(pk=member.pk).update(balance=balance)
        with_card(client, member)
        assert shown in client.get("/closure/").content.decode()

    def test_only_for_members(self, client: Browser, staff_browser: Any) -> None:
        assert client.get("/closure/")["Location"] == "/login/?next=/closure/"
        assert staff_browser("Store").post("/closure/", {"sure": "on"})["Location"] == "/admin/"
