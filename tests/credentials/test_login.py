"""Signing in, both ways, and the refusals that are all alike."""

from __future__ import annotations

import re
from base64 import b32decode
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials.models import Event, Session
from members.models import Member, User
from tests.conftest import Browser
from tests.factories import PASSWORD, PIN, MemberFactory, StaffFactory, app_code, with_check_digit
from tests.pages import (
    LANGUAGES,
    browser,
    fail,
    is_signed_in,
    page_of,
    said,
    user_of,
    with_card,
    with_web_id,
)

pytestmark = pytest.mark.django_db

UNKNOWN_CARD = with_check_digit("490000000000000")
NINE_DIGITS_FOR_CARD = (
    "That looks like a member number (nine digits). It does not sign in. "
    "Type the 16 digits on the front of your card."
)
NINE_DIGITS_FOR_WEB_ID = (
    "That looks like a member number (nine digits). It does not sign in. "
    "Type the Web-ID you registered, or sign in with your card number."
)
CHECK_DIGIT = (
    "There is no card with this number: a digit is mistyped. Compare it with your "
    "card. This was not counted as a failure."
)


def close(member: Member) -> Member:
    User.objects.filter(member=member).update(is_active=False)
    return member


def suspended(member: Member) -> Member:
    fail(member, 5)
    return member


def stranded(member: Member) -> Member:
    """Five attempts that were begun just now, and never ended."""
    User.objects.filter(member=member).update(attempts=5)
    return member


def traits(answer: Any, *typed: str) -> tuple[Any, ...]:
    """Return all that a visitor can tell one refusal from another by."""
    cookies = {
        name: (len(morsel.value), {key: morsel[key] for key in morsel if key != "expires"})
        for name, morsel in answer.cookies.items()
    }
    headers = {name: value for name, value in answer.headers.items() if name != "Expires"}
    return answer.status_code, headers, cookies, page_of(answer, *typed)


# --- The two ways in --------------------------------------------------------------------------


def test_card_and_pin_sign_in_and_lead_to_the_member_number(client: Browser) -> None:
    member = MemberFactory()
    answer = client.post("/login/", {"card_number": member.card.number, "pin": PIN})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    page = client.get("/")
    assert page.status_code == 200
    assert member.number[:3] in page.content.decode()


