"""Web-ID registration: ask, read the mail, type the code, choose. No step can be left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core.mail import EmailMessage
from django.db.models import F
from django.test.utils import override_settings

from credentials.models import Event, OutboxMail, RegistrationRequest, Session
from credentials.registration import forget_old_requests
from members.models import Member, User, WebID
from members.numbers import grouped
from tests.clock import time_passes
from tests.conftest import Browser
from tests.factories import PASSWORD, PIN, MemberFactory, with_check_digit
from tests.pages import (
    LANGUAGES,
    browser,
    code_in,
    fail,
    is_signed_in,
    page_of,
    said,
    user_of,
    with_card,
    with_web_id,
)
from tests.stories.paused import Paused, pausing

pytestmark = pytest.mark.django_db

Deliver = Callable[[], list[EmailMessage]]
ASK, CODE, CHOOSE, DONE = (
    "/web-id/register/",
    "/web-id/register/code/",
    "/web-id/register/choose/",
    "/web-id/register/done/",
)
CHOICE = {"web_id": "Hanako1983", "password1": PASSWORD, "password2": PASSWORD}
WRONG_CODE = (
    "This code is not right, or it has expired or been used. Check it against the newest "
    "mail, or have a new code sent. A new code does not bring new tries."
)


def ask(client: Browser, member: Member, **more: str) -> Any:
    return client.post(ASK, {"member_number": member.number, "email": member.email} | more)


def asked(client: Browser, member: Member, deliver: Deliver) -> str:
    """Ask, and return the code that was mailed."""
    ask(client, member)
    [mail] = deliver()
    return code_in(mail)


def confirmed(client: Browser, member: Member, deliver: Deliver) -> str:
    """Ask, type the code, and return it."""
    code = asked(client, member, deliver)
    answer = client.post(CODE, {"code": code})
    assert (answer.status_code, answer["Location"]) == (302, CHOOSE)
    return code


def another(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


# --- The way through --------------------------------------------------------------------------


def test_registration_goes_through_and_the_web_id_signs_in(
    client: Browser, deliver: Deliver
) -> None:
    member = MemberFactory()
    confirmed(client, member, deliver)
    assert client.get(CHOOSE).status_code == 200
    answer = client.post(CHOOSE, CHOICE)
    assert (answer.status_code, answer["Location"]) == (302, DONE)
    assert "Hanako1983" in client.get(DONE).content.decode()
    assert not is_signed_in(client), "registering signs nobody in"
    member.refresh_from_db()
    assert with_web_id(browser(), member).status_code == 302
    assert with_card(browser(), member).status_code == 302, "the card goes on working"


def test_notice_goes_to_the_registered_address(client: Browser, deliver: Deliver) -> None:
    member = MemberFactory()
    confirmed(client, member, deliver)
    client.post(CHOOSE, CHOICE)
    [notice] = deliver()
    assert notice.to == [member.email]
    assert "Hanako1983" not in notice.body


def test_every_step_is_on_record(client: Browser, deliver: Deliver) -> None:
    member = MemberFactory()
    code = asked(client, member, deliver)
    client.post(CODE, {"code": another(code)})
    client.post(CODE, {"code": code})
    client.post(CHOOSE, CHOICE)
    acts = list(Event.objects.filter(whom=member.number).order_by("pk").values_list("act", "by"))
    assert acts == [
        (Event.Act.CODE_SENT, "system"),
        (Event.Act.CODE_FAILED, "visitor"),
        (Event.Act.CODE_CONFIRMED, "visitor"),
        (Event.Act.WEB_ID_REGISTERED, "member"),
    ]


def test_registering_ends_the_sessions_that_were_open(client: Browser, deliver: Deliver) -> None:
    member = MemberFactory()
    phone = browser()
    with_card(phone, member)
    confirmed(client, member, deliver)
    client.post(CHOOSE, CHOICE)
    assert not is_signed_in(phone)


def test_member_may_register_while_signed_in_with_the_card(
    client: Browser, deliver: Deliver
) -> None:
    member = MemberFactory()
    with_card(client, member)
    confirmed(client, member, deliver)
    assert client.post(CHOOSE, CHOICE)["Location"] == DONE


@pytest.mark.parametrize("pin", [PIN, ""])
def test_member_without_a_pin_registers_like_any_other(
    client: Browser, deliver: Deliver, pin: str
) -> None:
    member = MemberFactory(pin=pin)
    confirmed(client, member, deliver)
    assert client.post(CHOOSE, CHOICE)["Location"] == DONE


# --- Step 1: the same answer for everyone -----------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_whoever_asks_gets_the_same_answer(language: str) -> None:
    member, closed, suspended = MemberFactory(), MemberFactory(), MemberFactory()
    registered = MemberFactory(web_id="Hanako1983")
    User.objects.filter(member=closed).update(is_active=False)
    fail(suspended, 5)
    cases = [
        (member.number, member.email),
        (member.number, "somebody@example.com"),
        ("987654321", member.email),
        (closed.number, closed.email),
        (suspended.number, suspended.email),
        (registered.number, registered.email),
    ]
    seen = []
    for number, email in cases:
        client = browser(language)
        answer = client.post(ASK, {"member_number": number, "email": email})
        cookies = {name: len(morsel.value) for name, morsel in answer.cookies.items()}
        headers = {name: value for name, value in answer.headers.items() if name != "Expires"}
        page = page_of(client.get(CODE), number, grouped(number, 3), email)
        seen.append((answer.status_code, answer.content, headers, cookies, page))
    assert seen[0][0] == 302
    assert seen[0][2]["Location"] == CODE
    assert all(case == seen[0] for case in seen)


def test_code_page_shows_what_was_typed_and_nothing_that_we_hold(client: Browser) -> None:
    member = MemberFactory(email="Hanako@Example.com")
    ask(client, member, email="hanako@example.com")
    page = client.get(CODE).content.decode()
    for held in ("Hanako@Example.com", member.name, member.phone):
        assert held not in page


def test_code_is_mailed_only_where_number_and_address_match(deliver: Deliver) -> None:
    one, other = MemberFactory(), MemberFactory()
    ask(browser(), one, email=other.email)
    ask(browser(), one, email="somebody@example.com")
    ask(browser(), one, member_number="987654321")
    assert deliver() == []
    assert not Event.objects.filter(act=Event.Act.CODE_SENT).exists()
    ask(browser(), one)
    [mail] = deliver()
    assert mail.to == [one.email]


@pytest.mark.parametrize(
    "typed",
    ["HANAKO@EXAMPLE.COM", " hanako@example.com　", "ｈａｎａｋｏ＠ｅｘａｍｐｌｅ．ｃｏｍ"],
    ids=["upper case", "spaces", "full-width"],
)
def test_address_is_compared_without_regard_to_case_and_width(
    client: Browser, deliver: Deliver, typed: str
) -> None:
    member = MemberFactory(email="Hanako@Example.com")
    ask(client, member, email=typed)
    [mail] = deliver()
    assert mail.to == ["Hanako@Example.com"], "the mail goes to the address as it is registered"


def test_member_number_is_accepted_as_people_type_it(client: Browser, deliver: Deliver) -> None:
    member = MemberFactory()
    number = member.number.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    ask(client, member, member_number=f"{number[:3]} {number[3:6]}－{number[6:]}")
    assert len(deliver()) == 1


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"member_number": ""}, "Type your member number."),
        ({"member_number": "12345678"}, "A member number has nine digits."),
        (
            {"member_number": with_check_digit("499000000000000")},
            "That looks like a card number. The member number has nine digits; "
            "you find it on the top page after signing in with the card.",
        ),
        ({"email": ""}, "Type your registered email address."),
        ({"email": "hanako"}, "Type an email address like name@example.com."),
        ({"email": "ﬃ" * 90 + "@example.com"}, "Type an email address like name@example.com."),
    ],
)
def test_what_is_malformed_is_told_and_nothing_is_noted(
    language: str, change: dict[str, str], message: str
) -> None:
    answer = ask(browser(language), MemberFactory(), **change)
    assert answer.status_code == 200
    assert said(message, language) in answer.content.decode()
    assert not RegistrationRequest.objects.exists()
    assert not OutboxMail.objects.exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_mail_is_in_the_language_of_the_page(language: str, deliver: Deliver) -> None:
    member = MemberFactory()
    ask(browser(language), member)
    [mail] = deliver()
    assert mail.subject == said("Your code for the Web-ID registration", language)


# --- Who cannot register ----------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_member_with_a_web_id_gets_another_mail_without_a_code(
    language: str, deliver: Deliver
) -> None:
    member = MemberFactory(web_id="Hanako1983")
    ask(browser(language), member)
    [mail] = deliver()
    assert mail.subject == said("You already have a Web-ID", language)
    assert "Hanako1983" not in mail.body
    assert not RegistrationRequest.objects.get().code_digest


@pytest.mark.parametrize("language", LANGUAGES)
def test_suspended_member_gets_another_mail_without_a_code(language: str, deliver: Deliver) -> None:
    member = MemberFactory()
    fail(member, 5)
    deliver()
    ask(browser(language), member)
    [mail] = deliver()
    assert mail.subject == said("A Web-ID cannot be registered just now", language)
    assert not RegistrationRequest.objects.get().code_digest


def test_suspension_that_has_passed_does_not_stand_in_the_way(
    client: Browser, deliver: Deliver
) -> None:
    member = MemberFactory()
    fail(member, 5)
    deliver()
    time_passes(hours=25)
    confirmed(client, member, deliver)
    assert client.post(CHOOSE, CHOICE)["Location"] == DONE


def test_closed_member_gets_no_mail(client: Browser, deliver: Deliver) -> None:
    member = MemberFactory()
    User.objects.filter(member=member).update(is_active=False)
    ask(client, member)
    assert deliver() == []


def test_registering_lifts_no_suspension_and_resets_no_count(
    client: Browser, deliver: Deliver
) -> None:
    member = MemberFactory()
    fail(member, 4)
    confirmed(client, member, deliver)
    client.post(CHOOSE, CHOICE)
    assert user_of(member).failures == 4


@pytest.mark.parametrize("when", ["before the code", "before choosing"])
@pytest.mark.parametrize("what", ["suspended", "closed", "epoch", "web_id"])
def test_change_in_the_middle_refuses(
    client: Browser, deliver: Deliver, when: str, what: str
) -> None:
    member = MemberFactory()
    code = asked(client, member, deliver)
    if when == "before choosing":
        client.post(CODE, {"code": code})
        assert client.get(CHOOSE).status_code == 200
    if what == "suspended":
        fail(member, 5)
    elif what == "closed":
        User.objects.filter(member=member).update(is_active=False)
    elif what == "epoch":
        User.objects.filter(member=member).update(epoch=F("epoch") + 1)
    else:
        WebID.objects.create(member=member, name="another1234")
        # One without a password that works may be registered anew (test_sign_ins.py).
        User.objects.filter(member=member).update(password=make_password(PASSWORD))
    if when == "before the code":
        client.post(CODE, {"code": code})
    assert client.get(CHOOSE)["Location"] == ASK
    assert client.post(CHOOSE, CHOICE)["Location"] == ASK
    assert not WebID.objects.filter(name="Hanako1983").exists()


# --- Step 2: the code -------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_wrong_code_is_refused_with_what_to_do_next(language: str, deliver: Deliver) -> None:
    client = browser(language)
    code = asked(client, MemberFactory(), deliver)
    answer = client.post(CODE, {"code": another(code)})
    assert answer.status_code == 200
    assert said(WRONG_CODE, language) in answer.content.decode()
    assert client.get(CHOOSE)["Location"] == ASK


def test_wrong_code_is_refused_alike_with_and_without_a_member(deliver: Deliver) -> None:
    pages = []
    for number in (MemberFactory().number, "987654321"):
        client = browser()
        member = Member.objects.first()
        assert member
        ask(client, member, member_number=number)
        deliver()
        typed = (number, grouped(number, 3), member.email)
        answers = [client.post(CODE, {"code": "000000"}) for _ in range(7)]
        pages.append([page_of(answer, *typed) for answer in answers])
    assert pages[0] == pages[1]


def test_code_is_accepted_as_people_type_it(client: Browser, deliver: Deliver) -> None:
    code = asked(client, MemberFactory(), deliver)
    wide = code.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    assert client.post(CODE, {"code": f" {wide[:3]} {wide[3:]} "})["Location"] == CHOOSE


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", "Type the code from the mail."),
        ("12345", "The code has six digits."),
        ("abcdef", "The code has six digits."),
    ],
)
def test_malformed_code_is_told_and_not_counted(language: str, code: str, message: str) -> None:
    client = browser(language)
    ask(client, MemberFactory())
    answer = client.post(CODE, {"code": code})
    assert said(message, language) in answer.content.decode()
    assert RegistrationRequest.objects.get().attempts == 0


def test_code_works_in_the_browser_that_asked_only(client: Browser, deliver: Deliver) -> None:
    member, thief = MemberFactory(), browser(address="198.51.100.9")
    code = asked(client, member, deliver)
    assert thief.post(CODE, {"code": code})["Location"] == ASK
    ask(thief, MemberFactory())
    assert thief.post(CODE, {"code": code}).status_code == 200
    assert thief.get(CHOOSE)["Location"] == ASK
    assert client.post(CODE, {"code": code})["Location"] == CHOOSE


def test_code_expires(client: Browser, deliver: Deliver) -> None:
    code = asked(client, MemberFactory(), deliver)
    time_passes(seconds=601)
    assert client.post(CODE, {"code": code}).status_code == 200
    assert client.get(CHOOSE)["Location"] == ASK


def test_life_of_a_code_begins_when_it_leaves(client: Browser, deliver: Deliver) -> None:
    member = MemberFactory()
    ask(client, member)
    time_passes(minutes=14)
    [mail] = deliver()
    assert client.post(CODE, {"code": code_in(mail)})["Location"] == CHOOSE


def test_code_works_once(client: Browser, deliver: Deliver) -> None:
    code = confirmed(client, MemberFactory(), deliver)
    assert client.post(CODE, {"code": code}).status_code == 200


def test_code_is_stored_nowhere_in_clear(client: Browser, deliver: Deliver) -> None:
    code = asked(client, MemberFactory(), deliver)
    rows = [*RegistrationRequest.objects.values(), *OutboxMail.objects.values()]
    rows += [*Session.objects.values("data"), *Event.objects.values("details")]
    assert code not in str([{k: v for k, v in row.items() if "digest" not in k} for row in rows])


def test_asking_anew_replaces_the_code(client: Browser, deliver: Deliver) -> None:
    member = MemberFactory()
    old = asked(client, member, deliver)
    new = asked(client, member, deliver)
    if old != new:
        assert client.post(CODE, {"code": old}).status_code == 200
    assert client.post(CODE, {"code": new})["Location"] == CHOOSE


def test_resending_from_the_code_page_mails_a_new_code(client: Browser, deliver: Deliver) -> None:
    old = asked(client, MemberFactory(), deliver)
    answer = client.post(CODE, {"resend": "1"})
    assert (answer.status_code, answer["Location"]) == (302, CODE)
    [mail] = deliver()
    assert client.post(CODE, {"code": old}).status_code == 200 or old == code_in(mail)
    assert client.post(CODE, {"code": code_in(mail)})["Location"] == CHOOSE


def test_asking_anew_elsewhere_ends_the_registration_here(
    client: Browser, deliver: Deliver
) -> None:
    member, elsewhere = MemberFactory(), browser()
    old = asked(client, member, deliver)
    new = asked(elsewhere, member, deliver)
    assert client.post(CODE, {"code": old}).status_code == 200
    assert client.post(CODE, {"code": new}).status_code == 200
    assert client.get(CHOOSE)["Location"] == ASK


def test_after_five_wrong_codes_the_right_one_is_refused_too(
    client: Browser, deliver: Deliver
) -> None:
    code = asked(client, MemberFactory(), deliver)
    for _ in range(5):
        client.post(CODE, {"code": another(code)})
    assert client.post(CODE, {"code": code}).status_code == 200
    assert client.get(CHOOSE)["Location"] == ASK


def test_every_code_that_is_refused_is_on_record(client: Browser, deliver: Deliver) -> None:
    member, elsewhere = MemberFactory(), browser()
    code = asked(client, member, deliver)
    for _ in range(7):
        client.post(CODE, {"code": another(code)})
    # Also beyond the last try that is judged, and in a browser that somebody else's asking ended.
    asked(elsewhere, member, deliver)
    client.post(CODE, {"code": code})
    assert Event.objects.filter(act=Event.Act.CODE_FAILED).count() == 8


def test_browser_whose_asking_was_replaced_registers_nothing_with_another_one_s_code(
    client: Browser, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the other one asks, and is confirmed, while this one's password is hashed."""
    member, elsewhere = MemberFactory(), browser()
    confirmed(client, member, deliver)
    chosen = {"web_id": "Hanako1983", "password1": PASSWORD, "password2": PASSWORD}
    with pausing(monkeypatch):
        choosing = Paused(lambda: client.post(CHOOSE, chosen))
        confirmed(elsewhere, member, deliver)
        assert choosing.go_on().status_code == 200
    assert not WebID.objects.exists()


