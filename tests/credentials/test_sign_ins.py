"""Your sign-ins: what the record says of them; “this wasn't me”; sign out everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from credentials import sign_ins, suspension
from credentials.models import Event
from credentials.sessions import rows
from members.models import Member, User, WebID
from tests.clock import time_passes
from tests.conftest import Browser
from tests.factories import PASSWORD, PIN, MemberFactory, StaffFactory
from tests.members.feeds import HEADER, run
from tests.pages import (
    LANGUAGES,
    as_staff,
    browser,
    code_in,
    fail,
    is_signed_in,
    said,
    user_of,
    verify,
    with_card,
    with_web_id,
)

pytestmark = pytest.mark.django_db

Deliver = Callable[[], list[EmailMessage]]
HERE, NOT_ME, DISOWNED = "/sign-ins/", "/sign-ins/not-me/", "/sign-ins/disowned/"
CHROME = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Mobile Safari/537.36"
)


def signed_in(member: Member, language: str = "en") -> Browser:
    client = browser(language)
    assert with_card(client, member).status_code == 302
    return client


def recorded(
    member: Member,
    *,
    ago: timedelta = timedelta(days=1),
    act: Event.Act = Event.Act.SIGNED_IN,
    **how: Any,
) -> Event:
    """Put a sign-in of some time ago on record."""
    at = datetime.now(tz=UTC) - ago
    how.setdefault("way", "card")
    return Event.objects.create(
        at=at, act=act, by="member", whom=member.number, source="198.51.100.9", details=how
    )


def page(client: Browser) -> str:
    answer = client.get(HERE)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def visits(client: Browser) -> list[str]:
    """Return what the list shows, item by item, in one line each."""
    items = re.findall(r'<li class="visit">(.*?)</li>', page(client), re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", item).split()) for item in items]


# --- The list ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_sign_in_is_shown_with_its_time_way_and_device(language: str) -> None:
    member = MemberFactory()
    client = signed_in(member, language)
    event = recorded(member, way="web_id", device=CHROME, known=False)
    japan = event.at + timedelta(hours=9)
    when = {
        "ja": f"{japan.year}年{japan.month}月{japan.day}日 {japan.hour}:{japan:%M}",
        "en": f"{japan.day} {japan:%B} {japan.year}, {japan:%H:%M}",
    }[language]
    earlier = visits(client)[1]
    with translation.override(language):
        words = [
            translation.gettext(text)
            for text in ("Web-ID and password", "A device not used before", "This wasn't me")
        ]
    assert earlier == f"{when} {words[0]} Chrome, Android {words[1]} {words[2]}"


def test_present_sign_in_is_marked_and_no_other() -> None:
    member = MemberFactory()
    recorded(member, ago=timedelta(minutes=2))
    other = signed_in(member)
    client = signed_in(member)
    this = [said("This one: you, now", "en") in visit for visit in visits(client)]
    assert this == [True, False, False]
    # Seen from the other one, it is the other one's.
    this = [said("This one: you, now", "en") in visit for visit in visits(other)]
    assert this == [False, True, False]
    assert ["This wasn't me" in visit for visit in visits(other)] == [True, False, True]


def test_sign_in_without_details_is_one_from_an_unknown_device() -> None:
    member = MemberFactory()
    client = signed_in(member)
    recorded(member)
    visit = visits(client)[1]
    assert "Unknown device" in visit
    assert "A device not used before" not in visit


def test_known_device_is_not_marked() -> None:
    member = MemberFactory()
    client = signed_in(member)
    recorded(member, device=CHROME, known=True)
    assert "A device not used before" not in visits(client)[1]


def test_what_a_browser_says_and_addresses_are_never_shown() -> None:
    member = MemberFactory()
    client = signed_in(member)
    recorded(member, device="<script>alert(1)</script> Evil/1.0")
    recorded(member, device=CHROME)
    shown = page(client)
    assert "alert(1)" not in shown
    assert "Evil" not in shown
    assert "Mozilla" not in shown
    assert "198.51.100.9" not in shown


def test_only_ones_own_of_the_last_ninety_days_newest_first() -> None:
    member, other = MemberFactory(), MemberFactory()
    client = signed_in(member)
    recorded(other, ago=timedelta(days=2), way="web_id")
    recorded(member, ago=timedelta(days=91), way="web_id")
    days = [recorded(member, ago=timedelta(days=days)).at for days in (89, 3, 40)]
    with translation.override("en"):
        moments = [f"{(at + timedelta(hours=9)):%B %Y, %H:%M}" for at in sorted(days)[::-1]]
    shown = visits(client)[1:]
    assert len(shown) == 3
    assert [moment in visit for moment, visit in zip(moments, shown, strict=True)] == [True] * 3
    assert "Web-ID and password" not in "".join(shown)


def test_more_than_fifty_are_cut_and_the_page_says_so() -> None:
    member = MemberFactory()
    client = signed_in(member)
    for minutes in range(49):
        recorded(member, ago=timedelta(hours=1, minutes=minutes))
    cut = "Only the newest 50 are shown."
    assert len(visits(client)) == 50
    assert cut not in page(client)
    recorded(member, ago=timedelta(days=5))
    assert len(visits(client)) == 50
    assert cut in page(client)


@pytest.mark.parametrize("language", LANGUAGES)
def test_failed_tries_are_counted_by_the_day_in_japan(language: str) -> None:
    member = MemberFactory()
    client = signed_in(member, language)
    assert said("None.", language) in page(client)
    fail(member, 3)
    recorded(member, act=Event.Act.SIGN_IN_FAILED, ago=timedelta(days=3))
    recorded(member, act=Event.Act.SIGN_IN_FAILED, ago=timedelta(days=91))
    japan = datetime.now(tz=UTC) + timedelta(hours=9)
    lines = re.findall(r"<li>([^<]*(?:failed|失敗)[^<]*)</li>", page(client))
    days = [japan, japan - timedelta(days=3)]
    assert lines == [
        {
            "ja": f"{day.year}年{day.month}月{day.day}日：{times}回失敗",
            "en": f"{day.day} {day:%B} {day.year}: {times} failed {tries}",
        }[language]
        for day, times, tries in zip(days, (3, 1), ("tries", "try"), strict=True)
    ]
    assert "198.51.100.4" not in page(client)


def test_page_is_for_signed_in_members() -> None:
    assert browser().get(HERE)["Location"] == f"/login/?next={HERE}"
    assert browser().get(NOT_ME)["Location"] == f"/login/?next={NOT_ME}"
    assert as_staff(StaffFactory(role="Store")).get(HERE)["Location"] == "/admin/"
    assert as_staff(StaffFactory(role="Store")).post(NOT_ME)["Location"] == "/admin/"


def test_page_is_never_stored() -> None:
    client = signed_in(MemberFactory())
    for path in (HERE, NOT_ME):
        assert "no-store" in client.get(path)["Cache-Control"]


def test_top_page_and_help_lead_there() -> None:
    client = signed_in(MemberFactory())
    assert client.get("/").content.decode().count(f'href="{HERE}') == 2
    assert f'href="/login/?next={HERE}"' in browser().get("/help/").content.decode()


def statements_about_the_record(client: Browser) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        page(client)
    found = [query["sql"] for query in queries.captured_queries]
    return [sql for sql in found if "credentials_event" in sql]


def test_record_is_read_by_two_statements_however_much_there_is() -> None:
    member = MemberFactory()
    client = signed_in(member)
    assert len(statements_about_the_record(client)) == 2
    for hours in range(20):
        recorded(member, ago=timedelta(hours=hours), device=CHROME)
    assert len(statements_about_the_record(client)) == 2


@pytest.mark.sqlite
def test_record_is_read_from_the_index_on_sqlite() -> None:
    client = signed_in(MemberFactory())
    for sql in statements_about_the_record(client):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(str(row) for row in cursor.fetchall())
        assert "USING INDEX event_whom (whom=? AND at>?)" in plan, plan
        assert "SCAN" not in plan


@pytest.mark.postgresql
@pytest.mark.parametrize("failures", [3, 10_000])
def test_record_is_read_from_the_index_on_postgresql(failures: int) -> None:
    """Also where somebody was guessed at all the time, and the planner knows it."""
    member = MemberFactory()
    client = signed_in(member)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO credentials_event (at, act, by, whom, source, details)
            SELECT now() - i * interval '30 seconds',
                   (ARRAY['signed_in','sign_in_failed','member_seen','suspended'])[i %% 4 + 1],
                   'member', (100000007 + i * 8923 %% 899999981)::text, '203.0.113.7', '{}'
            FROM generate_series(1, 200000::bigint) i;
            INSERT INTO credentials_event (at, act, by, whom, source, details)
            SELECT now() - i * interval '1 second',
                   CASE WHEN i %% 1000 = 0 THEN 'signed_in' ELSE 'sign_in_failed' END,
                   'member', %s, '203.0.113.7', '{}'
            FROM generate_series(1, %s) i;
            ANALYZE credentials_event;
            """,
            [member.number, failures],
        )
    for sql in statements_about_the_record(client):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "event_whom" in plan, plan
        assert "Seq Scan" not in plan, plan


