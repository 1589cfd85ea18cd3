"""Every secret that can be tried is throttled, before anything is charged for the try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from limits.errors import StorageError
from limits.storage import MemoryStorage

from credentials import pin_reset, throttling, verification
from credentials.models import HandOffCode, IdentityCheck, PinReset, RegistrationRequest
from credentials.refusals import Refusal, Why
from members.models import Member, User
from tests.conftest import Browser
from tests.credentials.test_api import ADDRESS as API
from tests.factories import MemberFactory, StaffFactory, app_code
from tests.pages import LANGUAGES, as_staff, browser, said, with_card, with_web_id

pytestmark = pytest.mark.django_db
CODE = "/web-id/register/code/"

# A wrong one is tried, and its HTTP status or the act's refusal comes back.
Try = Callable[[], Any]
# What was charged for tries so far.
Charged = Callable[[], Any]


def of_users() -> list[int]:
    return list(User.objects.order_by("pk").values_list("attempts", flat=True))


def card() -> tuple[Try, Charged]:
    member = MemberFactory()
    return lambda: with_card(browser(), member, pin="0099").status_code, of_users


def web_id() -> tuple[Try, Charged]:
    member = MemberFactory(web_id="Hanako1983")
    return lambda: with_web_id(browser(), member, password="not the right").status_code, of_users


def staff_password() -> tuple[Try, Charged]:
    typed = {"username": StaffFactory().username, "password": "not the right one"}
    return lambda: browser().post("/admin/login/", typed).status_code, of_users


def second_step(code: str) -> tuple[Try, Charged]:
    client, staff = Browser("198.51.100.77"), StaffFactory()
    typed = {"username": staff.username, "password": "correct horse battery staple"}
    assert client.post("/admin/login/", typed).status_code == 302
    return lambda: client.post("/admin/second-factor/", {"code": code}).status_code, of_users


def app() -> tuple[Try, Charged]:
    return second_step(app_code(40))


def recovery_code() -> tuple[Try, Charged]:
    return second_step("0123456789")


def new_recovery_codes() -> tuple[Try, Charged]:
    client = as_staff(StaffFactory())
    address = "/admin/second-factor/recovery-codes/"
    return lambda: client.post(address, {"code": app_code(40)}).status_code, of_users


def old_password() -> tuple[Try, Charged]:
    client = as_staff(StaffFactory())
    new = "a quite different pass phrase"
    typed = {"old_password": "not the right one", "new_password1": new, "new_password2": new}
    return lambda: client.post("/admin/password_change/", typed).status_code, of_users


def mailed_code() -> tuple[Try, Charged]:
    client, member = browser(), MemberFactory()
    client.post("/web-id/register/", {"member_number": member.number, "email": member.email})
    attempts = RegistrationRequest.objects.values_list("attempts", flat=True)
    return lambda: client.post(CODE, {"code": "000000"}).status_code, lambda: list(attempts.all())


def ticket() -> tuple[Try, Charged]:
    member = MemberFactory()
    store = StaffFactory(role="Store")
    pin_reset.start(member=member, by=store, document="passport", place="Ueno")
    number = member.card.number
    typed = {"card_number": number, "ticket": "00000000", "pin1": "9642", "pin2": "9642"}
    attempts = PinReset.objects.values_list("attempts", flat=True)
    return lambda: browser().post("/pin/", typed).status_code, lambda: list(attempts.all())


def no_key() -> tuple[Try, Charged]:
    return lambda: browser().post(API).status_code, lambda: 0


BY_SOURCE = [
    card,
    web_id,
    staff_password,
    app,
    recovery_code,
    new_recovery_codes,
    old_password,
    mailed_code,
    ticket,
    no_key,
]


@pytest.mark.parametrize("secret", BY_SOURCE)
def test_a_source_that_had_its_share_is_turned_away_uncharged(settings: Any, secret: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "2/hour"
    try_wrong, charged = secret()
    first = {try_wrong() for _ in range(2)}
    assert first <= {200, 401}
    before = charged()
    assert {try_wrong() for _ in range(3)} == {429}
    assert charged() == before


@pytest.mark.parametrize("secret", BY_SOURCE)
def test_without_the_counters_nothing_is_judged_or_charged(
    monkeypatch: pytest.MonkeyPatch, secret: Any
) -> None:
    class Lost(MemoryStorage):
        def incr(self, *args: Any, **options: Any) -> int:
            raise StorageError(ConnectionError())

    try_wrong, charged = secret()
    before = charged()
    monkeypatch.setattr(throttling, "counters", Lost)
    # The client would raise what the page answers.
    monkeypatch.setattr("django.test.client.Client.store_exc_info", lambda *_a, **_k: None)
    assert try_wrong() == 503
    assert charged() == before


# --- Mailed codes -----------------------------------------------------------------------------


def asking(member: Member) -> Browser:
    client = browser()
    client.post("/web-id/register/", {"member_number": member.number, "email": member.email})
    return client


def test_a_source_fails_on_so_many_requests_for_codes(settings: Any) -> None:
    settings.SOURCE_ACCOUNT_LIMIT = "3/hour"
    tried = [asking(MemberFactory()) for _ in range(5)]
    codes = [client.post(CODE, {"code": "000000"}).status_code for client in tried]
    assert codes == [200, 200, 200, 429, 429]
    # Those that it failed on before, it may try again.
    assert tried[0].post(CODE, {"code": "000000"}).status_code == 200
    attempts = RegistrationRequest.objects.order_by("pk").values_list("attempts", flat=True)
    assert list(attempts) == [2, 1, 1, 0, 0]


def test_a_right_code_costs_a_source_nothing(settings: Any, deliver: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "3/hour"
    settings.SOURCE_ACCOUNT_LIMIT = "1/hour"
    for _ in range(3):
        client = asking(MemberFactory())
        [mail] = deliver()
        code = next(line.strip() for line in mail.body.splitlines() if line.strip().isdigit())
        assert client.post(CODE, {"code": code}).status_code == 302


def test_codes_and_asking_for_them_have_shares_of_their_own(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "1/hour"
    client = asking(MemberFactory())
    assert client.post(CODE, {"code": "000000"}).status_code == 200
    assert client.post(CODE, {"code": "000000"}).status_code == 429


# --- What staff type: counted against them, for a call centre shares one address ---------------

TOO_MANY = "You typed too many wrong ones. Wait %(minutes)s minutes and try again."


def read_out(member: Member, by: User, code: str = "000000") -> Refusal | None:
    return verification.check_by_hand_off_code(
        member=member, by=by, code=code, source="203.0.113.9"
    )


def type_prepared(member: Member, by: User, prepared: str = "00000000") -> str | Refusal:
    return pin_reset.start(
        member=member, by=by, document="passport", place="Ueno", prepared_ticket=prepared
    )


@pytest.mark.parametrize("role", ["Call centre", "Store"])
def test_a_member_of_staff_fails_on_so_many_members(settings: Any, role: str) -> None:
    settings.SOURCE_ACCOUNT_LIMIT = "2/hour"
    guess: Any = read_out if role == "Call centre" else type_prepared
    staff, colleague = StaffFactory(role=role), StaffFactory(role=role)
    refusals = [guess(MemberFactory(), staff) for _ in range(4)]
    assert [one.why for one in refusals] == [Why.REFUSED] * 2 + [Why.THROTTLED] * 2
    assert refusals[-1].retry_after
    assert refusals[-1].reason
    assert guess(MemberFactory(), colleague).why is Why.REFUSED


def test_a_hand_off_code_is_not_charged_to_the_member_then(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "1/hour"
    member, staff = MemberFactory(), StaffFactory(role="Call centre")
    code = verification.make_hand_off_code(member=member, source="198.51.100.4")
    read_out(MemberFactory(), staff)
    refusal = read_out(member, staff, code)
    assert refusal is not None
    assert refusal.why is Why.THROTTLED
    assert HandOffCode.objects.get().attempts == 0
    assert not IdentityCheck.objects.filter(member=member).exists()
    assert read_out(member, StaffFactory(role="Call centre"), code) is None


def test_what_was_right_costs_staff_nothing(settings: Any) -> None:
    settings.SOURCE_ACCOUNT_LIMIT = settings.SOURCE_FAILURE_LIMIT = "1/hour"
    operator, store = StaffFactory(role="Call centre"), StaffFactory(role="Store")
    for _ in range(3):
        member = MemberFactory()
        code = verification.make_hand_off_code(member=member, source="198.51.100.4")
        assert read_out(member, operator, code) is None
        prepared = pin_reset.prepare_for_oneself(member=member, source="198.51.100.4")
        assert isinstance(prepared, str)
        assert type_prepared(member, store, prepared) == prepared


def test_a_re_set_without_a_ticket_needs_no_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "counters", lambda: 1 / 0)
    assert isinstance(type_prepared(MemberFactory(), StaffFactory(role="Store"), ""), str)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("role", ["Call centre", "Store"])
def test_the_desk_says_how_long_to_wait(settings: Any, role: str, language: str) -> None:
    settings.SOURCE_FAILURE_LIMIT = "1/hour"
    client = as_staff(StaffFactory(role=role))
    address, typed = {
        "Call centre": ("hand-off", {"code": "000000"}),
        "Store": (
            "pin-reset",
            {"document": "passport", "place": "Ueno", "prepared_ticket": "00000000"},
        ),
    }[role]
    pages = [
        client.post(
            f"/admin/members/member/{MemberFactory().pk}/{address}/",
            typed,
            headers={"accept-language": language},
        )
        for _ in range(2)
    ]
    assert [page.status_code for page in pages] == [200, 429]
    assert 3590 <= int(pages[1]["Retry-After"]) <= 3601
    text = pages[1].content.decode()
    assert any(said(TOO_MANY, language) % {"minutes": minutes} in text for minutes in (60, 61))
