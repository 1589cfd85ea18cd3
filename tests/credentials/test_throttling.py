"""Throttling by source: before anything is charged to an account."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread, current_thread
from threading import Event as Happening
from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from limits.errors import StorageError
from limits.storage import MemoryStorage

from credentials import api_keys, throttling
from credentials.counters import counters
from credentials.models import ApiClient, ApiKey, Event
from credentials.refusals import Refusal
from credentials.throttling import Share, client_address, shares_of
from members.hashing import Slots
from tests.factories import PIN, MemberFactory, StaffFactory, with_check_digit
from tests.pages import LANGUAGES, browser, is_signed_in, said, user_of, with_card, with_web_id


def unknown_card(place: int) -> str:
    return with_check_digit(f"48{place:013}")


def try_unknown(place: int, address: str = "203.0.113.7") -> Any:
    return browser(address=address).post(
        "/login/", {"card_number": unknown_card(place), "pin": "0099"}
    )


def minutes_said(language: str, minutes: int) -> str:
    message = (
        "Too many tries came from your network. Nothing was counted against you. "
        "Wait %(minutes)s minutes and try again, or call us."
    )
    return said(message, language) % {"minutes": minutes}


# --- How much one source may fail -------------------------------------------------------------


@pytest.mark.django_db
def test_source_that_fails_on_many_accounts_is_stopped_before_the_next_is_charged() -> None:
    for place in range(10):
        assert try_unknown(place).status_code == 200
    victim = MemberFactory()
    assert with_card(browser(), victim, pin="0099").status_code == 429
    assert user_of(victim).attempts == 0
    assert not Event.objects.filter(whom=victim.number).exists()


@pytest.mark.django_db
def test_even_the_right_pin_is_not_looked_at_while_throttled() -> None:
    for place in range(10):
        try_unknown(place)
    assert with_card(browser(), MemberFactory()).status_code == 429


@pytest.mark.django_db
def test_accounts_that_failed_already_may_be_tried_again_by_a_full_source() -> None:
    member = MemberFactory()
    with_card(browser(), member, pin="0099")
    for place in range(9):
        try_unknown(place)
    assert try_unknown(99).status_code == 429
    assert with_card(browser(), member).status_code == 302


@pytest.mark.django_db
def test_failures_on_one_account_are_bounded_for_a_source(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "6/hour"
    assert [try_unknown(1).status_code for _ in range(7)] == [200] * 6 + [429]
    assert try_unknown(1, address="198.51.100.1").status_code == 200


@pytest.mark.django_db
def test_source_that_is_stopped_is_in_the_log_once(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SOURCE_FAILURE_LIMIT = "2/hour"
    for _turn in range(6):
        try_unknown(1)
    lines = [line.getMessage() for line in caplog.records if "throttled" in line.getMessage()]
    assert lines == ["throttled: sign-in from 203.0.113.7"]


@pytest.mark.django_db
def test_ways_in_share_the_share_of_a_source(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "2/hour"
    member = MemberFactory(web_id="Hanako1983")
    with_card(browser(), member, pin="0099")
    with_web_id(browser(), member, password="not the right one")
    typed = {"username": "nobody", "password": "not the right one"}
    assert browser().post("/admin/login/", typed).status_code == 429


@pytest.mark.django_db
def test_successes_cost_a_source_nothing(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "2/hour"
    settings.SOURCE_ACCOUNT_LIMIT = "3/hour"
    for _ in range(6):
        assert with_card(browser(), MemberFactory()).status_code == 302


@pytest.mark.django_db
def test_refused_tries_are_not_counted_themselves(settings: Any) -> None:
    settings.SOURCE_ACCOUNT_LIMIT, settings.SOURCE_FAILURE_LIMIT = "1/hour", "3/hour"
    member = MemberFactory()
    with_card(browser(), member, pin="0099")
    assert {try_unknown(place).status_code for place in range(9)} == {429}
    assert with_card(browser(), member).status_code == 302


@pytest.mark.django_db
def test_refused_tries_do_not_lengthen_the_wait(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "1/hour"
    try_unknown(1)
    first, later = try_unknown(2), [try_unknown(place) for place in range(3, 9)][-1]
    assert int(later["Retry-After"]) <= int(first["Retry-After"])


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/login/", "/login/web-id/", "/pin/", "/web-id/register/"])
def test_throttled_answer_says_how_long_to_wait(settings: Any, language: str, path: str) -> None:
    settings.SOURCE_FAILURE_LIMIT = "1/hour"
    typed = {
        "card_number": unknown_card(1),
        "pin": "0099",
        "web_id": "nobody1234",
        "password": "not the right one",
        "ticket": "12345678",
        "pin1": "9642",
        "pin2": "9642",
        "member_number": "123456789",
        "email": "nobody@example.com",
    }
    client = browser(language)
    client.post(path, typed)
    answer = client.post(path, typed)
    assert answer.status_code == 429
    assert 3590 <= int(answer["Retry-After"]) <= 3601
    page = answer.content.decode()
    assert any(minutes_said(language, minutes) in page for minutes in (60, 61))


@pytest.mark.django_db
def test_shares_of_sign_in_registration_and_tickets_are_kept_apart(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "1/hour"
    try_unknown(1)
    assert try_unknown(1).status_code == 429
    asked = {"member_number": "123456789", "email": "nobody@example.com"}
    assert browser().post("/web-id/register/", asked).status_code == 302


@pytest.mark.django_db
def test_malformed_input_costs_a_source_nothing(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "1/hour"
    for _ in range(5):
        browser().post("/login/", {"card_number": "123456789", "pin": PIN})
    assert try_unknown(1).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_hashing_slot_is_a_503_that_is_charged_to_nobody(
    monkeypatch: pytest.MonkeyPatch, settings: Any, language: str
) -> None:
    settings.SOURCE_FAILURE_LIMIT = "1/hour"
    member = MemberFactory()
    full = Slots(1, waiting=1, seconds=0.0)
    monkeypatch.setattr("credentials.login.slots", full)
    with full.take():
        for _ in range(3):
            answer = with_card(browser(language), member, pin="0099")
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    message = (
        "Very many members are signing in right now. Nothing was counted against "
        "you. Please try again in a few seconds."
    )
    assert said(message, language) in answer.content.decode()
    assert user_of(member).attempts == 0
    assert not Event.objects.exists()
    assert with_card(browser(), member).status_code == 302


# --- The counters gone: stricter, never looser ------------------------------------------------


class Lost(MemoryStorage):
    """Counters that nobody reaches; `after` so many answers."""

    def __init__(self, after: int = 0) -> None:
        super().__init__()
        self.answers, self.inside = after, MemoryStorage()

    def _answer(self) -> None:
        if not self.answers:
            raise StorageError(ConnectionError())
        self.answers -= 1

    def incr(self, *args: Any, **options: Any) -> int:
        self._answer()
        return self.inside.incr(*args, **options)

    def get(self, *args: Any, **options: Any) -> int:
        self._answer()
        return self.inside.get(*args, **options)


def lose(monkeypatch: pytest.MonkeyPatch, after: int = 0) -> None:
    """Have the counters gone from now on, or after so many answers."""
    lost = Lost(after)
    monkeypatch.setattr(throttling, "counters", lambda: lost)
    # The client would raise what the page answers.
    monkeypatch.setattr("django.test.client.Client.store_exc_info", lambda *_a, **_k: None)


@pytest.mark.django_db
@pytest.mark.parametrize("sign_in", [with_card, with_web_id])
def test_without_counters_a_strangers_device_is_turned_away_uncharged(
    monkeypatch: pytest.MonkeyPatch, sign_in: Any
) -> None:
    member, other = MemberFactory(web_id="Hanako1983"), MemberFactory()
    strangers = browser()
    with_card(strangers, other)
    events = Event.objects.count()
    lose(monkeypatch)
    for client in (browser(), strangers):
        answer = sign_in(client, member)
        assert answer.status_code == 503
        assert answer["Retry-After"] == "10"
    assert user_of(member).attempts == 0
    assert Event.objects.count() == events


@pytest.mark.django_db
@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("sign_in", [with_card, with_web_id])
def test_without_counters_a_known_device_goes_on(
    monkeypatch: pytest.MonkeyPatch, sign_in: Any, after: int
) -> None:
    """At whatever moment they go."""
    member = MemberFactory(web_id="Hanako1983")
    phone = browser()
    with_card(phone, member)
    phone.post("/logout/")
    lose(monkeypatch, after)
    assert sign_in(phone, member, "0099").status_code == 200
    assert sign_in(phone, member).status_code == 302
    assert is_signed_in(phone)


@pytest.mark.django_db
def test_without_counters_a_known_device_has_five_guesses_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    member = MemberFactory()
    phone = browser()
    with_card(phone, member)
    phone.post("/logout/")
    lose(monkeypatch)
    for _ in range(8):
        assert with_card(phone, member, pin="0099").status_code == 200
    failed = Event.objects.filter(act=Event.Act.SIGN_IN_FAILED)
    assert failed.exclude(details__failures=0).count() == 5
    assert user_of(member).suspended_at


@pytest.mark.django_db
def test_counters_that_go_in_mid_sign_in_do_not_spoil_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked: the alarm, the failures, the accounts, the account. Then it is to be forgiven."""
    member = MemberFactory()
    lose(monkeypatch, after=4)
    client = browser()
    assert with_card(client, member).status_code == 302
    assert is_signed_in(client)