# --- “This wasn't me” -------------------------------------------------------------------------


def disown(client: Browser, event: Event | None = None) -> Any:
    path = reverse("disown", args=[event.pk]) if event else NOT_ME
    return client.post(path)


def test_looking_at_what_would_stop_stops_nothing() -> None:
    member = MemberFactory(web_id="Hanako1983")
    client = signed_in(member)
    event = recorded(member, device=CHROME)
    shown = client.get(reverse("disown", args=[event.pk])).content.decode()
    assert "Chrome, Android" in shown
    assert 'method="post"' in shown
    assert is_signed_in(client)
    assert not suspension.is_in_force(user_of(member))
    assert with_card(browser(), member).status_code == 302


@pytest.mark.parametrize("way", ["card", "web_id", ""])
def test_page_says_beforehand_exactly_what_stops(way: str) -> None:
    member = MemberFactory(web_id="Hanako1983")
    client = signed_in(member)
    path = reverse("disown", args=[recorded(member, way=way).pk]) if way else NOT_ME
    shown = client.get(path).content.decode()
    pin = said("The PIN of your card. It never works again; you set a new one.", "en")
    password = said(
        "The password of your Web-ID. It never works again; you choose a new one.", "en"
    )
    assert (pin in shown) == (way != "web_id")
    assert (password in shown) == (way != "card")
    assert said("Your card, at the ATM too", "en") in shown
    assert said("You are signed out everywhere, here too, and get a mail about it.", "en") in shown