@pytest.mark.parametrize("where", ["same browser", "another browser"])
def test_new_code_does_not_bring_new_tries(deliver: Deliver, where: str) -> None:
    member, client = MemberFactory(), browser()
    code = asked(client, member, deliver)
    for _ in range(3):
        client.post(CODE, {"code": another(code)})
    if where == "another browser":
        client = browser(address="198.51.100.9")
    code = asked(client, member, deliver)
    for _ in range(2):
        client.post(CODE, {"code": another(code)})
    assert client.post(CODE, {"code": code}).status_code == 200
    time_passes(hours=1, seconds=1)
    code = asked(client, member, deliver)
    assert client.post(CODE, {"code": code})["Location"] == CHOOSE


def test_no_more_than_five_mails_an_hour_go_to_one_address(deliver: Deliver) -> None:
    member = MemberFactory()
    mails = []
    for turn in range(8):
        ask(browser(address=f"198.51.100.{turn}"), member)
        mails += deliver()
    assert len(mails) == 5
    time_passes(hours=1, seconds=1)
    ask(browser(), member)
    assert len(deliver()) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_asking_too_often_from_one_source_is_throttled(language: str) -> None:
    client = browser(language)
    with override_settings(SOURCE_FAILURE_LIMIT="2/hour"):
        answers = [ask(client, MemberFactory()) for _ in range(3)]
        resent = client.post(CODE, {"resend": "1"})
    assert [answer.status_code for answer in answers] == [302, 302, 429]
    assert resent.status_code == 429
    for answer in (answers[-1], resent):
        assert 0 < int(answer["Retry-After"]) <= 3600
    assert OutboxMail.objects.count() == 2


