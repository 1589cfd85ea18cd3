"""The pages of the desk: what they show to whom, what they say, and what they put on record."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from credentials import closure, verification
from credentials.models import Closure, Event, IdentityCheck, PinReset
from credentials.verification import Fact, check_by_questions, check_in_person
from members.masking import masked_name, masked_number
from members.models import Card, Member, User
from tests.clock import time_passes
from tests.conftest import Browser, sign_in_staff
from tests.factories import MemberFactory, StaffFactory
from tests.pages import fail, with_card

pytestmark = pytest.mark.django_db
StaffBrowser = Callable[..., Browser]
ENOUGH = {"answered": [Fact.NAME.value, Fact.EMAIL.value, Fact.PHONE.value]}
IN_PERSON = {"document": "passport", "place": "Shibuya"}


@pytest.fixture
def member() -> Member:
    return MemberFactory(web_id="Hanako1983", balance=120_000)


@pytest.fixture
def calls(staff_browser: StaffBrowser) -> Browser:
    return staff_browser("Call centre")


@pytest.fixture
def store(staff_browser: StaffBrowser) -> Browser:
    return staff_browser("Store")


def at(name: str, *args: Any) -> str:
    return reverse(f"admin:{name}", args=args)


def page_of(browser: Browser, member: Member) -> str:
    answer = browser.get(at("members_member_change", member.pk))
    assert answer.status_code == 200
    return str(answer.content.decode())


def verify(browser: Browser, member: Member) -> None:
    answer = browser.post(at("member_verify", member.pk), ENOUGH)
    assert (answer.status_code, answer["Location"]) == (
        302,
        at("members_member_change", member.pk),
    )


def verification_runs_out() -> None:
    """Let fifteen minutes pass for the verifications alone: the operator stays signed in."""
    IdentityCheck.objects.update(at=F("at") - timedelta(minutes=15, seconds=1))


def secrets_of(member: Member) -> list[str]:
    card = Card.objects.get(member=member)
    return [
        member.number,
        member.number_grouped,
        member.name,
        member.name_kana,
        "1983",
        member.email,
        member.phone,
        card.last_four,
        card.number,
        "Hanako1983",
        "120,000",
        "120000",
    ]


def test_masking_says_nothing_of_lengths() -> None:
    assert masked_number("123456789") == "••• ••• 789"
    assert masked_name("長谷川 林") == "長•• ••"
    assert len(masked_name("ハセガワ")) == len(masked_name("ハセ"))


class TestMemberPage:
    def test_masked_before_verification(self, calls: Browser, member: Member) -> None:
        page = page_of(calls, member)
        assert masked_number(member.number) in page
        for secret in secrets_of(member):
            assert secret not in page, secret

    def test_open_after_it_to_this_operator_for_fifteen_minutes(
        self, calls: Browser, staff_browser: StaffBrowser, member: Member
    ) -> None:
        verify(calls, member)
        page = page_of(calls, member)
        for shown in (member.name, member.email, member.phone, "120,000"):
            assert shown in page
        assert Card.objects.get().number not in page
        assert member.number not in page.replace(" ", ""), "that one is told, with a reason"
        other = page_of(staff_browser("Call centre"), member)
        assert member.email not in other
        verification_runs_out()
        assert member.email not in page_of(calls, member)

    def test_every_look_is_on_record_masked_or_not(self, calls: Browser, member: Member) -> None:
        page_of(calls, member)
        calls.get(at("member_tell", member.pk))
        calls.get(at("member_verify", member.pk))
        verify(calls, member)
        page_of(calls, member)
        looks = Event.objects.filter(act=Event.Act.MEMBER_SEEN).order_by("pk")
        assert [look.details for look in looks] == [
            {"masked": True},
            {"masked": True, "page": "tell"},
            # The answers on file stand there to compare.
            {"masked": False, "page": "verify"},
            {"masked": False},
        ]
        assert {(look.by, look.whom) for look in looks} == {
            (f"staff:{calls.staff.username}", member.number)
        }

    @pytest.mark.parametrize(
        ("role", "offered", "withheld"),
        [
            (
                "Call centre",
                {"member_verify", "member_tell", "member_prepare_pin_reset", "member_close"},
                {"member_verify_in_person", "member_pin_reset"},
            ),
            (
                "Store",
                {"member_verify_in_person", "member_pin_reset", "member_close"},
                {"member_verify", "member_tell", "member_prepare_pin_reset"},
            ),
        ],
    )
    def test_offers_what_the_role_may_do(
        self,
        staff_browser: StaffBrowser,
        member: Member,
        role: str,
        offered: set[str],
        withheld: set[str],
    ) -> None:
        browser = staff_browser(role)
        check = {"member": member, "by": browser.staff}
        if role == "Store":
            check_in_person(**check, **IN_PERSON)
        else:
            check_by_questions(**check, **ENOUGH)
        page = page_of(browser, member)
        assert {name for name in offered if at(name, member.pk) not in page} == set()
        assert {name for name in withheld if at(name, member.pk) in page} == set()

    def test_what_rests_on_a_verification_waits_for_it(
        self, calls: Browser, member: Member
    ) -> None:
        page = page_of(calls, member)
        assert at("member_verify", member.pk) in page
        assert at("member_tell", member.pk) not in page

    def test_nothing_is_posted_to_it(self, calls: Browser, member: Member) -> None:
        assert calls.post(at("members_member_change", member.pk), {}).status_code == 403

    def test_an_unknown_member(self, calls: Browser) -> None:
        for address in (at("members_member_change", 999), at("member_verify", 999)):
            assert calls.get(address).status_code == 404
        assert calls.get("/admin/members/member/x/change/").status_code == 404

    def test_no_other_page_of_the_admin_names_the_member(
        self, calls: Browser, member: Member
    ) -> None:
        closure.ask(member=member, certificate=False, source="")
        for address in (
            at("members_member_history", member.pk),
            at("credentials_closure_changelist"),
            at("credentials_outboxmail_changelist"),
            at("members_suspended"),
        ):
            page = calls.get(address).content.decode()
            assert member.number not in page.replace(" ", ""), address
            assert member.name not in page, address


class TestVerifying:
    def test_failed_says_so_and_what_to_do(self, calls: Browser, member: Member) -> None:
        answer = calls.post(at("member_verify", member.pk), {"answered": ["name", "birth_date"]})
        assert answer.status_code == 200
        page = answer.content.decode()
        assert 'role="alert"' in page
        assert "desk-note--stop" in page
        # What was ticked is not lost.
        assert re.search(r'value="name"[^>]*checked', page)
        assert member.email not in page_of(calls, member)

    def test_the_third_failure_closes_the_way_and_hides_the_answers(
        self, calls: Browser, member: Member
    ) -> None:
        for _turn in range(3):
            answer = calls.post(at("member_verify", member.pk), {})
        for page in (
            answer.content.decode(),
            calls.get(at("member_verify", member.pk)).content.decode(),
        ):
            assert '<form method="post" action="/admin/members' not in page
            assert member.email not in page
        assert calls.post(at("member_verify", member.pk), ENOUGH).status_code == 200
        assert verification.opened(member, calls.staff) is None

    def test_says_where_too_little_is_on_file(self, calls: Browser, settings: Any) -> None:
        settings.IDENTITY_QUESTIONS_REQUIRED = 4
        bare = MemberFactory(email="", phone="")
        page = calls.get(at("member_verify", bare.pk)).content.decode()
        assert 'name="answered"' not in page
        assert 'name="code"' in page

    def test_with_a_hand_off_code_from_the_portal(
        self, calls: Browser, client: Browser, member: Member
    ) -> None:
        with_card(client, member)
        assert 'id="hand-off-code"' not in client.get("/hand-off/").content.decode()
        page = client.post("/hand-off/").content.decode()
        [code] = re.findall(r'id="hand-off-code"[^>]*>(\d{3} \d{3})<', page)
        answer = calls.post(at("member_hand_off", member.pk), {"code": code})
        assert answer.status_code == 302
        assert member.email in page_of(calls, member)
        assert calls.post(at("member_hand_off", member.pk), {"code": code}).status_code == 200

    def test_a_slip_of_the_fingers_is_no_failure(self, calls: Browser, member: Member) -> None:
        answer = calls.post(at("member_hand_off", member.pk), {"code": "12345"})
        assert answer.status_code == 200
        assert not IdentityCheck.objects.exists()

    def test_the_hand_off_page_is_the_members_alone(self, client: Browser, calls: Browser) -> None:
        assert client.post("/hand-off/")["Location"] == "/login/?next=/hand-off/"
        assert calls.post("/hand-off/")["Location"] == "/admin/"


class TestTelling:
    def test_shows_the_number_after_verification_and_reason(
        self, calls: Browser, member: Member
    ) -> None:
        verify(calls, member)
        answer = calls.post(at("member_tell", member.pk), {"reason": "registers a Web-ID"})
        digits = re.search(r'id="told-number"[^>]*>(.+?)</p>', answer.content.decode())
        assert digits
        assert "".join(re.findall(r"\d+", digits[1])) == member.number
        assert Event.objects.get(act=Event.Act.NUMBER_TOLD).details["reason"]

    def test_not_without_a_reason(self, calls: Browser, member: Member) -> None:
        verify(calls, member)
        answer = calls.post(at("member_tell", member.pk), {"reason": " "})
        assert "told-number" not in answer.content.decode()

    def test_verification_that_ran_out_in_the_middle(self, calls: Browser, member: Member) -> None:
        verify(calls, member)
        assert 'name="reason"' in calls.get(at("member_tell", member.pk)).content.decode()
        verification_runs_out()
        answer = calls.post(at("member_tell", member.pk), {"reason": "long talk"})
        page = answer.content.decode()
        assert "told-number" not in page
        assert at("member_verify", member.pk) in page, "what to do first"
        assert "long talk" in page, "nothing typed is lost"
        assert not Event.objects.filter(act=Event.Act.NUMBER_TOLD).exists()


class TestPinReset:
    def test_with_a_ticket_made_at_the_window(
        self, store: Browser, client: Browser, member: Member
    ) -> None:
        page = store.post(at("member_pin_reset", member.pk), IN_PERSON).content.decode()
        [ticket] = re.findall(r'id="ticket"[^>]*>([\d ]+)<', page)
        typed = {"ticket": ticket, "pin1": "7294", "pin2": "7294"}
        typed["card_number"] = Card.objects.get(member=member).number
        assert client.post("/pin/", typed)["Location"] == "/pin/done/"
        assert with_card(client, member, pin="7294").status_code == 302
        # The place is offered again at the next one.
        assert 'value="Shibuya"' in store.get(at("member_pin_reset", member.pk)).content.decode()

    def test_with_a_ticket_prepared_on_the_phone(
        self, calls: Browser, store: Browser, client: Browser, member: Member
    ) -> None:
        verify(calls, member)
        page = calls.post(at("member_prepare_pin_reset", member.pk)).content.decode()
        [ticket] = re.findall(r'id="ticket"[^>]*>([\d ]+)<', page)
        asked = {**IN_PERSON, "prepared_ticket": ticket}
        page = store.post(at("member_pin_reset", member.pk), asked).content.decode()
        assert 'id="ticket"' not in page, "the member has it"
        typed = {"ticket": ticket, "pin1": "7294", "pin2": "7294"}
        typed["card_number"] = Card.objects.get(member=member).number
        assert client.post("/pin/", typed)["Location"] == "/pin/done/"
        # Used twice: a clear message, and nothing stops.
        answer = store.post(at("member_pin_reset", member.pk), asked)
        assert "errornote" in answer.content.decode() or "errorlist" in answer.content.decode()
        assert with_card(client, member, pin="7294").status_code == 302

    def test_not_prepared_without_verification(self, calls: Browser, member: Member) -> None:
        page = calls.post(at("member_prepare_pin_reset", member.pk)).content.decode()
        assert 'id="ticket"' not in page
        assert not PinReset.objects.exists()

    def test_says_that_a_ticket_is_good_already(
        self, store: Browser, staff_browser: StaffBrowser, member: Member
    ) -> None:
        store.post(at("member_pin_reset", member.pk), IN_PERSON)
        page = staff_browser("Store").get(at("member_pin_reset", member.pk)).content.decode()
        assert f"staff:{store.staff.username}" in page


class TestSuspensions:
    def test_the_work_list(self, calls: Browser, member: Member) -> None:
        fail(member, 5)
        lapsed, in_person = MemberFactory(), MemberFactory()
        fail(lapsed, 5, "198.51.100.20")
        time_passes(hours=25)
        sign_in_staff(calls, calls.staff)
        fail(member, 5, "198.51.100.5")
        for turn in range(3):
            fail(in_person, 5, f"198.51.100.3{turn}")
            if turn < 2:
                User.objects.filter(member=in_person).update(suspended_until="2026-01-01T00:00Z")
        page = calls.get(at("members_suspended")).content.decode()
        assert masked_number(member.number) in page
        assert masked_number(in_person.number) in page
        assert masked_number(lapsed.number) not in page
        assert "198.51.100.5" in page
        assert "198.51.100.32" in page
        assert at("member_reinstate", member.pk) in page
        # The third in a row is the store's.
        assert at("member_reinstate", in_person.pk) not in page
        only = calls.get(at("members_suspended"), {"which": "in_person"}).content.decode()
        assert masked_number(member.number) not in only
        assert Event.objects.filter(act=Event.Act.MEMBERS_SEARCHED).count() == 2

    def test_stopped_at_the_members_word(self, calls: Browser, member: Member) -> None:
        address = at("member_suspend", member.pk)
        assert address in page_of(calls, member)
        page = calls.get(address).content.decode()
        assert 'name="said"' in page
        assert member.name_kana not in page
        asked = {"said": "ヤマダ ハナコ 1983-12-30", "reason": "Lost the purse"}
        assert calls.post(address, asked).status_code == 200
        asked["said"] = "ヤマダ ハナコ 1983-12-31"
        answer = calls.post(address, asked)
        assert answer["Location"] == at("members_member_change", member.pk)
        assert User.objects.get(member=member).suspended_until is None
        assert address not in page_of(calls, member)
        listed = calls.get(at("members_suspended")).content.decode()
        assert "会員本人の申し出" in listed

    def test_stopped_without_a_question_once_verified(self, store: Browser, member: Member) -> None:
        store.post(at("member_verify_in_person", member.pk), IN_PERSON)
        address = at("member_suspend", member.pk)
        assert 'name="said"' not in store.get(address).content.decode()
        assert store.post(address, {"reason": "Lost the purse"}).status_code == 302
        assert User.objects.get(member=member).suspended_at is not None

    def test_costs_the_same_however_many_there_are(self, calls: Browser) -> None:
        def cost() -> int:
            with CaptureQueriesContext(connection) as queries:
                calls.get(at("members_suspended"))
            return len(queries)

        fail(MemberFactory(), 5)
        one = cost()
        for address in ("198.51.100.7", "198.51.100.8", "198.51.100.9"):
            fail(MemberFactory(), 5, address)
        assert cost() == one

    @pytest.mark.sqlite
    def test_comes_from_the_index(self) -> None:
        from credentials.admin.suspensions import suspended_now

        assert "user_suspended" in suspended_now().explain()

    def test_lifted_after_verification_with_a_reason(self, calls: Browser, member: Member) -> None:
        fail(member, 5)
        address = at("member_reinstate", member.pk)
        assert 'name="reason"' not in calls.get(address).content.decode()
        calls.post(address, {"reason": "called"})
        assert User.objects.get(member=member).suspended_at
        verify(calls, member)
        calls.post(address, {"reason": ""})
        assert User.objects.get(member=member).suspended_at
        assert calls.post(address, {"reason": "called"}).status_code == 302
        assert User.objects.get(member=member).suspended_at is None
        # The other operator, a second later: told so, and nothing is done twice.
        answer = calls.post(address, {"reason": "called"})
        assert answer.status_code == 200
        assert Event.objects.filter(act=Event.Act.REINSTATED).count() == 1

    def test_the_third_in_a_row_only_by_the_store_in_person(
        self, calls: Browser, store: Browser, member: Member
    ) -> None:
        fail(member, 5)
        User.objects.filter(member=member).update(suspended_until=None, suspensions=3)
        check_by_questions(member=member, by=calls.staff, **ENOUGH)
        address = at("member_reinstate", member.pk)
        assert calls.post(address, {"reason": "called"}).status_code == 403
        assert store.post(address, {"reason": "here"}).status_code == 200
        assert User.objects.get(member=member).suspended_at
        store.post(at("member_verify_in_person", member.pk), IN_PERSON)
        assert store.post(address, {"reason": "here"}).status_code == 302
        assert User.objects.get(member=member).suspended_at is None


class TestClosures:
    def test_from_taking_down_to_the_end(
        self, calls: Browser, store: Browser, member: Member
    ) -> None:
        Member.objects.update(balance=0)
        verify(calls, member)
        answer = calls.post(at("member_close", member.pk), {"certificate": "on"})
        assert answer.status_code == 302
        this = Closure.objects.get()
        page = at("credentials_closure_change", this.pk)
        assert page in store.get(at("credentials_closure_changelist")).content.decode()
        assert page in page_of(calls, member)
        assert calls.post(page, {"check": "1", "no_balance": "on"}).status_code == 200
        assert calls.post(page, {"check": "1", "no_balance": "on", "nothing_open": "on"})
        assert 'name="approve"' not in calls.get(page).content.decode()
        calls.post(page, {"approve": "1"})
        assert Closure.objects.get().state == Closure.State.CHECKED
        assert 'name="approve"' in store.get(page).content.decode()
        store.post(page, {"approve": "1"})
        assert Closure.objects.get().state == Closure.State.CLOSED
        assert page not in store.get(at("credentials_closure_changelist")).content.decode()
        assert (
            page
            in store.get(at("credentials_closure_changelist"), {"stage": "ended"}).content.decode()
        )
        # A closed member's page offers nothing that would change anything.
        closed = page_of(calls, member)
        assert at("member_close", member.pk) not in closed
        assert at("member_prepare_pin_reset", member.pk) not in closed

    def test_obstacles_are_said(self, calls: Browser, member: Member) -> None:
        closure.ask(member=member, certificate=False, source="")
        page = at("credentials_closure_change", Closure.objects.get().pk)
        assert "120,000" in calls.get(page).content.decode()
        calls.post(page, {"check": "1", "no_balance": "on", "nothing_open": "on"})
        assert Closure.objects.get().state == Closure.State.ASKED

    def test_withdrawn_through_staff(self, calls: Browser, member: Member) -> None:
        closure.ask(member=member, certificate=False, source="")
        assert calls.post(at("member_withdraw_closure", member.pk)).status_code == 200
        verify(calls, member)
        assert calls.post(at("member_withdraw_closure", member.pk)).status_code == 302
        assert Closure.objects.get().state == Closure.State.WITHDRAWN

    def test_the_auditor_looks_and_sees_it_masked(
        self, staff_browser: StaffBrowser, member: Member
    ) -> None:
        closure.ask(member=member, certificate=False, source="")
        auditor = staff_browser("Auditor")
        address = at("credentials_closure_change", Closure.objects.get().pk)
        page = auditor.get(address).content.decode()
        assert member.number_grouped not in page
        assert 'name="check"' not in page
        assert auditor.post(address, {"approve": "1"}).status_code == 403


def test_two_operators_at_once_are_each_on_their_own(
    calls: Browser, staff_browser: StaffBrowser, member: Member
) -> None:
    other = staff_browser("Call centre")
    verify(calls, member)
    answer = other.post(at("member_tell", member.pk), {"reason": "called"})
    assert "told-number" not in answer.content.decode()
    verify(other, member)
    for browser in (calls, other):
        answer = browser.post(at("member_close", member.pk), {})
    assert answer.status_code == 200, "the second is told that one is under way"
    assert Closure.objects.count() == 1


def test_a_clerks_other_member_is_not_opened(calls: Browser, member: Member) -> None:
    verify(calls, member)
    other = MemberFactory(email="other@example.com")
    assert "other@example.com" not in page_of(calls, other)
    assert not verification.opened(other, StaffFactory())