def test_web_id_signs_in_whatever_the_case(client: Browser) -> None:
    MemberFactory(web_id="Hanako1983")
    answer = client.post("/login/web-id/", {"web_id": "hANAKO1983", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_sign_in_costs_four_statements_and_two_commits(client: Browser) -> None:
    member = MemberFactory()
    for what in ("the very first", "on a known device"):
        typed = {"card_number": member.card.number, "pin": PIN}
        client.cookies.pop("__Host-session", None)
        with CaptureQueriesContext(connection) as queries:
            client.post("/login/", typed)
        statements = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
        assert len(statements) == 4, (what, statements)
        # Reserving commits by itself, and all the rest together.
        reserving = "WITH" if connection.vendor == "postgresql" else "UPDATE"
        assert [q["sql"].split()[0] for q in queries][:2] == [reserving, "SAVEPOINT"]
        assert [q["sql"].split()[0] for q in queries][-1] == "RELEASE"
        assert len(queries) == 6


def test_top_page_costs_two_statements(client: Browser) -> None:
    member = MemberFactory(web_id="Hanako1983")
    client.post("/login/", {"card_number": member.card.number, "pin": PIN})
    with CaptureQueriesContext(connection) as queries:
        client.get("/")
    assert len(queries) == 2, [q["sql"] for q in queries]


def test_wrong_pin_opens_nothing_and_is_on_record(client: Browser) -> None:
    member = MemberFactory()
    answer = client.post("/login/", {"card_number": member.card.number, "pin": "9999"})
    assert answer.status_code == 200
    assert Session.objects.count() == 0
    assert User.objects.get(member=member).failures == 1
    event = Event.objects.get(act=Event.Act.SIGN_IN_FAILED)
    assert (event.whom, event.source) == (member.number, "203.0.113.7")


@pytest.mark.parametrize("way", ["card", "web_id"])
def test_success_is_on_record_with_way_and_source(client: Browser, way: str) -> None:
    member = MemberFactory(web_id="Hanako1983")
    assert (with_card if way == "card" else with_web_id)(client, member).status_code == 302
    event = Event.objects.get()
    assert (event.act, event.by, event.whom, event.source, event.details) == (
        Event.Act.SIGNED_IN,
        "member",
        member.number,
        "203.0.113.7",
        {"way": way, "device": "", "known": False},
    )


def test_secret_of_one_way_does_not_open_the_other(client: Browser) -> None:
    member = MemberFactory(web_id="Hanako1983")
    assert with_web_id(client, member, password=PIN).status_code == 200
    with_card(client, member, pin=PASSWORD)
    crossed = {"card_number": member.card.number, "password": PASSWORD, "pin": ""}
    client.post("/login/", crossed)
    assert Session.objects.count() == 0


def test_pin_of_another_card_does_not_open_this_one(client: Browser) -> None:
    one, other = MemberFactory(pin="1593"), MemberFactory(pin="7410")
    assert with_card(client, one, pin="7410").status_code == 200
    assert Session.objects.count() == 0
    assert with_card(client, other, pin="7410").status_code == 302


def test_pin_row_copied_to_another_card_does_not_open_it(client: Browser) -> None:
    own, victim = MemberFactory(pin="1593"), MemberFactory(pin="7410")
    victim.card.sealed_pin = own.card.sealed_pin
    victim.card.save()
    assert with_card(client, victim, pin="1593").status_code == 200
    assert Session.objects.count() == 0


# --- Refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_of_a_card_is_the_same_from_outside(language: str) -> None:
    cases = {
        "wrong": (MemberFactory().card.number, "9999"),
        "unknown": (UNKNOWN_CARD, PIN),
        "suspended": (suspended(MemberFactory()).card.number, "9999"),
        "suspended, right PIN": (suspended(MemberFactory()).card.number, PIN),
        "closed": (close(MemberFactory()).card.number, "9999"),
        "closed, right PIN": (close(MemberFactory()).card.number, PIN),
        "no PIN": (MemberFactory(pin="").card.number, PIN),
        "limit reached, right PIN": (stranded(MemberFactory()).card.number, PIN),
    }
    seen = {}
    for case, (number, pin) in cases.items():
        answer = browser(language).post("/login/", {"card_number": number, "pin": pin})
        seen[case] = traits(answer, number)
    assert seen["wrong"][0] == 200
    message = (
        "We could not sign you in. Compare the card number with your card and type both again. "
        "If it does not work, the page “I can't sign in” shows what helps."
    )
    assert said(message, language) in seen["wrong"][3]
    for case, case_traits in seen.items():
        assert case_traits == seen["wrong"], case
    assert Session.objects.count() == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_of_a_web_id_is_the_same_from_outside(language: str) -> None:
    no_password = MemberFactory(web_id="nopasswd1")
    User.objects.filter(member=no_password).update(password="!")
    suspended(MemberFactory(web_id="suspended1"))
    close(MemberFactory(web_id="isclosed01"))
    stranded(MemberFactory(web_id="stranded01"))
    MemberFactory(web_id="hanako1983")
    cases = {
        "wrong": ("hanako1983", "not the right password"),
        "unknown": ("nobody1234", PASSWORD),
        "suspended": ("suspended1", "not the right password"),
        "suspended, right password": ("suspended1", PASSWORD),
        "closed, right password": ("isclosed01", PASSWORD),
        "no password": ("nopasswd1x"[:9], PASSWORD),
        "limit reached, right password": ("stranded01", PASSWORD),
    }
    seen = {}
    for case, (web_id, password) in cases.items():
        typed = {"web_id": f"{web_id:10}", "password": password}
        answer = browser(language).post("/login/web-id/", typed)
        seen[case] = traits(answer, f"{web_id:10}")
    assert seen["wrong"][0] == 200
    message = (
        "We could not sign you in. Check Web-ID and password and type both again. "
        "If it does not work, the page “I can't sign in” shows what helps."
    )
    assert said(message, language) in seen["wrong"][3]
    for case, case_traits in seen.items():
        assert case_traits == seen["wrong"], case
    assert Session.objects.count() == 0


def test_unknown_and_wrong_cost_the_same_statements() -> None:
    def statements(number: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            browser().post("/login/", {"card_number": number, "pin": "9999"})
        # SQLite cannot write to one or the other in one statement.
        apart = connection.vendor == "sqlite"
        return sum(not (apart and "credentials_decoy" in one["sql"]) for one in queries)

    known = statements(MemberFactory().card.number)
    assert statements(UNKNOWN_CARD) == known
    assert statements(close(MemberFactory()).card.number) == known
    assert statements(stranded(MemberFactory()).card.number) == known


def test_failure_on_an_unknown_card_is_on_record_without_a_name(client: Browser) -> None:
    client.post("/login/", {"card_number": UNKNOWN_CARD, "pin": PIN})
    event = Event.objects.get()
    assert (event.act, event.whom, event.details["failures"]) == (
        Event.Act.SIGN_IN_FAILED,
        "",
        0,
    )


@pytest.mark.parametrize("path", ["/login/", "/login/web-id/"])
def test_secrets_are_never_written_back_into_the_page(client: Browser, path: str) -> None:
    member = MemberFactory(web_id="Hanako1983")
    typed = {
        "card_number": member.card.number,
        "pin": "9386",
        "web_id": "Hanako1983",
        "password": "wrong canary password",
    }
    page = client.post(path, typed).content.decode()
    assert "9386" not in page
    assert "canary" not in page


def test_what_was_typed_besides_secrets_is_kept_on_a_refusal(client: Browser) -> None:
    page = client.post("/login/", {"card_number": "4990 0000", "pin": "9999"}).content.decode()
    assert 'value="4990 0000"' in page


# --- The member number never signs in ---------------------------------------------------------


def test_member_number_never_signs_in_on_any_field() -> None:
    member = MemberFactory(web_id="Hanako1983")
    number = member.number
    padded = [number.zfill(16), number.ljust(16, "0"), with_check_digit(number.zfill(15))]
    secrets = (PIN, PASSWORD, number)
    for name in (number, *padded):
        for secret in secrets:
            for path in ("/login/", "/login/web-id/", "/admin/login/"):
                client = browser(
                    address=f"2001:db8:{len(name)}::{abs(hash((name, secret))) % 9999}"
                )
                client.post(
                    path,
                    {
                        "card_number": name,
                        "pin": secret,
                        "web_id": name,
                        "username": name,
                        "member_number": number,
                        "password": secret,
                    },
                )
                assert not is_signed_in(client), (path, name, secret)
    assert Session.objects.count() == 0
    assert user_of(member).failures == 0


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("typed", ["{}", " {} ", "{:.3} {:.0}"])
def test_nine_digits_for_a_card_number_are_told_by_their_shape_alone(
    language: str, typed: str
) -> None:
    member = MemberFactory()
    known = member.number
    number = known if typed == "{}" else f" {known[:3]}-{known[3:6]} {known[6:]}"
    pages = []
    for shown in (number, number.replace(number.strip()[0], "8", 1)):
        with CaptureQueriesContext(connection) as queries:
            answer = browser(language).post("/login/", {"card_number": shown, "pin": PIN})
        assert answer.status_code == 200
        assert len(queries) == 0, "somebody was looked up"
        pages.append(page_of(answer, shown))
        assert said(NINE_DIGITS_FOR_CARD, language) in pages[-1]
    assert pages[0] == pages[1]
    assert user_of(member).attempts == 0
    assert not Event.objects.exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_nine_digits_for_a_web_id_are_told_and_charged_to_nobody(language: str) -> None:
    member = MemberFactory(web_id="Hanako1983")
    with CaptureQueriesContext(connection) as queries:
        answer = browser(language).post(
            "/login/web-id/", {"web_id": member.number, "password": PASSWORD}
        )
    assert said(NINE_DIGITS_FOR_WEB_ID, language) in answer.content.decode()
    assert len(queries) == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_card_number_for_a_web_id_is_told(language: str) -> None:
    typed = {"web_id": MemberFactory().card.number, "password": PASSWORD}
    page = browser(language).post("/login/web-id/", typed).content.decode()
    message = "That looks like a card number. Choose “Card number and PIN” to use it."
    assert said(message, language) in page


# --- What people type -------------------------------------------------------------------------


FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@pytest.mark.parametrize(
    "typed",
    [
        lambda n: n.translate(FULL_WIDTH),
        lambda n: f"{n[:4]} {n[4:8]} {n[8:12]} {n[12:]}",
        lambda n: f"{n[:4]}-{n[4:8]}-{n[8:12]}-{n[12:]}",
        lambda n: f"{n[:4]}ー{n[4:8]}－{n[8:12]}—{n[12:]}".translate(FULL_WIDTH),
        lambda n: f"　{n[:8]}　{n[8:]}\t",
        lambda n: f"{n[:8]}−{n[8:]}",
        lambda n: f"{n[:8]}・{n[8:]}",
    ],
    ids=["full-width", "spaces", "hyphens", "other hyphens", "wide spaces", "minus", "dot"],
)
def test_numbers_are_accepted_as_people_type_them(client: Browser, typed: Any) -> None:
    member = MemberFactory()
    fields = {"card_number": typed(member.card.number), "pin": PIN.translate(FULL_WIDTH)}
    assert client.post("/login/", fields).status_code == 302


def test_web_id_and_password_are_accepted_full_width(client: Browser) -> None:
    MemberFactory(web_id="Hanako1983")
    wide = str.maketrans({chr(c): chr(c + 0xFEE0) for c in range(0x21, 0x7F)})
    typed = {"web_id": "hanako1983 ".translate(wide), "password": PASSWORD.translate(wide)}
    assert client.post("/login/web-id/", typed).status_code == 302


@pytest.mark.parametrize("language", LANGUAGES)
def test_wrong_check_digit_is_told_at_once_and_charged_to_nobody(language: str) -> None:
    member = MemberFactory()
    number = member.card.number
    mistyped = number[:-1] + str((int(number[-1]) + 1) % 10)
    with CaptureQueriesContext(connection) as queries:
        answer = browser(language).post("/login/", {"card_number": mistyped, "pin": PIN})
    assert answer.status_code == 200
    assert said(CHECK_DIGIT, language) in answer.content.decode()
    assert len(queries) == 0
    assert user_of(member).attempts == 0
    assert not Event.objects.exists()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("card_number", "pin", "message"),
    [
        ("", PIN, "Type your card number."),
        ("499000000000000", PIN, "A card number has 16 digits. It is on the front of your card."),
        ("Hanako1983", PIN, "A card number has 16 digits. It is on the front of your card."),
        (UNKNOWN_CARD, "", "Type your PIN."),
        (UNKNOWN_CARD, "258", "A PIN has four digits."),
        (UNKNOWN_CARD, "25800", "A PIN has four digits."),
        (UNKNOWN_CARD, "二五八零", "A PIN has four digits."),
    ],
)
def test_what_is_malformed_is_told_and_nothing_is_counted(
    language: str, card_number: str, pin: str, message: str
) -> None:
    answer = browser(language).post("/login/", {"card_number": card_number, "pin": pin})
    assert answer.status_code == 200
    assert said(message, language) in answer.content.decode()
    assert not Event.objects.exists()


# --- Where to, after signing in ---------------------------------------------------------------


@pytest.mark.parametrize("path", ["/login/", "/login/web-id/"])
@pytest.mark.parametrize("where", ["field", "query"])
def test_next_leads_to_a_page_of_our_own(client: Browser, path: str, where: str) -> None:
    member = MemberFactory(web_id="Hanako1983")
    typed = {
        "card_number": member.card.number,
        "pin": PIN,
        "web_id": "Hanako1983",
        "password": PASSWORD,
    }
    query = ""
    if where == "field":
        typed["next"] = "/member-number/memo/"
    else:
        query = "?next=/member-number/memo/"
    assert client.post(path + query, typed)["Location"] == "/member-number/memo/"


FOREIGN = [
    "//evil.example/",
    "///evil.example/",
    "https:evil.example",
    "https:///evil.example",
    "https://evil.example/",
    "http://testserver/",
    "\\\\evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\x00//evil.example",
    "\t//evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://testserver@evil.example/",
    "https://testserver.evil.example/",
    "//[",
    "/" + "a" * 5000,
]


@pytest.mark.parametrize("path", ["/login/", "/login/web-id/", "/admin/login/"])
@pytest.mark.parametrize("url", FOREIGN)
def test_next_never_leads_to_another_host(client: Browser, path: str, url: str) -> None:
    member = MemberFactory(web_id="Hanako1983")
    staff = StaffFactory(role="Store")
    typed = {
        "card_number": member.card.number,
        "pin": PIN,
        "web_id": "Hanako1983",
        "username": staff.username,
        "password": PASSWORD,
        "next": url,
    }
    answer = client.post(path, typed)
    assert answer.status_code == 302
    pages = [page_of(client.get(path))]
    if path == "/admin/login/":
        # The second step is the one that leads somewhere; it takes over nothing, either.
        second = "/admin/second-factor/"
        assert answer["Location"] == second
        pages += [page_of(client.get(path, {"next": url}))]
        pages += [page_of(client.get(second)), page_of(client.get(second, {"next": url}))]
        answer = client.post(second, {"code": app_code(), "next": url})
        assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    else:
        assert answer["Location"] == "/"
    offered = re.findall(r'name="next" value="([^"]*)"', "".join(pages))
    assert not [value for value in offered if value]


# In an address, a NUL is a 400 before any view.
IN_ADDRESSES = [url for url in FOREIGN if "\x00" not in url]


@pytest.mark.parametrize("url", IN_ADDRESSES)
def test_next_in_the_address_leads_staff_nowhere_else(client: Browser, url: str) -> None:
    staff, query = StaffFactory(role="Store"), urlencode({"next": url})
    typed = {"username": staff.username, "password": PASSWORD}
    answer = client.post(f"/admin/login/?{query}", typed)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/second-factor/")
    answer = client.post(f"/admin/second-factor/?{query}", {"code": app_code()})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("url", IN_ADDRESSES)
def test_next_leads_staff_nowhere_else_from_the_enrolment(client: Browser, url: str) -> None:
    staff = StaffFactory(role="Store", second_factor=False)
    typed = {"username": staff.username, "password": PASSWORD, "next": url}
    answer = client.get(client.post("/admin/login/", typed)["Location"], {"next": url})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/second-factor/enrol/")
    page = client.get(answer["Location"], {"next": url}).content.decode()
    [letters] = re.findall(r'id="second-factor-secret">([A-Z2-7 ]+)<', page)
    code = app_code(secret=b32decode(letters.replace(" ", "")))
    # The page of the recovery codes has the link that goes on.
    page = client.post(answer["Location"], {"code": code, "next": url}).content.decode()
    assert 'href="/admin/"' in page
    assert "evil" not in page
    assert "testserver" not in page
    assert is_signed_in(client)


def test_whoever_is_signed_in_goes_straight_on_from_the_sign_in_page(client: Browser) -> None:
    with_card(client, MemberFactory())
    for path in ("/login/", "/login/web-id/"):
        answer = client.get(path, {"next": "/member-number/memo/"})
        assert (answer.status_code, answer["Location"]) == (302, "/member-number/memo/")


@pytest.mark.parametrize("path", ["/", "/member-number/memo/"])
def test_members_pages_send_strangers_to_the_sign_in_page(client: Browser, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={path}")


def test_signing_out_ends_the_session_and_is_on_record(client: Browser) -> None:
    member = MemberFactory()
    with_card(client, member)
    answer = client.post("/logout/")
    assert (answer.status_code, answer["Location"]) == (302, "/login/")
    assert not is_signed_in(client)
    assert Event.objects.filter(act=Event.Act.SIGNED_OUT, whom=member.number).count() == 1
    assert client.get("/logout/").status_code == 405


def test_sign_in_and_sign_out_need_the_page_they_were_typed_on() -> None:
    member = MemberFactory()
    client = browser()
    client.handler.enforce_csrf_checks = True
    for path in ("/login/", "/login/web-id/", "/logout/", "/pin/", "/web-id/register/"):
        assert client.post(path, {"card_number": member.card.number, "pin": PIN}).status_code == 403
    assert user_of(member).attempts == 0


def test_sign_in_rotates_the_csrf_token(client: Browser) -> None:
    client.get("/login/")
    before = client.cookies["__Host-csrf"].value
    with_card(client, MemberFactory())
    assert client.cookies["__Host-csrf"].value != before
