"""Identity verification: what proves who calls, what does not, and when the phone way closes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connection
from django.db.models.functions import Now

from credentials import verification
from credentials.models import Event, HandOffCode, IdentityCheck
from credentials.refusals import Refusal, Why
from credentials.verification import (
    Channel,
    Fact,
    check_by_hand_off_code,
    check_by_questions,
    check_in_person,
    make_hand_off_code,
    opened,
    suffices,
)
from members.models import Member, User
from tests.clock import time_passes
from tests.factories import MemberFactory, StaffFactory
from tests.pages import browser, with_card

pytestmark = pytest.mark.django_db
ENOUGH = [Fact.NAME, Fact.EMAIL, Fact.PHONE]


@pytest.fixture
def operator() -> User:
    return StaffFactory(role="Call centre")


@pytest.fixture
def member() -> Member:
    return MemberFactory(web_id="Hanako1983")


def ask(member: Member, by: User, answered: Any = ENOUGH) -> Refusal | None:
    return check_by_questions(member=member, by=by, answered=answered, source="203.0.113.9")


def read_out(member: Member, by: User, code: str) -> Refusal | None:
    return check_by_hand_off_code(member=member, by=by, code=code, source="203.0.113.9")


def made_for(member: Member) -> str:
    return make_hand_off_code(member=member, source="198.51.100.4")


@pytest.mark.parametrize(
    ("answered", "required", "enough"),
    [
        ([], 1, False),
        ([Fact.NAME, Fact.BIRTH_DATE], 3, False),
        # However low the setting: what an impostor knows never suffices alone.
        ([Fact.NAME, Fact.BIRTH_DATE], 1, False),
        ([Fact.NAME, Fact.BIRTH_DATE], 2, False),
        ([Fact.NAME, Fact.BIRTH_DATE, Fact.EMAIL], 3, True),
        ([Fact.NAME, Fact.EMAIL], 3, False),
        ([Fact.EMAIL], 1, True),
        # One fact ticked twice is one fact.
        ([Fact.EMAIL, Fact.EMAIL, Fact.EMAIL], 3, False),
        (ENOUGH, 4, False),
    ],
)
def test_what_suffices(settings: Any, answered: list[str], required: int, enough: bool) -> None:
    settings.IDENTITY_QUESTIONS_REQUIRED = required
    assert suffices(answered) is enough


def test_only_what_is_on_file_is_asked_and_counts(operator: User) -> None:
    bare = MemberFactory(email="", phone="")
    assert {question.fact for question in verification.questions(bare)} == {
        Fact.NAME,
        Fact.BIRTH_DATE,
        Fact.CARD_LAST_FOUR,
    }
    assert ask(bare, operator, [Fact.EMAIL, Fact.PHONE, Fact.WEB_ID])
    assert opened(bare, operator) is None


def test_a_member_makes_ten_hand_off_codes_an_hour_and_no_more(
    member: Member, operator: User
) -> None:
    for _turn in range(10):
        # Those of the hour before do not count.
        Event.objects.create(
            act=Event.Act.HAND_OFF_CODE_MADE,
            by="member",
            whom=member.number,
            at=Now() - timedelta(minutes=61),
        )
    made = [made_for(member) for _turn in range(10)]
    other = MemberFactory()
    assert isinstance(made_for(member), Refusal)
    assert isinstance(made_for(other), str)
    assert Event.objects.filter(act=Event.Act.HAND_OFF_CODE_MADE, whom=member.number).count() == 20
    # The last one holds; the refusal has made none.
    assert read_out(member, operator, made[-1]) is None


def test_the_page_says_that_there_were_too_many_codes(member: Member) -> None:
    client = browser("en")
    with_card(client, member)
    for _turn in range(10):
        assert 'id="hand-off-code"' in client.post("/hand-off/").content.decode()
    page = client.post("/hand-off/").content.decode()
    assert "You have made many codes within an hour." in page
    assert 'id="hand-off-code"' not in page


def test_no_question_gives_a_secret_away(member: Member) -> None:
    answers = " ".join(question.answer for question in verification.questions(member))
    assert member.card.number not in answers
    assert member.number not in answers


def test_passed_opens_the_member_to_this_operator_for_fifteen_minutes(
    member: Member, operator: User
) -> None:
    assert ask(member, operator) is None
    check = opened(member, operator)
    assert check is not None
    assert (check.channel, check.answered) == (Channel.PHONE, sorted(ENOUGH))
    assert opened(member, StaffFactory(role="Call centre")) is None
    assert opened(MemberFactory(), operator) is None
    time_passes(minutes=14, seconds=55)
    assert opened(member, operator)
    time_passes(seconds=6)
    assert opened(member, operator) is None


def test_a_failure_after_a_success_closes_the_member_again(member: Member, operator: User) -> None:
    ask(member, operator)
    assert ask(member, operator, [Fact.NAME])
    assert opened(member, operator) is None


def test_the_record_says_who_whom_how_and_never_an_answer(member: Member, operator: User) -> None:
    ask(member, operator, [Fact.NAME])
    ask(member, operator)
    failed, passed = Event.objects.order_by("pk")
    assert (failed.act, passed.act) == (Event.Act.IDENTITY_FAILED, Event.Act.IDENTITY_VERIFIED)
    for event in (failed, passed):
        assert (event.by, event.whom) == (f"staff:{operator.username}", member.number)
        assert event.source == "203.0.113.9"
        assert event.details["channel"] == "phone"
        for secret in (member.email, member.phone, member.name, "Hanako1983"):
            assert secret not in str(event.details)
    assert failed.details["answered"] == ["name"]


def test_the_third_failure_of_a_day_closes_the_phone_way(
    member: Member, operator: User, deliver: Callable[[], list[EmailMessage]]
) -> None:
    other = StaffFactory(role="Call centre")
    code = made_for(member)
    assert ask(member, operator, [Fact.NAME])
    assert ask(member, other, [Fact.NAME])
    assert not verification.phone_way_is_closed(member)
    assert read_out(member, operator, "000000" if code != "000000" else "111111")
    assert verification.phone_way_is_closed(member)
    # For every operator, with right answers, and with the code.
    assert ask(member, operator)
    assert ask(member, other)
    assert read_out(member, other, code)
    assert IdentityCheck.objects.count() == 3
    assert Event.objects.filter(act=Event.Act.PHONE_WAY_CLOSED).count() == 1
    assert not verification.phone_way_is_closed(MemberFactory())
    [mail] = deliver()
    assert mail.to == [member.email]
    assert "http" not in mail.body
    time_passes(hours=24, seconds=1)
    assert ask(member, operator) is None


def test_in_person_is_still_possible_when_the_phone_way_is_closed(
    member: Member, operator: User
) -> None:
    for _turn in range(3):
        ask(member, operator, [])
    clerk = StaffFactory(role="Store")
    assert check_in_person(member=member, by=clerk, document="passport", place="Shibuya") is None
    assert opened(member, clerk)
    # And does not open the phone way again.
    assert ask(member, operator)


@pytest.mark.parametrize(
    ("document", "place"), [("passport", "  "), ("library card", "Shibuya"), ("", "Shibuya")]
)
def test_in_person_needs_a_document_and_a_place(member: Member, document: str, place: str) -> None:
    clerk = StaffFactory(role="Store")
    assert check_in_person(member=member, by=clerk, document=document, place=place)
    assert opened(member, clerk) is None


@pytest.mark.parametrize("role", ["Store", "Auditor", "Administrator", ""])
def test_other_roles_do_not_verify_on_the_phone(member: Member, role: str) -> None:
    staff = StaffFactory(role=role)
    for refusal in (ask(member, staff), read_out(member, staff, made_for(member))):
        assert refusal
        assert refusal.why is Why.NOT_PERMITTED
    assert IdentityCheck.objects.count() == 0
    refused = Event.objects.filter(act=Event.Act.ACCESS_REFUSED)
    assert [event.details["wanted"] for event in refused] == ["members.verify_on_phone"] * 2


@pytest.mark.parametrize("role", ["Call centre", "Auditor", "Administrator", ""])
def test_other_roles_do_not_verify_in_person(member: Member, role: str) -> None:
    staff = StaffFactory(role=role)
    refusal = check_in_person(member=member, by=staff, document="passport", place="Shibuya")
    assert refusal
    assert refusal.why is Why.NOT_PERMITTED


class TestHandOffCode:
    def test_works_once(self, member: Member, operator: User) -> None:
        code = made_for(member)
        assert len(code) == 6
        assert read_out(member, operator, code) is None
        check = opened(member, operator)
        assert check
        assert check.channel == Channel.HAND_OFF
        assert read_out(member, operator, code)

    def test_is_stored_hashed_and_on_no_record(self, member: Member, operator: User) -> None:
        code = made_for(member)
        read_out(member, operator, code)
        assert code not in HandOffCode.objects.get().code_digest
        assert all(code not in str(event.details) for event in Event.objects.all())

    def test_five_minutes(self, member: Member, operator: User) -> None:
        code = made_for(member)
        time_passes(minutes=5, seconds=1)
        assert read_out(member, operator, code)

    def test_a_new_one_ends_the_old_one(self, member: Member, operator: User) -> None:
        old, new = made_for(member), made_for(member)
        if old != new:
            assert read_out(member, operator, old)
        assert read_out(member, operator, new) is None

    def test_is_no_other_members_code(self, member: Member, operator: User) -> None:
        code = made_for(MemberFactory())
        made_for(member)
        assert read_out(member, operator, code)

    def test_ends_with_the_members_sessions(self, member: Member, operator: User) -> None:
        code = made_for(member)
        User.objects.filter(member=member).update(epoch=7)
        assert read_out(member, operator, code)

    def test_three_guesses(self, member: Member, operator: User, monkeypatch: Any) -> None:
        monkeypatch.setattr(verification, "FAILURES_A_DAY", 99)
        code = made_for(member)
        for guess in range(3):
            assert read_out(member, operator, f"{(int(code) + guess + 1) % 1_000_000:06}")
        assert read_out(member, operator, code)


@pytest.mark.django_db(transaction=True)
def test_of_parallel_uses_of_a_code_one_wins() -> None:
    member, operator = MemberFactory(), StaffFactory(role="Call centre")
    code = made_for(member)

    def use(_turn: int) -> bool:
        try:
            return read_out(member, operator, code) is None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(use, range(8)))
    assert outcomes.count(True) == 1
    # The others count as failures, and no more than three of them were even judged.
    assert IdentityCheck.objects.filter(passed=False).count() == 3