# --- Steps cannot be skipped or replayed ------------------------------------------------------


@pytest.mark.parametrize("path", [CODE, CHOOSE])
def test_later_steps_send_back_who_has_not_begun(client: Browser, path: str) -> None:
    typed = CHOICE | {"code": "123456", "resend": "1"}
    for answer in (client.get(path), client.post(path, typed)):
        assert (answer.status_code, answer["Location"]) == (302, ASK)
    assert not OutboxMail.objects.exists()


def test_choosing_takes_a_confirmed_code(client: Browser, deliver: Deliver) -> None:
    asked(client, MemberFactory(), deliver)
    assert client.post(CHOOSE, CHOICE)["Location"] == ASK
    assert not WebID.objects.exists()


def test_confirmation_expires_too(client: Browser, deliver: Deliver) -> None:
    confirmed(client, MemberFactory(), deliver)
    time_passes(seconds=601)
    assert client.post(CHOOSE, CHOICE)["Location"] == ASK


def test_choice_cannot_be_replayed(client: Browser, deliver: Deliver) -> None:
    member = MemberFactory()
    confirmed(client, member, deliver)
    cookie = client.cookies["__Host-session"].value
    client.post(CHOOSE, CHOICE)
    client.cookies["__Host-session"] = cookie
    again = client.post(CHOOSE, CHOICE | {"web_id": "Another1983"})
    assert (again.status_code, again["Location"]) == (302, ASK)
    assert [web_id.name for web_id in WebID.objects.all()] == ["Hanako1983"]