def test_disowning_stops_everything_at_once_until_it_is_lifted_in_person() -> None:
    member = MemberFactory(web_id="Hanako1983")
    client, computer = signed_in(member), browser()
    with_web_id(computer, member)
    before = user_of(member)
    answer = disown(client, recorded(member))
    assert (answer.status_code, answer["Location"]) == (302, DISOWNED)
    after = user_of(member)
    assert suspension.is_in_force(after)
    assert suspension.ends_only_in_person(after)
    assert (after.epoch, after.device_epoch) == (before.epoch + 1, before.device_epoch + 1)
    assert not is_signed_in(client)
    assert not is_signed_in(computer)
    time_passes(days=3650)
    assert with_card(browser(), member).status_code == 200
    assert with_web_id(browser(), member).status_code == 200
    assert suspension.is_in_force(user_of(member))


def test_disowning_is_on_record_with_the_sign_in_it_is_about() -> None:
    member = MemberFactory()
    client = signed_in(member)
    event = recorded(member)
    disown(client, event)
    disowned = Event.objects.get(act=Event.Act.SIGN_IN_DISOWNED)
    assert (disowned.by, disowned.whom, disowned.source) == ("member", member.number, "203.0.113.7")
    event.refresh_from_db()
    assert disowned.details == {
        "signed_in_at": event.at.isoformat(),
        "way": "card",
        "stopped": ["card"],
    }
    suspended = Event.objects.get(act=Event.Act.SUSPENDED)
    assert (suspended.by, suspended.whom) == ("member", member.number)
    assert suspended.details["until"] == "in person"


@pytest.mark.parametrize("language", LANGUAGES)
def test_member_reads_what_has_stopped_and_what_to_do_next(language: str, deliver: Deliver) -> None:
    member = MemberFactory(web_id="Hanako1983")
    client = signed_in(member, language)
    disown(client, recorded(member, way="web_id"))
    shown = client.get(DISOWNED).content.decode()
    anew = (
        "After that, register your Web-ID anew, with your member number and your registered "
        "email address."
    )
    assert said(anew, language) in shown
    assert said("Everything is stopped", language) in shown
    assert "0120-000-000" in shown
    assert client.get(HERE).status_code == 302, "nobody is signed in any more"
    [mail] = deliver()
    assert mail.to == [member.email]
    with translation.override(language):
        assert mail.subject == translation.gettext("You reported a sign-in: everything is stopped")
        assert (
            translation.gettext(
                "The password of your Web-ID. It never works again; you choose a new one."
            )
            in mail.body
        )
        assert translation.gettext("You set a new PIN there.") not in mail.body
    assert member.card.last_four in mail.body
    assert "://" not in mail.body


