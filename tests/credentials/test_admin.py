"""The staff's side: who may see and do what, and that all of it is on record."""

from __future__ import annotations

import re
from base64 import b32decode
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.mail import EmailMessage
from django.db.models.functions import Now

from credentials import mail, suspension
from credentials.models import Event, OutboxMail, PinReset
from members.masking import masked_number
from members.models import Card, Member, User
from tests.clock import time_passes
from tests.conftest import Browser
from tests.factories import PASSWORD, PIN, MemberFactory, StaffFactory, app_code
from tests.pages import as_staff, browser, fail, is_signed_in, user_of, verify, with_card

pytestmark = pytest.mark.django_db

Deliver = Callable[[], list[EmailMessage]]
MEMBERS = "/admin/members/member/"
STAFF = "/admin/members/user/"
EVENTS = "/admin/credentials/event/"
OUTBOX = "/admin/credentials/outboxmail/"


def in_role(role: str | None) -> Browser:
    return as_staff(StaffFactory(role=role))


# --- Who may open what: of the roles, in test_permissions.py -----------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        MEMBERS,
        f"{MEMBERS}1/change/",
        f"{MEMBERS}1/reinstate/",
        f"{MEMBERS}1/pin-reset/",
        f"{MEMBERS}1/verify/",
        f"{MEMBERS}1/verify-in-person/",
        f"{MEMBERS}1/tell/",
        f"{MEMBERS}1/close/",
        f"{MEMBERS}suspended/",
        "/admin/overview/",
        EVENTS,
        OUTBOX,
        STAFF,
        "/admin/password_change/",
        "/admin/jsi18n/",
    ],
)
def test_strangers_and_members_are_sent_to_the_sign_in_of_staff(path: str) -> None:
    member = browser()
    with_card(member, MemberFactory())
    for client in (browser(), member):
        for answer in (client.get(path), client.post(path, {"reason": "x", "place": "x"})):
            assert answer.status_code == 302
            assert answer["Location"].startswith("/admin/login/?next=")
    answer = member.get("/admin/login/", {"next": path})
    assert answer.status_code == 200, "a page to sign in on, not a loop"


