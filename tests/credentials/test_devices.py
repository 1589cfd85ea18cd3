"""Known devices: what makes a browser known for an account, and what makes it unknown again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.core.signing import Signer
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test.utils import CaptureQueriesContext

from credentials import closure, devices, pin_reset, verification
from credentials.devices import ACCOUNTS, KEPT_SECONDS, Device
from credentials.models import Event, OutboxMail
from members.models import Member, User
from tests.clock import time_passes
from tests.conftest import Browser
from tests.factories import PASSWORD, PIN, MemberFactory, StaffFactory
from tests.pages import (
    LANGUAGES,
    browser,
    fail,
    is_signed_in,
    said,
    user_of,
    with_card,
    with_web_id,
)

pytestmark = pytest.mark.django_db
COOKIE = "__Host-devices"
Deliver = Callable[[], list[EmailMessage]]


def device_of(client: Browser) -> Device:
    """Return what this browser's next request says about it."""
    request = HttpRequest()
    request.COOKIES = {name: morsel.value for name, morsel in client.cookies.items()}
    return devices.of(request)


def knows(client: Browser, member: Member) -> bool:
    user = user_of(member)
    return device_of(client).knows(user.pk, user.device_epoch)


def fresh(client: Browser) -> Browser:
    """Return a browser that has kept this one's device cookie and nothing else."""
    other = browser()
    other.cookies[COOKIE] = client.cookies[COOKIE].value
    return other


# --- The cookie -------------------------------------------------------------------------------


@pytest.mark.parametrize("sign_in", [with_card, with_web_id])
def test_signing_in_makes_a_device_known(client: Browser, sign_in: Any) -> None:
    member, other = MemberFactory(web_id="Hanako1983"), MemberFactory()
    answer = sign_in(client, member)
    assert knows(client, member)
    assert not knows(client, other)
    morsel = answer.cookies[COOKIE]
    assert (morsel["httponly"], morsel["secure"], morsel["samesite"]) == (True, True, "Lax")
    assert (morsel["path"], morsel["domain"]) == ("/", "")
    assert morsel["max-age"] == KEPT_SECONDS == 400 * 86400


def test_on_plain_http_the_cookie_has_a_plain_name(settings: Any, client: Browser) -> None:
    settings.SECURE, settings.DEVICES_COOKIE_NAME = False, "devices"
    with_card(client, MemberFactory())
    assert not client.cookies["devices"]["secure"]


def test_nothing_but_a_members_sign_in_makes_a_device_known(client: Browser) -> None:
    member, staff = MemberFactory(web_id="Hanako1983"), StaffFactory(role="Store")
    with_card(client, member, pin="0099")
    with_web_id(client, member, password="not the right one")
    client.post("/admin/login/", {"username": staff.username, "password": PASSWORD})
    for path in ("/", "/login/", "/login/web-id/", "/help/", "/web-id/register/", "/pin/"):
        client.get(path)
    assert COOKIE not in client.cookies


def test_signing_out_keeps_it(client: Browser) -> None:
    member = MemberFactory()
    with_card(client, member)
    assert COOKIE not in client.post("/logout/").cookies
    assert knows(client, member)


def test_a_familys_phone_knows_five_and_forgets_who_signed_in_longest_ago(client: Browser) -> None:
    family = [MemberFactory() for _ in range(ACCOUNTS + 1)]
    for member in family:
        with_card(client, member)
    assert [knows(client, member) for member in family] == [False] + [True] * ACCOUNTS
    with_card(client, family[1])
    with_card(client, family[0])
    assert [knows(client, member) for member in family] == [True, True, False, True, True, True]
    assert len(client.cookies[COOKIE].value) < 400


def test_the_cookie_names_nobody(client: Browser) -> None:
    member = MemberFactory()
    with_card(client, member)
    entries = device_of(client).entries
    assert [len(entry) for entry in entries] == [32]
    assert member.number not in client.cookies[COOKIE].value


@pytest.mark.parametrize("forged", ["", "x", "W10:x", "null", "\ud800", "🍪", "a" * 4000])
def test_a_forged_cookie_is_none(client: Browser, forged: str) -> None:
    request = HttpRequest()
    request.COOKIES = {COOKIE: forged}
    assert devices.of(request) == Device()


def test_what_another_secret_or_purpose_signed_is_none(client: Browser) -> None:
    entry = Device().knowing(1, 0).entries
    request = HttpRequest()
    for signer in (Signer(key="x" * 50, salt="credentials.devices"), Signer(salt="other")):
        request.COOKIES = {COOKIE: signer.sign_object(list(entry))}
        assert devices.of(request) == Device()


def test_a_wrong_cookie_does_not_keep_anybody_out() -> None:
    client = browser()
    client.cookies[COOKIE] = "nonsense"
    assert with_card(client, MemberFactory()).status_code == 302


def test_no_clock_judges_it(client: Browser) -> None:
    member = MemberFactory()
    with_card(client, member)
    time_passes(days=4000)
    assert knows(client, member)


def test_it_holds_through_django_as_it_was_set() -> None:
    device = Device(name="x").knowing(7, 1)
    response = HttpResponse()
    devices.keep(device, response)
    request = HttpRequest()
    request.COOKIES = {COOKIE: response.cookies[COOKIE].value}
    request.META["HTTP_USER_AGENT"] = "x"
    assert devices.of(request) == device