def test_page_about_what_has_stopped_is_only_for_who_stopped_it() -> None:
    assert browser().get(DISOWNED)["Location"] == "/login/"
    client = signed_in(MemberFactory())
    assert client.get(DISOWNED)["Location"] == "/login/"


@pytest.mark.parametrize("which", ["somebody else's", "no sign-in", "nobody's", "too large"])
def test_only_a_sign_in_of_ones_own_can_be_disowned(which: str) -> None:
    member = MemberFactory()
    client = signed_in(member)
    pk = {
        "somebody else's": lambda: recorded(MemberFactory()).pk,
        "no sign-in": lambda: recorded(member, act=Event.Act.SIGN_IN_FAILED).pk,
        "nobody's": lambda: 987_654_321,
        "too large": lambda: 10**40,
    }[which]()
    path = f"/sign-ins/{pk}/not-me/"
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404
    assert not suspension.is_in_force(user_of(member))


def test_second_press_of_the_button_does_nothing_twice(deliver: Deliver) -> None:
    member = MemberFactory()
    client = signed_in(member)
    as_it_was = user_of(member)
    disown(client)
    refused = sign_ins.disown(
        user=as_it_was, sign_in=None, session=client.session, source="192.0.2.1"
    )
    assert not isinstance(refused, tuple)
    assert Event.objects.filter(act=Event.Act.SIGN_IN_DISOWNED).count() == 1
    assert len(deliver()) == 1


# --- The ways back ----------------------------------------------------------------------------


def lift(member: Member) -> None:
    store = StaffFactory(role="Store")
    verify(member, store)
    assert suspension.reinstate(user_of(member), by=store, reason="Came in") is None


def set_pin(member: Member, pin: str) -> None:
    """Re-set the PIN in person, as staff and member do it in the store."""
    store = as_staff(StaffFactory(role="Store"))
    typed = {"document": "passport", "place": "Ueno"}
    answer = store.post(reverse("admin:member_pin_reset", args=[member.pk]), typed)
    [ticket] = re.findall(r"\b(\d{4} \d{4})\b", answer.content.decode())
    number = member.card.number
    terminal = {"card_number": number, "ticket": ticket, "pin1": pin, "pin2": pin}
    assert browser().post("/pin/", terminal).status_code == 302


def register(member: Member, deliver: Deliver, *, web_id: str, password: str) -> Any:
    client = browser("en")
    deliver()
    client.post("/web-id/register/", {"member_number": member.number, "email": member.email})
    [mail] = deliver()
    client.post("/web-id/register/code/", {"code": code_in(mail)})
    typed = {"web_id": web_id, "password1": password, "password2": password}
    return client.post("/web-id/register/choose/", typed)


def test_pin_that_was_used_never_signs_in_again() -> None:
    member = MemberFactory(web_id="Hanako1983")
    client = signed_in(member)
    disown(client, recorded(member, way="card"))
    lift(member)
    assert with_card(browser(), member, pin=PIN).status_code == 200
    # The other way was not the stranger's.
    assert with_web_id(browser(), member).status_code == 302


def test_no_feed_brings_the_stopped_pin_back(tmp_path: Any) -> None:
    member = MemberFactory()
    disown(signed_in(member), recorded(member, way="card"))
    feed = tmp_path / "members.csv"
    cells = [member.number, member.name, member.name_kana, "1983-12-31", member.email]
    cells += [member.phone, member.card.number, PIN]
    feed.write_text(f"{HEADER}\n{','.join(cells)}\n", encoding="utf-8")
    assert run(feed).exit_code == 0
    lift(member)
    assert with_card(browser(), member, pin=PIN).status_code == 200


def test_new_pin_set_in_person_is_the_way_back_of_the_card() -> None:
    member = MemberFactory()
    disown(signed_in(member), recorded(member, way="card"))
    set_pin(member, "7294")
    assert not suspension.is_in_force(user_of(member))
    assert with_card(browser(), member, pin="7294").status_code == 302