def test_member_stays_out_of_the_admin_whatever_permissions_the_user_has() -> None:
    member, client = MemberFactory(), browser()
    user_of(member).groups.set(Group.objects.all())
    with_card(client, member)
    assert client.get(MEMBERS)["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("path", ["/", "/member-number/memo/"])
def test_staff_have_no_pages_of_members(path: str) -> None:
    answer = in_role("Store").get(path)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


# --- Signing in -------------------------------------------------------------------------------


def test_staff_sign_in_and_out_on_record() -> None:
    staff = StaffFactory(role="Store")
    client = as_staff(staff)
    client.post("/admin/logout/")
    assert not is_signed_in(client)
    name = f"staff:{staff.username}"
    assert list(Event.objects.order_by("pk").values_list("act", "by", "whom")) == [
        (Event.Act.PASSWORD_RIGHT, "visitor", name),
        (Event.Act.SIGNED_IN, name, name),
        (Event.Act.SIGNED_OUT, name, name),
    ]


def test_staff_are_suspended_after_five_failures_and_their_sessions_end() -> None:
    staff = StaffFactory(role="Store")
    open_already = as_staff(staff)
    answers = []
    for password in ["not the right one"] * 5 + [PASSWORD]:
        client = browser("en", "198.51.100.4")
        typed = {"username": staff.username, "password": password}
        answers.append(client.post("/admin/login/", typed))
        assert not is_signed_in(client)
    assert {answer.status_code for answer in answers} == {200}
    assert not is_signed_in(open_already)
    assert Event.objects.filter(act=Event.Act.SUSPENDED, whom=f"staff:{staff.username}").exists()
    assert not OutboxMail.objects.exists()
    time_passes(hours=25)
    as_staff(staff)


@pytest.mark.parametrize("case", ["unknown", "closed", "member of the same name", "suspended"])
def test_refusals_of_staff_are_all_alike(case: str) -> None:
    staff = StaffFactory(role="Store")
    name, password = staff.username, "not the right one"
    wrong = browser().post("/admin/login/", {"username": name, "password": password})
    if case == "unknown":
        name = "nobody"
    elif case == "closed":
        User.objects.filter(pk=staff.pk).update(is_active=False)
    elif case == "suspended":
        User.objects.filter(pk=staff.pk).update(suspended_at=Now())
    else:
        name = MemberFactory(web_id="Hanako1983").web_id.name
    answer = browser().post("/admin/login/", {"username": name, "password": PASSWORD})

    def shown(answer: Any, typed: str) -> str:
        page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", answer.content.decode())
        return page.replace(typed, "…")

    assert (answer.status_code, shown(answer, name)) == (200, shown(wrong, staff.username))


# --- Finding a member -------------------------------------------------------------------------


@pytest.fixture
def hanako() -> Member:
    for kana, born in (("ヤマダ タロウ", date(1983, 12, 31)), ("ヤマダ ハナコ", date(1990, 1, 2))):
        MemberFactory(name="別人", name_kana=kana, birth_date=born)
    member: Member = MemberFactory(
        name="山田 花子", name_kana="ヤマダ ハナコ", birth_date=date(1983, 12, 31)
    )
    return member


@pytest.mark.parametrize(
    "typed",
    [
        "{member.number}",
        "{member.number_grouped}",
        "{member.card.number}",
        "ヤマダ ハナコ 1983-12-31",
        "やまだ はなこ　1983年12月31日",
        "ﾔﾏﾀﾞ ﾊﾅｺ 19831231",
        "1983/12/31 ヤマダ　ハナ",
        "ヤマダ ハナコ １９８３．１２．３１",
    ],
)
def test_one_member_is_found_by_what_a_caller_can_say(hanako: Member, typed: str) -> None:
    page = in_role("Call centre").get(MEMBERS, {"q": typed.format(member=hanako)}).content.decode()
    assert page.count('class="field-kana_shown"') == 1
    assert f"{MEMBERS}{hanako.pk}/change/" in page
    assert masked_number(hanako.number) in page


@pytest.mark.parametrize(("typed", "found"), [("ヤマダ", 3), ("1983-12-31", 2), ("サトウ", 0)])
def test_several_members_are_found_by_half_of_it(hanako: Member, typed: str, found: int) -> None:
    page = in_role("Call centre").get(MEMBERS, {"q": typed}).content.decode()
    assert page.count('class="field-kana_shown"') == found


def test_searching_and_looking_are_on_record(hanako: Member) -> None:
    staff = StaffFactory(role="Call centre")
    client = as_staff(staff)
    client.get(MEMBERS, {"q": hanako.number})
    client.get(f"{MEMBERS}{hanako.pk}/change/")
    client.get(MEMBERS, {"q": "ヤマダ"})
    events = Event.objects.filter(by=f"staff:{staff.username}").exclude(act=Event.Act.SIGNED_IN)
    assert list(events.order_by("pk").values_list("act", "whom", "source")) == [
        (Event.Act.MEMBERS_SEARCHED, hanako.number, "203.0.113.7"),
        (Event.Act.MEMBER_SEEN, hanako.number, "203.0.113.7"),
        # Of three at once; which three stands in the details.
        (Event.Act.MEMBERS_SEARCHED, "", "203.0.113.7"),
    ]


def test_page_of_a_member_shows_neither_card_number_nor_pin(hanako: Member) -> None:
    staff = StaffFactory(role="Store")
    verify(hanako, staff)
    page = as_staff(staff).get(f"{MEMBERS}{hanako.pk}/change/").content.decode()
    assert hanako.name in page, "the page is open"
    assert masked_number(hanako.number) in page
    assert hanako.number not in page.replace(" ", "")
    assert hanako.card.last_four in page
    assert hanako.card.number not in page
    assert hanako.card.sealed_pin not in page
    assert PIN not in page


def test_page_of_a_member_says_how_the_account_stands() -> None:
    def state(member: Member) -> str:
        page = in_role("Store").get(f"{MEMBERS}{member.pk}/change/").content.decode()
        [shown] = re.findall(r"<dt>State</dt><dd>([^<]*)<", page)
        return str(shown)

    member = MemberFactory()
    assert state(member) == "active"
    fail(member, 5)
    assert re.fullmatch(r"suspended until .*\d.*", state(member))
    time_passes(hours=25)
    assert state(member) == "active"
    for _ in range(2):
        fail(member, 5)
        time_passes(hours=25)
    assert state(member) == "suspended until lifted in person"
    User.objects.filter(member=member).update(is_active=False)
    assert state(member) == "closed"


@pytest.mark.parametrize("role", ["Call centre", "Store"])
def test_member_is_read_only_for_staff(hanako: Member, role: str) -> None:
    staff = StaffFactory(role=role)
    client = as_staff(staff)
    path = f"{MEMBERS}{hanako.pk}/change/"
    for _ in range(2):
        page = client.get(path).content.decode().split('id="content-main"')[1].split("</main>")[0]
        assert not re.search(r"<(form|input|select|textarea|button)", page)
        verify(hanako, staff)
    typed = {"name": "改名", "number": "999999999", "email": "evil@example.com"}
    assert client.post(path, typed).status_code == 403
    assert Member.objects.get(pk=hanako.pk).name == "山田 花子"


# --- The record and the outbox ----------------------------------------------------------------


@pytest.mark.parametrize("superuser", [False, True])
def test_events_and_mails_cannot_be_changed_or_deleted(superuser: bool) -> None:
    mail.queue("pin_set", MemberFactory())
    staff = StaffFactory(role="Auditor", is_superuser=superuser)
    client = as_staff(staff)
    event, row = Event.objects.get(act=Event.Act.SIGNED_IN), OutboxMail.objects.get()
    as_it_was = Event.objects.values().get(pk=event.pk)
    for path, pk in ((EVENTS, event.pk), (OUTBOX, row.pk)):
        typed = {"by": "somebody else", "kind": "else", "outcome": "sent", "post": "yes"}
        assert client.post(f"{path}{pk}/change/", typed).status_code == 403
        assert client.post(f"{path}{pk}/delete/", typed).status_code == 403
        assert client.post(f"{path}add/", typed).status_code == 403
        many = {"action": "delete_selected", "_selected_action": [str(pk)], "post": "yes"}
        client.post(path, many)
    assert Event.objects.values().get(pk=event.pk) == as_it_was
    assert OutboxMail.objects.get().outcome == ""


def test_record_is_searched_by_member_and_by_staff() -> None:
    member, store = MemberFactory(), StaffFactory(role="Store")
    as_staff(store).get(f"{MEMBERS}{member.pk}/change/")
    client = in_role("Auditor")
    for asked, found in (
        ({"member": member.number}, 1),
        ({"staff": f"staff:{store.username}"}, 2),
        ({"member": member.number, "staff": store.username}, 1),
        ({"member": "987654321"}, 0),
    ):
        page = client.get(EVENTS, asked).content.decode()
        assert page.count('class="field-act"') == found, asked


def test_outbox_shows_the_mails_that_did_not_arrive() -> None:
    mail.queue("pin_set", MemberFactory())
    OutboxMail.objects.update(outcome="refused", last_error="recipient refused: [550]")
    page = in_role("Call centre").get(OUTBOX, {"outcome": "refused"}).content.decode()
    assert "recipient refused: [550]" in page


# --- Lifting a suspension ---------------------------------------------------------------------


def test_staff_lift_a_suspension_on_the_page(deliver: Deliver) -> None:
    member = MemberFactory()
    fail(member, 5)
    deliver()
    staff = StaffFactory(role="Call centre")
    client, path = as_staff(staff), f"{MEMBERS}{member.pk}/reinstate/"
    assert path not in client.get(f"{MEMBERS}{member.pk}/change/").content.decode()
    answer = client.post(path, {"reason": "Called back"})
    assert "Verify the member" in answer.content.decode()
    assert suspension.is_in_force(user_of(member))
    verify(member, staff)
    assert path in client.get(f"{MEMBERS}{member.pk}/change/").content.decode()
    answer = client.post(path, {"reason": "Called back"})
    assert answer["Location"] == f"{MEMBERS}{member.pk}/change/"
    assert "The suspension is lifted." in client.get(answer["Location"]).content.decode()
    assert with_card(browser(), member).status_code == 302
    assert len(deliver()) == 1


@pytest.mark.parametrize("reason", ["", "   "])
def test_page_for_lifting_takes_a_reason(reason: str) -> None:
    member = MemberFactory()
    fail(member, 5)
    path = f"{MEMBERS}{member.pk}/reinstate/"
    staff = StaffFactory(role="Store")
    verify(member, staff)
    answer = as_staff(staff).post(path, {"reason": reason})
    assert answer.status_code == 200
    page = answer.content.decode()
    assert 'aria-invalid="true"' in page
    assert "State the reason." in page
    assert suspension.is_in_force(user_of(member))


def test_one_that_ends_in_person_only_is_refused_to_the_call_centre_on_record() -> None:
    member = MemberFactory()
    for _ in range(3):
        fail(member, 5)
        time_passes(hours=25)
    staff = StaffFactory(role="Call centre")
    client = as_staff(staff)
    verify(member, staff)
    path = f"{MEMBERS}{member.pk}/reinstate/"
    assert path not in client.get(f"{MEMBERS}{member.pk}/change/").content.decode()
    for answer in (client.get(path), client.post(path, {"reason": "By phone"})):
        assert answer.status_code == 403
    assert Event.objects.filter(act=Event.Act.ACCESS_REFUSED, whom=member.number).count() == 2
    assert suspension.is_in_force(user_of(member))
    store = StaffFactory(role="Store")
    answer = as_staff(store).post(path, {"reason": "Came in"})
    assert "lifted only in person, with an identity document" in answer.content.decode()
    assert suspension.is_in_force(user_of(member))
    verify(member, store)
    assert as_staff(store).post(path, {"reason": "Came in"}).status_code == 302
    assert not suspension.is_in_force(user_of(member))


def test_lifting_what_is_not_suspended_says_so() -> None:
    member, staff = MemberFactory(), StaffFactory(role="Store")
    verify(member, staff)
    path = f"{MEMBERS}{member.pk}/reinstate/"
    answer = as_staff(staff).post(path, {"reason": "By mistake"})
    assert "This suspension is no longer in force." in answer.content.decode()
    assert not Event.objects.filter(act=Event.Act.REINSTATED).exists()


# --- Starting a PIN re-set --------------------------------------------------------------------


def ticket_on(answer: Any) -> str:
    [shown] = re.findall(r'id="ticket"[^>]*>([\d ]+)<', answer.content.decode())
    return str(shown).replace(" ", "")


def test_ticket_is_on_the_page_once_and_works() -> None:
    member = MemberFactory()
    client = in_role("Store")
    path = f"{MEMBERS}{member.pk}/pin-reset/"
    answer = client.post(path, {"document": "passport", "place": "Ueno"})
    ticket = ticket_on(answer)
    assert answer["Cache-Control"] == "no-store"
    for again in (path, f"{MEMBERS}{member.pk}/change/", f"{MEMBERS}{member.pk}/history/"):
        page = client.get(again).content.decode()
        assert ticket not in page.replace(" ", "")
        assert 'id="ticket"' not in page
    typed = {"card_number": member.card.number, "ticket": ticket, "pin1": "9642", "pin2": "9642"}
    assert browser().post("/pin/", typed).status_code == 302


def test_sending_the_form_again_gives_another_ticket_and_ends_the_first() -> None:
    member = MemberFactory()
    client = in_role("Store")
    path, form = f"{MEMBERS}{member.pk}/pin-reset/", {"document": "passport", "place": "Ueno"}
    first, second = (ticket_on(client.post(path, form)) for _ in range(2))
    typed = {"card_number": member.card.number, "pin1": "9642", "pin2": "9642"}
    assert browser().post("/pin/", typed | {"ticket": first}).status_code == 200
    assert browser().post("/pin/", typed | {"ticket": second}).status_code == 302


@pytest.mark.parametrize(
    "form",
    [
        {"document": "", "place": "Ueno"},
        {"document": "library card", "place": "Ueno"},
        {"document": "passport", "place": " "},
        {"document": "passport", "place": "x" * 101},
    ],
)
def test_page_for_a_pin_reset_takes_document_and_place(form: dict[str, str]) -> None:
    member = MemberFactory()
    answer = in_role("Store").post(f"{MEMBERS}{member.pk}/pin-reset/", form)
    assert answer.status_code == 200
    assert 'id="ticket"' not in answer.content.decode()
    assert not PinReset.objects.exists()
    assert Card.objects.get(member=member).has_pin


@pytest.mark.parametrize("role", ["Call centre", "Auditor", "Administrator"])
def test_pin_reset_by_another_role_is_a_403_and_the_pin_stays(role: str) -> None:
    member = MemberFactory()
    form = {"document": "passport", "place": "Ueno"}
    answer = in_role(role).post(f"{MEMBERS}{member.pk}/pin-reset/", form)
    assert answer.status_code == 403
    assert with_card(browser(), member).status_code == 302


def test_refused_pin_reset_of_the_call_centre_is_on_record() -> None:
    member = MemberFactory()
    path = f"{MEMBERS}{member.pk}/pin-reset/"
    in_role("Call centre").get(path)
    event = Event.objects.get(act=Event.Act.ACCESS_REFUSED)
    how = {"wanted": "members.start_pin_reset", "path": path, "method": "GET"}
    assert (event.whom, event.details) == (member.number, how)


# --- Members of staff -------------------------------------------------------------------------


def test_administrator_adds_staff_who_can_sign_in_and_do_their_part() -> None:
    client = in_role("Administrator")
    password = "a long password of the new one"
    typed = {"username": "newcomer", "password1": password, "password2": password}
    typed |= {"usable_password": "true", "reason": "New at the branch"}
    answer = client.post(f"{STAFF}add/", typed)
    newcomer = User.objects.get(username="newcomer")
    assert answer["Location"] == f"{STAFF}{newcomer.pk}/change/"
    role = Group.objects.get(name="Store")
    changed = {"is_active": "on", "groups": [str(role.pk)], "reason": "New at the branch"}
    assert client.post(answer["Location"], changed).status_code == 302
    own = browser()
    own.post("/admin/login/", {"username": "newcomer", "password": password})
    assert own.get(MEMBERS).status_code == 302, "the second factor is still to come"
    page = own.get("/admin/second-factor/enrol/").content.decode()
    [letters] = re.findall(r'id="second-factor-secret">([A-Z2-7 ]+)<', page)
    code = app_code(secret=b32decode(letters.replace(" ", "")))
    own.post("/admin/second-factor/enrol/", {"code": code})
    chosen = "a long password of their own"
    typed = {"old_password": password, "new_password1": chosen, "new_password2": chosen}
    assert own.post("/admin/password_change/", typed).status_code == 302
    assert own.get(MEMBERS).status_code == 200
    assert own.get(STAFF).status_code == 403


def test_closing_a_member_of_staff_ends_their_session() -> None:
    staff = StaffFactory(role="Store")
    theirs = as_staff(staff)
    changed = {"groups": [], "reason": "Left the company"}
    assert in_role("Administrator").post(f"{STAFF}{staff.pk}/change/", changed).status_code == 302
    assert not is_signed_in(theirs)


def test_new_password_of_staff_ends_their_session() -> None:
    staff = StaffFactory(role="Store")
    theirs = as_staff(staff)
    password = "another long password of theirs"
    typed = {"usable_password": "true", "password1": password, "password2": password}
    typed["reason"] = "Forgot it, came to my desk"
    path = f"{STAFF}{staff.pk}/password/"
    assert in_role("Administrator").post(path, typed).status_code == 302
    assert not is_signed_in(theirs)


@pytest.mark.parametrize("page", ["change", "password"])
def test_administrator_cannot_take_over_a_superuser_or_a_member(page: str) -> None:
    superuser, member = StaffFactory(is_superuser=True), MemberFactory(web_id="Hanako1983")
    client = in_role("Administrator")
    password = "another long password of theirs"
    typed = {
        "username": "taken",
        "reason": "x",
        "usable_password": "true",
        "password1": password,
        "password2": password,
    }
    for user in (superuser, user_of(member)):
        path = f"{STAFF}{user.pk}/{page}/"
        for answer in (client.get(path), client.post(path, typed)):
            assert answer.status_code in {302, 403, 404}
        assert User.objects.get(pk=user.pk).password == user.password


def test_administrator_cannot_make_a_superuser() -> None:
    staff = StaffFactory()
    typed = {"username": staff.username, "is_active": "on", "is_superuser": "on", "is_staff": "on"}
    typed["reason"] = "x"
    in_role("Administrator").post(f"{STAFF}{staff.pk}/change/", typed)
    assert not User.objects.get(pk=staff.pk).is_superuser


def test_no_part_of_a_hash_is_shown() -> None:
    staff = StaffFactory()
    page = in_role("Administrator").get(f"{STAFF}{staff.pk}/change/").content.decode()
    digest = User.objects.get(pk=staff.pk).password.rsplit("$", 1)[1]
    assert digest[:6] not in page


@pytest.mark.parametrize(
    ("password", "accepted"),
    [("too short", False), ("{name} and more words", False), ("four words in a row", True)],
)
def test_staff_choose_their_own_password_within_the_rules(password: str, accepted: bool) -> None:
    staff = StaffFactory(role="Store", username="tanaka-store")
    password = password.format(name=staff.username)
    client = as_staff(staff)
    typed = {"old_password": PASSWORD, "new_password1": password, "new_password2": password}
    answer = client.post("/admin/password_change/", typed)
    assert answer.status_code == (302 if accepted else 200)
    assert is_signed_in(client)
    assert User.objects.get(pk=staff.pk).check_password(password) == accepted
