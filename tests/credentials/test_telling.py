"""Telling the member number: only after verification, only with a reason, always on record."""

from __future__ import annotations

import pytest

from credentials.models import Event
from credentials.refusals import Refusal, Why
from credentials.telling import tell_member_number
from credentials.verification import Fact, check_by_questions
from members.models import Member, User
from tests.clock import time_passes
from tests.factories import MemberFactory, StaffFactory

pytestmark = pytest.mark.django_db


def verified(member: Member, by: User) -> None:
    answered = [Fact.NAME, Fact.EMAIL, Fact.PHONE]
    assert check_by_questions(member=member, by=by, answered=answered) is None


def tell(member: Member, by: User, reason: str = "registers a Web-ID") -> str | Refusal:
    return tell_member_number(member=member, by=by, reason=reason, source="203.0.113.9")


def test_told_and_on_record_who_whom_how_why() -> None:
    member, operator = MemberFactory(), StaffFactory(role="Call centre")
    verified(member, operator)
    assert tell(member, operator) == member.number
    event = Event.objects.get(act=Event.Act.NUMBER_TOLD)
    assert (event.by, event.whom) == (f"staff:{operator.username}", member.number)
    assert event.source == "203.0.113.9"
    assert event.details["verified"] == "phone"
    assert event.details["reason"] == "registers a Web-ID"
    assert event.details["check"] == member.identity_checks.get().pk


def test_not_before_verification_nor_when_it_ran_out() -> None:
    member, operator = MemberFactory(), StaffFactory(role="Call centre")
    assert isinstance(tell(member, operator), Refusal)
    verified(member, operator)
    time_passes(minutes=15, seconds=1)
    assert isinstance(tell(member, operator), Refusal)
    assert not Event.objects.filter(act=Event.Act.NUMBER_TOLD).exists()


def test_not_on_somebody_elses_verification() -> None:
    member, operator = MemberFactory(), StaffFactory(role="Call centre")
    verified(member, StaffFactory(role="Call centre"))
    assert isinstance(tell(member, operator), Refusal)


@pytest.mark.parametrize("reason", ["", "  ", "　"])
def test_not_without_a_reason(reason: str) -> None:
    member, operator = MemberFactory(), StaffFactory(role="Call centre")
    verified(member, operator)
    assert isinstance(tell(member, operator, reason), Refusal)


@pytest.mark.parametrize("role", ["Store", "Auditor", "Administrator", ""])
def test_other_roles_do_not_tell(role: str) -> None:
    member, staff = MemberFactory(), StaffFactory(role=role)
    refusal = tell(member, staff)
    assert isinstance(refusal, Refusal)
    assert refusal.why is Why.NOT_PERMITTED
    assert Event.objects.get().act == Event.Act.ACCESS_REFUSED
