"""Throttling by source: before anything is charged to an account."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from limits.errors import StorageError
from limits.storage import MemoryStorage

from credentials import throttling
from credentials.models import Event
from credentials.throttling import Share, client_address, shares_of
from members.hashing import Slots
from members.models import User
from tests.factories import PIN, MemberFactory, with_check_digit
from tests.pages import LANGUAGES, browser, said, user_of, with_card, with_web_id


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


@pytest.mark.django_db
def test_lost_counters_close_the_sign_in_and_charge_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Lost(MemoryStorage):
        def incr(self, *args: Any, **options: Any) -> int:
            raise StorageError(ConnectionError())

    monkeypatch.setattr(throttling, "counters", Lost)
    member = MemberFactory()
    client = browser()
    client.raise_request_exception = False
    answer = with_card(client, member)
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert User.objects.get(member=member).attempts == 0


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