def test_asking_anew_after_confirming_takes_a_new_code(client: Browser, deliver: Deliver) -> None:
    member = MemberFactory()
    confirmed(client, member, deliver)
    ask(client, member)
    assert client.post(CHOOSE, CHOICE)["Location"] == ASK


def test_confirmed_code_of_one_member_is_no_good_for_another(
    client: Browser, deliver: Deliver
) -> None:
    one, other = MemberFactory(), MemberFactory()
    confirmed(client, one, deliver)
    ask(client, other)
    assert client.post(CHOOSE, CHOICE)["Location"] == ASK


def test_done_page_tells_strangers_nothing(client: Browser) -> None:
    MemberFactory(web_id="Hanako1983")
    answer = client.get(DONE)
    assert "Hanako1983" not in answer.content.decode()


# --- Step 3: Web-ID and password --------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("taken", ["hanako1983", "HANAKO1983", "Hanako1983"])
def test_web_id_taken_in_any_case_is_refused_and_another_may_be_chosen(
    language: str, taken: str, deliver: Deliver
) -> None:
    MemberFactory(web_id=taken)
    client, member = browser(language), MemberFactory()
    confirmed(client, member, deliver)
    page = client.post(CHOOSE, CHOICE).content.decode()
    assert said("Somebody else has this Web-ID. Choose another one.", language) in page
    assert client.post(CHOOSE, CHOICE | {"web_id": "Another1983"})["Location"] == DONE


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "web_id",
    [
        "abc1234",
        "a1" * 17,
        "abcdefgh",
        "12345678",
        "123456789",
        "abc_12345",
        "abc 12345",
        "hanako@example.com",
        "花子花子花子12",
        "abc\x00defg1",
    ],
)
def test_web_id_that_breaks_the_rules_is_refused(
    language: str, web_id: str, deliver: Deliver
) -> None:
    client = browser(language)
    confirmed(client, MemberFactory(), deliver)
    answer = client.post(CHOOSE, CHOICE | {"web_id": web_id})
    assert answer.status_code == 200
    if "\x00" not in web_id:
        message = "A Web-ID has 8 to 32 half-width letters and digits, at least one of each."
        assert said(message, language) in answer.content.decode()
    assert not WebID.objects.exists()