@pytest.mark.django_db
def test_without_counters_the_card_host_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    new = api_keys.make(
        client=ApiClient.objects.create(name="card host"),
        scope=ApiKey.Scope.CARD_VERIFICATIONS,
        days=None,
        reason="tests",
        by=StaffFactory(role="Administrator"),
    )
    assert isinstance(new, api_keys.NewKey)
    asked = {
        "card_number": MemberFactory().card.number,
        "pin": PIN,
        "terminal": "ATM-0001",
        "trace": "112213000001",
    }
    lose(monkeypatch)
    answer = browser().post(
        "/api/v1/card-verifications",
        asked,
        content_type="application/json",
        headers={"authorization": f"Bearer {new.text}"},
    )
    assert (answer.status_code, answer.json()["response_code"]) == (200, "00")


# --- Counted in advance -----------------------------------------------------------------------


def admitted(purpose: str, address: str, account: str = "") -> throttling.Admission:
    admission = throttling.admit(purpose, address=address, account=account)
    assert isinstance(admission, throttling.Admission)
    return admission


def refused(purpose: str, address: str, account: str = "") -> bool:
    return isinstance(throttling.admit(purpose, address=address, account=account), Refusal)


def test_a_place_is_given_up_by_the_last_who_holds_it(settings: Any) -> None:
    """Two attempts on one account at once: the one that succeeds does not uncount the other."""
    settings.SOURCE_ACCOUNT_LIMIT = "1/hour"
    first, second = (admitted("x", "192.0.2.1", "one") for _ in range(2))
    first.forgive()
    assert refused("x", "192.0.2.1", "other")
    second.forgive()
    admitted("x", "192.0.2.1", "other")