def test_new_pin_does_not_bring_the_stopped_password_back() -> None:
    member = MemberFactory(web_id="Hanako1983")
    disown(signed_in(member), recorded(member, way="web_id"))
    set_pin(member, "7294")
    assert with_card(browser(), member, pin="7294").status_code == 302
    assert with_web_id(browser(), member).status_code == 200


@pytest.mark.parametrize("web_id", ["Hanako1983", "another1234"])
def test_web_id_registered_anew_is_the_way_back_of_the_web_id(
    web_id: str, deliver: Deliver
) -> None:
    member = MemberFactory(web_id="Hanako1983")
    disown(signed_in(member), recorded(member, way="web_id"))
    lift(member)
    assert with_web_id(browser(), member, password=PASSWORD).status_code == 200
    # The card's secret was not the stranger's.
    top = browser("en")
    assert with_card(top, member).status_code == 302
    shown = top.get("/").content.decode()
    assert (
        said(
            "Its old password no longer works. Please register it anew, with a new password.", "en"
        )
        in shown
    )
    new = "a new one that nobody knows yet"
    assert register(member, deliver, web_id=web_id, password=new).status_code == 302
    member.refresh_from_db()
    assert WebID.objects.get(member=member).name == web_id
    assert with_web_id(browser(), Member.objects.get(pk=member.pk), password=new).status_code == 302
    assert with_web_id(browser(), member, password=PASSWORD).status_code == 200


def test_web_id_is_not_registered_anew_while_suspended(deliver: Deliver) -> None:
    member = MemberFactory(web_id="Hanako1983")
    disown(signed_in(member), recorded(member, way="web_id"))
    deliver()
    client = browser("en")
    client.post("/web-id/register/", {"member_number": member.number, "email": member.email})
    [mail] = deliver()
    assert mail.subject == "A Web-ID cannot be registered just now"


def test_name_that_somebody_else_has_is_not_taken_over_when_registering_anew(
    deliver: Deliver,
) -> None:
    MemberFactory(web_id="taken1234")
    member = MemberFactory(web_id="Hanako1983")
    disown(signed_in(member), recorded(member, way="web_id"))
    lift(member)
    new = "a new one that nobody knows yet"
    assert register(member, deliver, web_id="TAKEN1234", password=new).status_code == 200
    assert WebID.objects.get(member=member).name == "Hanako1983"
    assert user_of(member).web_id_is_stopped


def test_both_secrets_stop_where_the_member_does_not_say_which_it_was() -> None:
    member = MemberFactory(web_id="Hanako1983")
    disown(signed_in(member))
    lift(member)
    assert with_card(browser(), member).status_code == 200
    assert with_web_id(browser(), member).status_code == 200
    [event] = Event.objects.filter(act=Event.Act.SIGN_IN_DISOWNED)
    assert event.details == {"signed_in_at": "", "way": "", "stopped": ["card", "web_id"]}


@pytest.mark.parametrize("way", ["card", "web_id"])
def test_mail_about_the_lifting_says_what_is_still_to_do(way: str, deliver: Deliver) -> None:
    member = MemberFactory(web_id="Hanako1983")
    disown(signed_in(member), recorded(member, way=way))
    deliver()
    lift(member)
    [mail] = deliver()
    assert ("Your card has no PIN just now" in mail.body) == (way == "card")
    assert ("use your card at the ATM again" in mail.body) == (way == "web_id")
    assert ("Please register the Web-ID anew" in mail.body) == (way == "web_id")


# --- What staff see ---------------------------------------------------------------------------


def test_only_the_store_lifts_it_in_person() -> None:
    member = MemberFactory()
    disown(signed_in(member))
    phone, store = StaffFactory(role="Call centre"), StaffFactory(role="Store")
    verify(member, phone)
    assert suspension.reinstate(user_of(member), by=phone, reason="By phone")
    assert suspension.reinstate(user_of(member), by=store, reason="Came in"), "no document seen"
    assert suspension.is_in_force(user_of(member))
    lift(member)
    assert not suspension.is_in_force(user_of(member))