# --- What makes a device unknown again --------------------------------------------------------


def test_a_pin_reset_makes_devices_unknown_when_it_starts_and_when_it_is_set() -> None:
    member, store = MemberFactory(), StaffFactory(role="Store")
    before = user_of(member).device_epoch
    ticket = pin_reset.start(member=member, by=store, document="passport", place="Ueno")
    assert isinstance(ticket, str)
    assert user_of(member).device_epoch == before + 1
    assert not pin_reset.set_pin(
        card_number=member.card.number, ticket=ticket, pin="9642", source="192.0.2.1"
    )
    assert user_of(member).device_epoch == before + 2


def test_closure_makes_devices_unknown(settings: Any) -> None:
    settings.CLOSURE_NEEDS_SECOND = False
    member, store = MemberFactory(balance=0), StaffFactory(role="Store")
    verification.check_in_person(member=member, by=store, document="passport", place="Ueno")
    closure.ask_for(member=member, by=store, certificate=False)
    under_way = closure.open_closure(member)
    assert under_way is not None
    closure.check(closure=under_way, by=store, no_balance=True, nothing_open=True)
    assert user_of(member).device_epoch == 1


def test_a_suspension_by_failures_does_not(client: Browser) -> None:
    """Or whoever guesses could make a member's devices unknown."""
    member = MemberFactory()
    with_card(client, member)
    fail(member, 5)
    assert user_of(member).suspended_at
    assert knows(client, member)


# --- It buys no guess -------------------------------------------------------------------------


def test_a_known_device_has_the_guesses_of_any_other(client: Browser) -> None:
    member = MemberFactory()
    with_card(client, member)
    thief = fresh(client)
    for _ in range(7):
        with_card(thief, member, pin="0099")
    judged = Event.objects.filter(act=Event.Act.SIGN_IN_FAILED).exclude(details__failures=0)
    assert judged.count() == 5
    with_card(thief, member)
    assert not is_signed_in(thief)


def test_a_known_device_is_throttled_as_any_other(settings: Any, client: Browser) -> None:
    settings.SOURCE_FAILURE_LIMIT = "2/hour"
    member = MemberFactory()
    with_card(client, member)
    known = fresh(client)
    codes = [with_card(known, member, pin="0099").status_code for _ in range(3)]
    assert codes == [200, 200, 429]


# --- The record and the notice ----------------------------------------------------------------


def test_the_record_says_which_browser_and_whether_it_was_known() -> None:
    member = MemberFactory()
    client = browser()
    agent = "Mozilla/5.0 (\u0007\x1b[31miPhone; 端末)" + "x" * 300
    for known in (False, True):
        number = member.card.number
        client.post("/login/", {"card_number": number, "pin": PIN}, HTTP_USER_AGENT=agent)
        details = Event.objects.filter(act=Event.Act.SIGNED_IN).latest("pk").details
        assert details["known"] is known
        assert details["device"].startswith("Mozilla/5.0 ([31miPhone; ")
        assert len(details["device"]) == 200
        assert details["device"].isprintable()


def test_the_very_first_sign_in_is_no_news(client: Browser, deliver: Deliver) -> None:
    with_card(client, MemberFactory())
    assert deliver() == []


def test_nor_is_another_one_on_a_known_device(client: Browser, deliver: Deliver) -> None:
    member = MemberFactory(web_id="Hanako1983")
    with_card(client, member)
    with_web_id(fresh(client), member)
    assert deliver() == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("sign_in", "way"),
    [(with_card, "Card number and PIN"), (with_web_id, "Web-ID and password")],
)
def test_a_new_device_is_told_to_the_member(
    client: Browser, deliver: Deliver, language: str, sign_in: Any, way: str
) -> None:
    member = MemberFactory(web_id="Hanako1983")
    with_card(client, member)
    sign_in(browser(language), member)
    [mail] = deliver()
    assert mail.to == [member.email]
    assert mail.subject == said("A sign-in on a device that was not used before", language)
    body = str(mail.body)
    assert f"- {said(way, language)}\n" in body
    for secret in (PIN, PASSWORD, "http", "Hanako1983", member.number):
        assert secret not in body
    assert ("This wasn't me" if language == "en" else "身に覚えがない") in body


def test_a_sign_in_that_came_too_late_tells_nothing(
    client: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = MemberFactory()
    with_card(client, member)
    monkeypatch.setattr("credentials.login.settle_success", lambda *_args, **_noted: False)
    late = browser()
    assert with_card(late, member).status_code == 200
    assert COOKIE not in late.cookies
    assert not OutboxMail.objects.exists()


def test_a_new_device_costs_one_statement_more(client: Browser) -> None:
    member = MemberFactory()
    with_card(client, member)
    with CaptureQueriesContext(connection) as queries:
        Browser().post("/login/", {"card_number": member.card.number, "pin": PIN})
    assert len([q for q in queries if "SAVEPOINT" not in q["sql"]]) == 5


def test_after_the_epoch_was_raised_the_same_device_is_news_again(
    client: Browser, deliver: Deliver
) -> None:
    member = MemberFactory()
    with_card(client, member)
    User.objects.filter(member=member).update(device_epoch=1)
    assert not knows(client, member)
    with_card(fresh(client), member)
    assert len(deliver()) == 1