def test_two_at_once_on_an_account_that_has_no_place_are_both_refused(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes while the first one's place is counted and not yet given back."""
    settings.SOURCE_ACCOUNT_LIMIT = "1/hour"
    admitted("x", "192.0.2.1", "one")
    seen: list[bool] = []
    forgive = throttling.Admission.forgive

    def meanwhile(admission: throttling.Admission) -> None:
        if not seen:
            seen.append(True)
            seen.append(refused("x", "192.0.2.1", "other"))
        forgive(admission)

    monkeypatch.setattr(throttling.Admission, "forgive", meanwhile)
    assert refused("x", "192.0.2.1", "other")
    assert seen == [True, True]
    monkeypatch.undo()
    # And nothing of it is left.
    admitted("x", "192.0.2.1", "one")
    assert counters().get("throttle:x:accounts:192.0.2.1") == 1


def test_nobody_takes_a_place_for_granted_that_came_after_they_looked(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One counts a place; another on the same account does, too, and is just being refused."""
    settings.SOURCE_ACCOUNT_LIMIT = "1/hour"
    admitted("x", "192.0.2.1", "one")
    counted, may_go_on = Happening(), Happening()
    storage, forgive = counters(), throttling.Admission.forgive
    outcome: list[bool] = []

    class Slow(MemoryStorage):
        def incr(self, key: str, *args: Any, **options: Any) -> int:
            value = storage.incr(key, *args, **options)
            if current_thread() is slow and ":accounts:" in key and not counted.is_set():
                counted.set()
                may_go_on.wait(30)
            return value

    def while_it_is_refused(admission: throttling.Admission) -> None:
        if current_thread() is not slow:
            may_go_on.set()
            slow.join(30)
        forgive(admission)

    slow = Thread(target=lambda: outcome.append(refused("x", "192.0.2.1", "other")))
    monkeypatch.setattr(throttling, "counters", Slow)
    monkeypatch.setattr(throttling.Admission, "forgive", while_it_is_refused)
    slow.start()
    assert counted.wait(30)
    assert refused("x", "192.0.2.1", "other")
    assert outcome == [True]


def test_of_many_at_once_no_more_accounts_than_the_limit_are_let_in(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT, settings.SOURCE_ACCOUNT_LIMIT = "1000/hour", "10/hour"
    gate = Barrier(60)

    def attempt(turn: int) -> str:
        gate.wait(30)
        account = f"{turn // 2}"
        admission = throttling.admit("x", address="2001:db8::1", account=account)
        return "" if isinstance(admission, Refusal) else account

    with ThreadPoolExecutor(60) as threads:
        let_in = set(threads.map(attempt, range(60))) - {""}
    assert len(let_in) <= 10


def test_forgiving_what_has_ended_gives_no_credit(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT, settings.SOURCE_ACCOUNT_LIMIT = "1/hour", "1/hour"
    for account in ("", "one"):
        late = admitted("x", "192.0.2.1", account)
        counters().reset()
        late.forgive()
        admitted("x", "192.0.2.1", account)
        assert refused("x", "192.0.2.1", account)
        counters().reset()


# --- Whose failure it is ----------------------------------------------------------------------


@pytest.mark.django_db
def test_left_part_of_x_forwarded_for_is_not_believed(settings: Any) -> None:
    settings.SOURCE_ACCOUNT_LIMIT = "3/hour"
    answers = [
        try_unknown(place, address=f"192.0.2.{place}, 203.0.113.7").status_code
        for place in range(5)
    ]
    assert answers == [200, 200, 200, 429, 429]


@pytest.mark.django_db
def test_addresses_of_one_ipv6_64_are_one_source(settings: Any) -> None:
    settings.SOURCE_ACCOUNT_LIMIT = "3/hour"
    answers = [
        try_unknown(place, address=f"2001:db8:0:1::{place:x}").status_code for place in range(5)
    ]
    assert answers == [200, 200, 200, 429, 429]
    assert try_unknown(9, address="2001:db8:0:2::1").status_code == 200


@pytest.mark.django_db
def test_the_48_of_an_ipv6_address_has_five_shares(settings: Any) -> None:
    settings.SOURCE_ACCOUNT_LIMIT = "2/hour"
    addresses = [f"2001:db8:0:{place:x}::1" for place in range(12)]
    answers = [try_unknown(place, address).status_code for place, address in enumerate(addresses)]
    assert answers == [200] * 10 + [429] * 2
    assert try_unknown(99, address="2001:db8:1::1").status_code == 200


@pytest.mark.django_db
def test_failures_from_a_48_are_bounded_too(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT, settings.SOURCE_SITE_FACTOR = "2/hour", 3
    addresses = [f"2001:db8:0:{place:x}::1" for place in range(8)]
    answers = [try_unknown(1, address).status_code for address in addresses]
    assert answers == [200] * 6 + [429] * 2


@pytest.mark.django_db
def test_a_64_that_had_its_share_takes_nothing_from_the_others_of_its_48(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "2/hour"
    for _ in range(20):
        try_unknown(1, address="2001:db8:0:1::1")
    for place in range(2, 6):
        answers = [try_unknown(1, address=f"2001:db8:0:{place}::1").status_code for _ in range(2)]
        assert answers == [200, 200]


@pytest.mark.django_db
def test_successes_cost_a_48_nothing(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = settings.SOURCE_ACCOUNT_LIMIT = "1/hour"
    for place in range(9):
        client = browser(address=f"2001:db8:0:{place:x}::1")
        assert with_card(client, MemberFactory()).status_code == 302


@pytest.mark.parametrize(
    ("proxies", "forwarded", "peer", "address"),
    [
        (0, "192.0.2.1", "203.0.113.7", "203.0.113.7"),
        (1, "192.0.2.1", "10.0.0.1", "192.0.2.1"),
        (1, "198.51.100.1, 192.0.2.1", "10.0.0.1", "192.0.2.1"),
        (2, "198.51.100.1, 192.0.2.1, 10.0.0.2", "10.0.0.1", "192.0.2.1"),
        (2, "192.0.2.1", "10.0.0.1", "192.0.2.1"),
        (1, "", "203.0.113.7", "203.0.113.7"),
        (1, "192.0.2.1, nonsense", "203.0.113.7", "203.0.113.7"),
        (1, "192.0.2.1", "", "192.0.2.1"),
        (1, "::ffff:192.0.2.1", "10.0.0.1", "192.0.2.1"),
        (1, "2001:DB8::0001", "10.0.0.1", "2001:db8::1"),
        (1, "fe80::1%eth0", "10.0.0.1", "fe80::1"),
        (0, "", "", ""),
    ],
)
def test_address_counts_from_the_right(
    settings: Any, proxies: int, forwarded: str, peer: str, address: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", HTTP_X_FORWARDED_FOR=forwarded, REMOTE_ADDR=peer)
    assert client_address(request) == address


@given(forged=st.text(max_size=60))
def test_whatever_a_client_forges_its_address_stays(forged: str) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1")
    request.META["HTTP_X_FORWARDED_FOR"] = f"{forged}, 192.0.2.1"
    assert client_address(request) == "192.0.2.1"


def test_an_ipv4_address_is_a_source_an_ipv6_one_is_two() -> None:
    assert shares_of("192.0.2.1") == (Share("192.0.2.1"),)
    assert shares_of("2001:db8:0:7::1") == (Share("2001:db8:0:7::/64"), Share("2001:db8::/48", 5))
    assert shares_of("2001:db8:0:7::1") == shares_of("2001:db8:0:7::ffff:1")
    assert shares_of("") == (Share(""),)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("198.51.100.9:5678", "198.51.100.9"),
        ("[2001:db8::1]:5678", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("198.51.100.9:port", "127.0.0.1"),
    ],
)
def test_port_that_a_proxy_adds_is_not_part_of_the_address(forwarded: str, address: str) -> None:
    request = RequestFactory().get("/", headers={"x-forwarded-for": forwarded})
    assert client_address(request) == address
