"""Sessions: how long they last, whose they are, and that they end when they must."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.core.mail import EmailMessage
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from credentials.models import Event, SecondFactor, Session
from credentials.sessions import SessionStore, rows
from members.models import User
from tests.clock import time_passes
from tests.conftest import Browser, sign_in_staff
from tests.factories import PASSWORD, PIN, MemberFactory, StaffFactory, app_code
from tests.pages import as_staff, browser, code_in, is_signed_in, user_of, with_card, with_web_id

pytestmark = pytest.mark.django_db

COOKIE = "__Host-session"


def signed_in_member() -> Browser:
    client = browser()
    assert with_card(client, MemberFactory()).status_code == 302
    return client


def signed_in_staff() -> Browser:
    return as_staff(StaffFactory(role="Store"))


who = pytest.mark.parametrize("sign_in", [signed_in_member, signed_in_staff])
SignIn = Callable[[], Browser]


@who
def test_session_ends_when_it_was_idle_for_too_long(sign_in: SignIn) -> None:
    client = sign_in()
    time_passes(seconds=899)
    assert is_signed_in(client)
    time_passes(seconds=901)
    assert not is_signed_in(client)


@who
def test_using_a_session_keeps_it_open_until_the_absolute_limit(sign_in: SignIn) -> None:
    client = sign_in()
    minutes = 0
    while is_signed_in(client):
        time_passes(minutes=14)
        minutes += 14
        assert minutes < 800, "it never ends"
    # Twelve hours, and eight for staff.
    assert minutes == (728 if sign_in is signed_in_member else 490)


def test_session_seen_lately_is_not_written_at_every_request() -> None:
    client = signed_in_member()
    with CaptureQueriesContext(connection) as queries:
        client.get("/")
    assert not [q for q in queries if q["sql"].startswith("UPDATE")]


def test_registering_does_not_make_a_session_younger() -> None:
    member = MemberFactory()
    client = browser()
    with_card(client, member)
    opened = Session.objects.get().opened_at
    time_passes(minutes=10)
    client.post("/web-id/register/", {"member_number": member.number, "email": member.email})
    assert is_signed_in(client)
    assert Session.objects.get().opened_at < opened


def test_changing_ones_password_does_not_make_a_session_younger() -> None:
    client = as_staff(StaffFactory(role="Store"))
    opened = Session.objects.get().opened_at
    time_passes(minutes=10)
    new = "another long password of mine"
    typed = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post("/admin/password_change/", typed).status_code == 302
    assert is_signed_in(client)
    assert Session.objects.get().opened_at < opened


@who
def test_signing_in_gives_a_new_key_and_the_old_one_is_gone(sign_in: SignIn) -> None:
    visitor = browser()
    member = MemberFactory()
    visitor.post("/web-id/register/", {"member_number": "123456789", "email": "a@example.com"})
    planted = visitor.cookies[COOKIE].value
    if sign_in is signed_in_member:
        with_card(visitor, member)
    else:
        sign_in_staff(visitor, StaffFactory())
    assert is_signed_in(visitor)
    assert visitor.cookies[COOKIE].value != planted
    attacker = browser()
    attacker.cookies[COOKIE] = planted
    assert not is_signed_in(attacker)
    assert not rows(planted).exists()


def planted_by_an_attacker() -> tuple[Browser, Browser]:
    """Return an attacker with a session of a visitor, and a victim in whose browser its key is."""
    attacker, victim = browser("en"), browser("en")
    attacker.post("/web-id/register/", {"member_number": "123456789", "email": "a@example.com"})
    victim.cookies[COOKIE] = attacker.cookies[COOKIE].value
    return attacker, victim


def test_planted_key_is_nobodys_after_the_first_step_of_staff() -> None:
    attacker, victim = planted_by_an_attacker()
    planted = attacker.cookies[COOKIE].value
    staff = StaffFactory(role="Store")
    answer = victim.post("/admin/login/", {"username": staff.username, "password": PASSWORD})
    assert answer.status_code == 302
    first_step = victim.cookies[COOKIE].value
    assert first_step != planted
    assert not rows(planted).exists()
    SecondFactor.objects.update(last_step=0)
    # The attacker cannot take the second step, nor is the key of the first that of the end.
    assert attacker.post("/admin/second-factor/", {"code": app_code()}).status_code == 302
    assert not is_signed_in(attacker)
    assert victim.post("/admin/second-factor/", {"code": app_code()})["Location"] == "/admin/"
    assert is_signed_in(victim)
    assert victim.cookies[COOKIE].value not in {planted, first_step}


def test_planted_key_is_nobodys_in_the_steps_of_the_registration(
    deliver: Callable[[], list[EmailMessage]],
) -> None:
    member = MemberFactory()
    attacker, victim = planted_by_an_attacker()
    planted = attacker.cookies[COOKIE].value
    victim.post("/web-id/register/", {"member_number": member.number, "email": member.email})
    assert victim.cookies[COOKIE].value != planted
    assert not rows(planted).exists()
    code = code_in(deliver()[-1])
    # With the code and the planted key: not one step further.
    for path in ("/web-id/register/code/", "/web-id/register/choose/"):
        assert attacker.get(path)["Location"] == "/web-id/register/"
        assert attacker.post(path, {"code": code})["Location"] == "/web-id/register/"
    victim.post("/web-id/register/code/", {"code": code})
    chosen = {"web_id": "Hanako1983", "password1": PASSWORD, "password2": PASSWORD}
    answer = victim.post("/web-id/register/choose/", chosen)
    assert answer["Location"] == "/web-id/register/done/"
    assert victim.cookies[COOKIE].value != planted
    # And what registered is not what is signed in afterwards.
    registered = victim.cookies[COOKIE].value
    assert with_web_id(victim, member).status_code == 302
    assert victim.cookies[COOKIE].value not in {planted, registered}


@pytest.mark.parametrize("path", ["/sign-ins/", "/sign-ins/not-me/"])
def test_key_of_a_session_is_no_longer_good_after_ending_the_others(path: str) -> None:
    client = signed_in_member()
    stolen = browser()
    stolen.cookies[COOKIE] = client.cookies[COOKIE].value
    assert is_signed_in(stolen)
    assert client.post(path).status_code == 302
    assert not is_signed_in(stolen)
    assert is_signed_in(client) == (path == "/sign-ins/")


# What asks for a token that only the page before it holds, and who comes with the cookie.
NEEDS_A_TOKEN = {
    "/login/": None,
    "/login/web-id/": None,
    "/logout/": signed_in_member,
    "/sign-ins/": signed_in_member,
    "/sign-ins/not-me/": signed_in_member,
}


@pytest.mark.parametrize("origin", ["https://attacker.example", "https://testserver", None])
@pytest.mark.parametrize("path", NEEDS_A_TOKEN)
def test_post_from_another_site_is_refused(path: str, origin: str | None) -> None:
    sign_in = NEEDS_A_TOKEN[path]
    victim = sign_in() if sign_in else browser()
    member = MemberFactory(web_id="Hanako1983")
    page = victim.get("/login/" if sign_in is None else "/sign-ins/").content.decode()
    [token, *_same] = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    strict = Browser(enforce_csrf_checks=True, HTTP_HOST="testserver")
    strict.cookies = victim.cookies
    typed = {"card_number": member.card.number, "pin": PIN}
    if path == "/login/web-id/":
        typed = {"web_id": "Hanako1983", "password": PASSWORD}
    headers = {"origin": origin} if origin else {}
    before = Event.objects.count()
    # The cookie comes along, as browsers send it; the token is what no other site can know.
    forged = strict.post(path, {**typed, "csrfmiddlewaretoken": "x" * 64}, headers=headers)
    assert forged.status_code == 403
    assert strict.post(path, typed, headers=headers).status_code == 403
    assert (Event.objects.count(), user_of(member).attempts) == (before, 0)
    if sign_in:
        assert is_signed_in(victim)
    # With the token, but from another site: refused as well. From our own page: done.
    answer = strict.post(path, {**typed, "csrfmiddlewaretoken": token}, headers=headers)
    assert answer.status_code == (302 if origin == "https://testserver" else 403)
    assert (Event.objects.count() > before) == (origin == "https://testserver")


def test_key_that_a_visitor_made_up_is_never_taken_over() -> None:
    client = browser()
    client.cookies[COOKIE] = "a" * 32
    with_card(client, MemberFactory())
    assert client.cookies[COOKIE].value != "a" * 32
    assert not rows("a" * 32).exists()


def test_nothing_of_a_visitors_session_is_left_after_signing_in() -> None:
    client = browser()
    client.post("/web-id/register/", {"member_number": "123456789", "email": "a@example.com"})
    with_card(client, MemberFactory())
    assert client.get("/web-id/register/code/").status_code == 302


def test_signing_in_again_as_somebody_else_leaves_no_session_of_the_first() -> None:
    client = signed_in_member()
    first = client.cookies[COOKIE].value
    other = MemberFactory()
    with_card(client, other)
    assert not rows(first).exists()
    assert Session.objects.get().user == user_of(other)


@pytest.mark.parametrize(
    ("sign_in", "path"),
    [
        (signed_in_member, "/logout/"),
        (signed_in_staff, "/logout/"),
        (signed_in_staff, "/admin/logout/"),
    ],
)
def test_signing_out_deletes_the_row(sign_in: SignIn, path: str) -> None:
    client = sign_in()
    key = client.cookies[COOKIE].value
    answer = client.post(path)
    assert answer["Clear-Site-Data"] == '"cache"'
    assert not rows(key).exists()
    client.cookies[COOKIE] = key
    assert not is_signed_in(client)


def test_signing_out_ends_this_session_only() -> None:
    member = MemberFactory()
    phone, computer = browser(), browser()
    with_card(phone, member)
    with_card(computer, member)
    phone.post("/logout/")
    assert is_signed_in(computer)


@who
@pytest.mark.parametrize(
    "change",
    [{"epoch": F("epoch") + 1}, {"password": "argon2$changed"}, {"is_active": False}],
    ids=["epoch", "password", "closed"],
)
def test_change_to_the_user_ends_every_session_at_once(
    sign_in: SignIn, change: dict[str, Any]
) -> None:
    client = sign_in()
    assert is_signed_in(client)
    User.objects.update(**change)
    assert not is_signed_in(client)


def test_rotated_secret_key_ends_the_sessions(settings: Any) -> None:
    client = signed_in_member()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-" + "k" * 50
    assert not is_signed_in(client)


def test_session_row_says_whose_it_is_and_never_prints_its_key() -> None:
    client = signed_in_member()
    row = Session.objects.get()
    key = client.cookies[COOKIE].value
    assert SessionStore(key).load()[SESSION_KEY] == str(row.user_id)
    assert key not in str(row)


@who
def test_row_of_a_session_opens_none(sign_in: SignIn) -> None:
    client = sign_in()
    client.get("/")
    [row] = Session.objects.values()
    key = client.cookies[COOKIE].value
    assert key not in str(row)
    thief = browser()
    thief.cookies[COOKIE] = row["key_digest"]
    assert not is_signed_in(thief)
    assert SessionStore(row["key_digest"]).load() == {}
    assert not SessionStore().exists(row["key_digest"])
    SessionStore().delete(row["key_digest"])
    assert is_signed_in(client)


def test_visitor_who_only_looks_gets_no_session() -> None:
    client = browser()
    for path in ("/login/", "/login/web-id/", "/help/", "/web-id/register/", "/pin/"):
        client.get(path)
    assert COOKIE not in client.cookies
    assert not Session.objects.exists()


def test_session_cookie_is_not_kept_on_disk() -> None:
    client = signed_in_member()
    morsel = client.cookies[COOKIE]
    assert not morsel["max-age"]
    assert not morsel["expires"]


def test_ended_sessions_are_cleared_away_and_open_ones_stay() -> None:
    signed_in_member()
    time_passes(minutes=16)
    kept = signed_in_member()
    SessionStore.clear_expired()
    assert Session.objects.get() == rows(kept.cookies[COOKIE].value).get()


def test_ended_sessions_of_visitors_are_cleared_away_as_well() -> None:
    typed = {"member_number": "123456789", "email": "a@example.com"}
    browser().post("/web-id/register/", typed)
    SessionStore.clear_expired()
    assert Session.objects.get().user is None
    time_passes(minutes=16)
    SessionStore.clear_expired()
    assert not Session.objects.exists()


def test_djangos_own_authentication_signs_nobody_in() -> None:
    member = MemberFactory(web_id="Hanako1983")
    staff = StaffFactory()
    client = browser()
    assert not client.login(username=staff.username, password=PASSWORD)
    assert not client.login(username=member.number, password=PASSWORD)
    assert not client.login(username="Hanako1983", password=PASSWORD)


def test_closed_user_is_nobody() -> None:
    client = signed_in_member()
    User.objects.update(is_active=False)
    assert isinstance(client.get("/login/").wsgi_request.user, AnonymousUser)


def test_both_ways_open_the_same_kind_of_session() -> None:
    member = MemberFactory(web_id="Hanako1983")
    for way in (with_card, with_web_id):
        client = browser()
        way(client, member)
        assert client.get("/member-number/memo/").status_code == 200
