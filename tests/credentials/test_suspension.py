"""Suspension: what repeated failures stop, for how long, and what lifts it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.test.utils import override_settings
from django.utils import translation

from credentials import suspension, verification
from credentials.models import Event, OutboxMail
from credentials.refusals import Why
from members.models import Member, User, Way
from tests.clock import time_passes
from tests.factories import MemberFactory, StaffFactory
from tests.pages import (
    LANGUAGES,
    browser,
    fail,
    is_signed_in,
    user_of,
    verify,
    with_card,
    with_web_id,
)

pytestmark = pytest.mark.django_db

Deliver = Callable[[], list[EmailMessage]]


def in_force(member: Member) -> bool:
    return suspension.is_in_force(user_of(member))


def suspend_until_in_person(member: Member) -> Member:
    for _ in range(3):
        fail(member, 5)
        time_passes(hours=25)
    assert in_force(member)
    return member


# --- What suspends, and what it stops ---------------------------------------------------------


def test_fifth_failure_in_a_row_suspends_and_no_earlier_one() -> None:
    member = MemberFactory()
    fail(member, 4)
    assert not in_force(member)
    fail(member, 1)
    assert in_force(member)


def test_limit_is_a_setting() -> None:
    member = MemberFactory()
    with override_settings(LOGIN_FAILURE_LIMIT=2):
        fail(member, 2)
    assert in_force(member)


def test_success_sets_the_count_back() -> None:
    member = MemberFactory()
    fail(member, 4)
    assert with_card(browser(), member).status_code == 302
    fail(member, 4)
    assert not in_force(member)


@pytest.mark.parametrize("way", list(Way)[:2])
def test_suspension_closes_both_ways_whichever_was_tried(way: str) -> None:
    member = MemberFactory(web_id="Hanako1983")
    for _ in range(5):
        if way == Way.CARD:
            with_card(browser(), member, pin="0099")
        else:
            with_web_id(browser(), member, password="not the right one")
    assert with_card(browser(), member).status_code == 200
    assert with_web_id(browser(), member).status_code == 200


def test_suspension_ends_every_open_session() -> None:
    member = MemberFactory(web_id="Hanako1983")
    phone, computer = browser(), browser()
    with_card(phone, member)
    with_web_id(computer, member)
    assert is_signed_in(phone)
    assert is_signed_in(computer)
    fail(member, 5)
    assert not is_signed_in(phone)
    assert not is_signed_in(computer)


def test_failures_short_of_the_limit_end_no_session() -> None:
    member = MemberFactory()
    phone = browser()
    with_card(phone, member)
    fail(member, 4)
    assert is_signed_in(phone)


def test_suspension_is_on_record_once_with_its_end() -> None:
    member = MemberFactory()
    fail(member, 5)
    event = Event.objects.get(act=Event.Act.SUSPENDED)
    assert (event.whom, event.by, event.details["in_a_row"]) == (member.number, "system", 1)
    assert event.details["until"] == user_of(member).suspended_until.isoformat()
    failures = Event.objects.filter(act=Event.Act.SIGN_IN_FAILED, whom=member.number)
    assert [event.details["failures"] for event in failures.order_by("pk")] == [1, 2, 3, 4, 5]


def test_tries_during_a_suspension_neither_lengthen_it_nor_send_mails() -> None:
    member = MemberFactory()
    fail(member, 5)
    before = user_of(member)
    fail(member, 6)
    after = user_of(member)
    assert (after.suspended_until, after.suspensions) == (before.suspended_until, 1)
    assert after.attempts == before.attempts
    assert OutboxMail.objects.count() == 1


# --- The mail ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_member_gets_one_mail_that_says_until_when(language: str, deliver: Deliver) -> None:
    member = MemberFactory()
    with_card(browser(language), member)
    fail(member, 5)
    [mail] = deliver()
    assert mail.to == [member.email]
    until = user_of(member).suspended_until
    with translation.override(language):
        shown = translation.gettext("Your account and card are suspended")
    assert mail.subject == shown
    japan = until + timedelta(hours=9)
    written = (
        f"{japan.year}年{japan.month}月{japan.day}日 {japan.hour}:{japan:%M}"
        if language == "ja"
        else f"{japan.day} {japan:%B} {japan.year}, {japan:%H:%M}"
    )
    assert written in mail.body
    assert member.card.last_four in mail.body
    assert member.card.number not in mail.body
    assert deliver() == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_mail_about_the_third_in_a_row_says_in_person(language: str, deliver: Deliver) -> None:
    member = MemberFactory()
    User.objects.filter(member=member).update(language=language)
    suspend_until_in_person(member)
    mail = deliver()[-1]
    with translation.override(language):
        in_person = translation.gettext(
            "Until it is lifted in person. It does not end by itself, because it has happened "
            "several times with no sign-in between."
        )
    assert in_person in mail.body


def test_member_without_an_address_is_suspended_all_the_same(deliver: Deliver) -> None:
    member = MemberFactory(email="")
    fail(member, 5)
    assert in_force(member)
    assert deliver() == []
    assert OutboxMail.objects.get().outcome == "nothing to say"


# --- Its end by time --------------------------------------------------------------------------


def test_suspension_passes_with_time_by_itself() -> None:
    member = MemberFactory(web_id="Hanako1983")
    fail(member, 5)
    time_passes(hours=23, minutes=59)
    assert with_card(browser(), member).status_code == 200
    time_passes(minutes=1, seconds=1)
    assert with_card(browser(), member).status_code == 302
    assert with_web_id(browser(), member).status_code == 302


def test_sessions_from_before_a_suspension_stay_ended_when_it_has_passed() -> None:
    member = MemberFactory()
    phone = browser()
    with_card(phone, member)
    with override_settings(SUSPENSION_SECONDS=60):
        fail(member, 5)
    time_passes(seconds=61)
    assert not in_force(member)
    assert not is_signed_in(phone)


def test_after_it_has_passed_the_count_begins_anew() -> None:
    member = MemberFactory()
    fail(member, 5)
    time_passes(hours=25)
    fail(member, 4)
    assert not in_force(member)
    fail(member, 1)
    assert in_force(member)
    assert user_of(member).suspensions == 2


def test_third_in_a_row_does_not_pass() -> None:
    member = suspend_until_in_person(MemberFactory())
    time_passes(days=3650)
    assert with_card(browser(), member).status_code == 200
    assert in_force(member)


def test_pin_never_faces_more_than_fifteen_guesses() -> None:
    member = MemberFactory()
    for day in range(6):
        fail(member, 7, address=f"198.51.100.{day}")
        time_passes(days=2)
    judged = Event.objects.filter(act=Event.Act.SIGN_IN_FAILED, details__failures__gt=0)
    assert judged.count() == 15


def test_sign_in_between_two_suspensions_starts_their_row_anew() -> None:
    member = MemberFactory()
    for _ in range(2):
        fail(member, 5)
        time_passes(hours=25)
    assert with_card(browser(), member).status_code == 302
    assert user_of(member).suspensions == 0
    fail(member, 5)
    assert user_of(member).suspended_until is not None
    time_passes(hours=25)
    assert not in_force(member)


# --- At the member's word ---------------------------------------------------------------------

SAID = "ヤマダ ハナコ 1983-12-31"


@pytest.mark.parametrize("role", ["Call centre", "Store"])
@pytest.mark.parametrize("verified", [True, False])
def test_staff_stop_an_account_at_once_at_the_members_word(
    role: str, verified: bool, deliver: Deliver
) -> None:
    member, staff = MemberFactory(web_id="Hanako1983"), StaffFactory(role=role)
    phone = browser()
    with_card(phone, member)
    if verified:
        verify(member, staff)
    refusal = suspension.suspend(
        user_of(member),
        by=staff,
        reason=" Lost the purse ",
        source="192.0.2.1",
        said="" if verified else SAID,
    )
    assert refusal is None
    assert not is_signed_in(phone)
    time_passes(days=3650)
    assert in_force(member)
    assert with_card(browser(), member).status_code == 200
    assert with_web_id(browser(), member).status_code == 200
    event = Event.objects.get(act=Event.Act.SUSPENDED)
    assert (event.by, event.whom, event.source) == (
        f"staff:{staff.username}",
        member.number,
        "192.0.2.1",
    )
    assert event.details == {
        "until": "in person",
        "reason": "Lost the purse",
        "verified": verified,
    }
    [mail] = deliver()
    assert mail.to == [member.email]


@pytest.mark.parametrize(
    "said",
    [
        "",
        "ヤマダ ハナコ",
        "1983-12-31",
        "ヤマダ 1983-12-31",
        "ヤマダ ハナコ 1983-12-30",
        "ヤマダ ハナコ 1983-12-31 0312345678",
    ],
)
def test_to_stop_takes_the_whole_name_and_the_birth_date(said: str) -> None:
    member, phone = MemberFactory(), StaffFactory(role="Call centre")
    refusal = suspension.suspend(user_of(member), by=phone, reason="Lost it", said=said)
    assert refusal
    assert refusal.why is Why.REFUSED
    assert not in_force(member)
    event = Event.objects.get(act=Event.Act.IDENTITY_FAILED)
    assert (event.by, event.whom) == (f"staff:{phone.username}", member.number)


@pytest.mark.parametrize("said", ["やまだはなこ S58.12.31", "Yamada Hanako 1983/12/31"])
def test_name_and_birth_date_are_taken_as_they_are_typed(said: str) -> None:
    member, phone = MemberFactory(), StaffFactory(role="Call centre")
    assert suspension.suspend(user_of(member), by=phone, reason="Lost it", said=said) is None


def test_a_closed_phone_way_keeps_nobody_from_stopping() -> None:
    member, phone = MemberFactory(), StaffFactory(role="Call centre")
    for _ in range(3):
        verification.check_by_questions(member=member, by=phone, answered=[])
    assert verification.phone_way_is_closed(member)
    assert suspension.suspend(user_of(member), by=phone, reason="Lost it", said=SAID) is None
    assert in_force(member)


def test_stopping_replaces_a_suspension_that_passes_and_none_that_lasts() -> None:
    member, phone = MemberFactory(), StaffFactory(role="Call centre")
    fail(member, 5)
    user = user_of(member)
    assert suspension.suspend(user, by=phone, reason="Was not me", said=SAID) is None
    assert user_of(member).suspended_until is None
    refusal = suspension.suspend(user, by=phone, reason="Once more", said=SAID)
    assert refusal
    assert refusal.reason == translation.gettext("This account is stopped already.")


def test_what_the_member_stopped_is_lifted_in_person_only() -> None:
    member = MemberFactory()
    phone, store = StaffFactory(role="Call centre"), StaffFactory(role="Store")
    assert suspension.suspend(user_of(member), by=phone, reason="Lost it", said=SAID) is None
    verify(member, phone)
    assert suspension.reinstate(user_of(member), by=phone, reason="Found it")
    assert in_force(member)
    verify(member, store)
    assert suspension.reinstate(user_of(member), by=store, reason="Found it") is None
    assert with_card(browser(), member).status_code == 302


@pytest.mark.parametrize("role", [None, "Auditor", "Administrator"])
def test_staff_without_the_permission_stop_nothing(role: str | None) -> None:
    member, staff = MemberFactory(), StaffFactory(role=role)
    refusal = suspension.suspend(user_of(member), by=staff, reason="Lost it", said=SAID)
    assert refusal
    assert refusal.why is Why.NOT_PERMITTED
    assert not in_force(member)
    assert Event.objects.filter(act=Event.Act.ACCESS_REFUSED, whom=member.number).exists()


@pytest.mark.parametrize("reason", ["", " ", "　"])
def test_stopping_takes_a_reason(reason: str) -> None:
    member, phone = MemberFactory(), StaffFactory(role="Call centre")
    refusal = suspension.suspend(user_of(member), by=phone, reason=reason, said=SAID)
    assert refusal
    assert refusal.reason == translation.gettext("State the reason.")
    assert not in_force(member)


# --- Lifting it -------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["Call centre", "Store"])
def test_staff_lift_a_passing_suspension_for_a_reason(role: str, deliver: Deliver) -> None:
    member, staff = MemberFactory(web_id="Hanako1983"), StaffFactory(role=role)
    fail(member, 5)
    deliver()
    reason = " Called back on the registered phone "
    refusal = suspension.reinstate(user_of(member), by=staff, reason=reason)
    assert refusal
    assert refusal.reason == translation.gettext(
        "Verify the member's identity first. A verification holds for 15 minutes."
    )
    assert in_force(member)
    verify(member, staff)
    assert (
        suspension.reinstate(user_of(member), by=staff, reason=reason, source="192.0.2.1") is None
    )
    assert not in_force(member)
    device = browser()
    assert with_card(device, member).status_code == 302
    assert with_web_id(device, member).status_code == 302
    event = Event.objects.get(act=Event.Act.REINSTATED)
    assert (event.by, event.whom, event.source, event.details) == (
        f"staff:{staff.username}",
        member.number,
        "192.0.2.1",
        {"reason": reason.strip(), "row_ends": role == "Store"},
    )
    [mail] = deliver()
    assert mail.to == [member.email]


def test_lifting_begins_the_count_anew() -> None:
    member, staff = MemberFactory(), StaffFactory(role="Store")
    fail(member, 5)
    verify(member, staff)
    assert suspension.reinstate(user_of(member), by=staff, reason="At the window") is None
    assert user_of(member).suspensions == 0
    fail(member, 4)
    assert not in_force(member)


def test_lifting_on_the_phone_forgets_no_suspension_of_the_row() -> None:
    member, phone = MemberFactory(), StaffFactory(role="Call centre")
    for _turn in range(2):
        fail(member, 5)
        verify(member, phone)
        assert suspension.reinstate(user_of(member), by=phone, reason="Called back") is None
    fail(member, 5)
    assert suspension.ends_only_in_person(user_of(member)), "a PIN faces 15 guesses, not more"


@pytest.mark.parametrize("role", [None, "Auditor", "Administrator"])
def test_staff_without_the_permission_lift_nothing_and_the_try_is_on_record(
    role: str | None,
) -> None:
    member, staff = MemberFactory(), StaffFactory(role=role)
    fail(member, 5)
    refusal = suspension.reinstate(user_of(member), by=staff, reason="Please")
    assert refusal
    assert refusal.why is Why.NOT_PERMITTED
    assert in_force(member)
    event = Event.objects.get(act=Event.Act.ACCESS_REFUSED)
    assert (event.by, event.whom) == (f"staff:{staff.username}", member.number)


def test_member_lifts_nothing() -> None:
    member = MemberFactory()
    fail(member, 5)
    assert suspension.reinstate(user_of(member), by=user_of(MemberFactory()), reason="Please")
    assert in_force(member)


@pytest.mark.parametrize("reason", ["", "  ", "　\n"])
def test_lifting_takes_a_reason(reason: str) -> None:
    member, staff = MemberFactory(), StaffFactory(role="Store")
    fail(member, 5)
    verify(member, staff)
    refusal = suspension.reinstate(user_of(member), by=staff, reason=reason)
    assert refusal
    assert refusal.why is Why.REFUSED
    assert refusal.reason == translation.gettext("State the reason.")
    assert in_force(member)
    assert not Event.objects.filter(act=Event.Act.REINSTATED).exists()


def test_third_in_a_row_is_lifted_by_the_store_only() -> None:
    member = suspend_until_in_person(MemberFactory())
    user = user_of(member)
    phone, store = StaffFactory(role="Call centre"), StaffFactory(role="Store")
    verify(member, phone)
    refusal = suspension.reinstate(user, by=phone, reason="By phone")
    assert refusal
    assert refusal.why is Why.NOT_PERMITTED
    refusal = suspension.reinstate(user, by=store, reason="Came in")
    assert refusal
    assert refusal.why is Why.REFUSED, "nobody's document was seen"
    assert in_force(member)
    verify(member, store)
    assert suspension.reinstate(user, by=store, reason="Came in") is None
    assert with_card(browser(), member).status_code == 302


def test_lifting_on_the_phone_does_not_end_the_row() -> None:
    member, phone = MemberFactory(), StaffFactory(role="Call centre")
    for _ in range(2):
        fail(member, 5)
        verify(member, phone)
        assert suspension.reinstate(user_of(member), by=phone, reason="Called back") is None
        assert not in_force(member)
    fail(member, 5)
    time_passes(days=3650)
    assert in_force(member)
    verify(member, phone)
    refusal = suspension.reinstate(user_of(member), by=phone, reason="Called back")
    assert refusal
    assert refusal.why is Why.NOT_PERMITTED
    store = StaffFactory(role="Store")
    verify(member, store)
    assert suspension.reinstate(user_of(member), by=store, reason="Came in") is None
    assert user_of(member).suspensions == 0


def test_one_that_became_the_third_meanwhile_is_not_lifted_by_phone() -> None:
    member = MemberFactory()
    for _ in range(2):
        time_passes(hours=25)
        fail(member, 5)
    seen_by_phone = user_of(member)
    time_passes(hours=25)
    fail(member, 5)
    phone = StaffFactory(role="Call centre")
    verify(member, phone)
    refusal = suspension.reinstate(seen_by_phone, by=phone, reason="By phone")
    assert refusal
    assert refusal.reason == translation.gettext("This suspension is no longer in force.")
    assert in_force(member)


@pytest.mark.parametrize("how", ["never suspended", "lifted by somebody else", "passed"])
def test_what_is_no_longer_in_force_is_not_lifted_again(how: str) -> None:
    member, staff = MemberFactory(), StaffFactory(role="Store")
    if how != "never suspended":
        fail(member, 5)
    user = user_of(member)
    if how == "lifted by somebody else":
        quicker = StaffFactory(role="Store")
        verify(member, quicker)
        assert suspension.reinstate(user_of(member), by=quicker, reason="Was quicker") is None
    elif how == "passed":
        time_passes(hours=25)
    verify(member, staff)
    records = Event.objects.filter(act=Event.Act.REINSTATED).count()
    refusal = suspension.reinstate(user, by=staff, reason="Late")
    assert refusal
    assert refusal.why is Why.REFUSED
    assert refusal.reason == translation.gettext("This suspension is no longer in force.")
    assert Event.objects.filter(act=Event.Act.REINSTATED).count() == records


def test_lifting_does_not_open_a_closed_membership() -> None:
    member, staff = MemberFactory(), StaffFactory(role="Store")
    fail(member, 5)
    User.objects.filter(member=member).update(is_active=False)
    verify(member, staff)
    assert suspension.reinstate(user_of(member), by=staff, reason="By mistake") is None
    assert with_card(browser(), member).status_code == 200