@pytest.mark.parametrize("web_id", ["abcdefg1", "1234567a", "a1" * 16, "ＡＢＣＤ１２３４"])
def test_web_id_within_the_rules_is_accepted(
    client: Browser, deliver: Deliver, web_id: str
) -> None:
    confirmed(client, MemberFactory(), deliver)
    assert client.post(CHOOSE, CHOICE | {"web_id": web_id})["Location"] == DONE


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("elevenchars", None),
        ("q" * 6 + "w" * 123, None),
        ("password1234", None),
        ("my web id is hanako1983", "Web-ID"),
        ("and 100000000 it is", "member number"),
        ("call 09012345678 now", "phone number"),
        ("born on 19831231 yes", "birth date"),
        ("it is canary.mail ok", "email address"),
    ],
    ids=["short", "long", "common", "Web-ID", "member number", "phone", "birth date", "address"],
)
def test_weak_password_is_refused_with_the_reason(
    language: str, password: str, reason: str | None, deliver: Deliver
) -> None:
    client = browser(language)
    member = MemberFactory(number="100000000", email="canary.mail@example.com")
    confirmed(client, member, deliver)
    answer = client.post(CHOOSE, CHOICE | {"password1": password, "password2": password})
    assert answer.status_code == 200
    page = answer.content.decode()
    assert page_of(answer).count("errorlist") >= 1
    if reason:
        kind = said(reason, language) if reason != "Web-ID" else "Web-ID"
        assert kind in page.split("errorlist")[1]
    assert password not in page
    assert not WebID.objects.exists()