@pytest.mark.parametrize("role", ["Store", "Call centre"])
def test_staff_see_that_it_was_the_member_who_disowned_it(role: str) -> None:
    disowning, third = MemberFactory(), MemberFactory()
    disown(signed_in(disowning))
    fail(disowning, 1)
    fail(third, 5)
    User.objects.filter(member=third).update(suspended_until=None, suspensions=3)
    staff = as_staff(StaffFactory(role=role))
    shown = staff.get("/admin/members/member/suspended/").content.decode()
    assert unescape(shown).count("the member: “this wasn't me”") == 1
    words = "The member reported a sign-in as somebody else's"
    for member in (disowning, third):
        answer = staff.get(reverse("admin:members_member_change", args=[member.pk]))
        assert (words in answer.content.decode()) == (member == disowning)


def test_next_suspension_is_no_longer_the_members() -> None:
    member = MemberFactory()
    disown(signed_in(member))
    assert suspension.is_disowned(user_of(member))
    set_pin(member, "7294")
    assert not suspension.is_disowned(user_of(member))
    fail(member, 5)
    User.objects.filter(member=member).update(suspended_until=None)
    assert suspension.ends_only_in_person(user_of(member))
    assert not suspension.is_disowned(user_of(member))


def test_page_for_lifting_says_which_secret_was_stopped() -> None:
    member = MemberFactory(web_id="Hanako1983")
    disown(signed_in(member))
    store = StaffFactory(role="Store")
    shown = (
        as_staff(store).get(reverse("admin:member_reinstate", args=[member.pk])).content.decode()
    )
    assert "This suspension is lifted only in person" in shown
    assert "start a PIN re-set instead" in shown
    assert "the member registers the Web-ID anew" in shown


# --- Sign out everywhere ----------------------------------------------------------------------


def test_signing_out_everywhere_ends_every_other_session_and_keeps_this() -> None:
    member = MemberFactory(web_id="Hanako1983")
    client, phone, computer = signed_in(member), signed_in(member), browser()
    with_web_id(computer, member)
    key = client.cookies["__Host-session"].value
    assert client.post(HERE)["Location"] == HERE
    assert said("You are signed out on every other device.", "en") in page(client)
    assert is_signed_in(client)
    assert client.cookies["__Host-session"].value != key
    assert not rows(key).exists()
    assert not is_signed_in(phone)
    assert not is_signed_in(computer)
    assert with_card(browser(), member).status_code == 302, "the secrets stay as they are"
    event = Event.objects.get(act=Event.Act.SIGNED_OUT_EVERYWHERE)
    assert (event.by, event.whom, event.source) == ("member", member.number, "203.0.113.7")


def test_somebody_elses_sessions_stay_open() -> None:
    other = signed_in(MemberFactory())
    signed_in(MemberFactory()).post(HERE)
    assert is_signed_in(other)


def test_page_says_how_many_other_sessions_are_open() -> None:
    member = MemberFactory()
    stale, client = signed_in(member), signed_in(member)
    signed_in(MemberFactory())
    assert "1 other device or browser" in page(client)
    # One that was idle for too long is none, and one that was signed out neither.
    long_ago = datetime.now(tz=UTC) - timedelta(minutes=16)
    rows(stale.cookies["__Host-session"].value).update(last_seen_at=long_ago)
    assert said("You are signed in only here.", "en") in page(client)
    others = [signed_in(member), signed_in(member)]
    assert "2 other devices or browsers" in page(client)
    others[0].post("/logout/")
    assert "1 other device or browser" in page(client)
    client.post(HERE)
    assert said("You are signed in only here.", "en") in page(client)


def test_session_is_not_carried_over_a_suspension_that_came_first() -> None:
    member = MemberFactory()
    client = signed_in(member)
    as_it_was = user_of(member)
    fail(member, 5)
    refusal = sign_ins.sign_out_everywhere(
        user=as_it_was, session=client.session, source="192.0.2.1"
    )
    assert refusal
    assert not is_signed_in(client)
    assert not Event.objects.filter(act=Event.Act.SIGNED_OUT_EVERYWHERE).exists()


def test_hidden_fields_and_other_methods_change_nothing() -> None:
    member = MemberFactory()
    client = signed_in(member)
    for path in (HERE, NOT_ME, DISOWNED):
        for method in ("put", "patch", "delete"):
            assert getattr(client, method)(path).status_code == 405
    assert is_signed_in(client)