def test_reasons_of_length_say_how_long(client: Browser, deliver: Deliver) -> None:
    confirmed(client, MemberFactory(), deliver)
    for password, length in (("elevenchars", "12"), ("q" * 6 + "w" * 123, "128")):
        typed = CHOICE | {"password1": password, "password2": password}
        assert length in client.post(CHOOSE, typed).content.decode().split("errorlist")[1][:200]


@pytest.mark.parametrize(
    "password",
    ["aaaa bbbb cc", "正しい馬の電池の止め金です", "x" * 64 + "yz" * 32, "  spaces kept  "],
)
def test_password_within_the_rules_is_accepted_and_signs_in(
    client: Browser, deliver: Deliver, password: str
) -> None:
    member = MemberFactory()
    confirmed(client, member, deliver)
    typed = CHOICE | {"password1": password, "password2": password}
    assert client.post(CHOOSE, typed)["Location"] == DONE
    member.refresh_from_db()
    assert with_web_id(browser(), member, password).status_code == 302
    assert with_web_id(browser(), member, password + "x").status_code == 200


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password2": "another password"}, "The two passwords differ."),
        ({"password1": ""}, "Choose a password."),
        ({"password2": ""}, "Type the password again."),
        ({"web_id": ""}, "Choose a Web-ID."),
    ],
)
def test_what_is_missing_or_differs_is_told(
    language: str, change: dict[str, str], message: str, deliver: Deliver
) -> None:
    client = browser(language)
    confirmed(client, MemberFactory(), deliver)
    page = client.post(CHOOSE, CHOICE | change).content.decode()
    assert said(message, language) in page
    assert PASSWORD not in page
    assert not WebID.objects.exists()


def test_requests_are_forgotten_a_day_later(client: Browser) -> None:
    ask(client, MemberFactory())
    time_passes(hours=23)
    forget_old_requests()
    assert RegistrationRequest.objects.exists()
    time_passes(hours=2)
    forget_old_requests()
    assert not RegistrationRequest.objects.exists()
