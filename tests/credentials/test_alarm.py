"""The site-wide alarm: too many failures from everywhere close the PIN to strangers' devices."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from limits.errors import StorageError
from limits.storage import MemoryStorage

from credentials import alarm, throttling
from credentials.counters import counters, seconds_left
from credentials.models import Event
from tests.conftest import Browser
from tests.credentials.test_devices import fresh
from tests.credentials.test_login import UNKNOWN_CARD, traits
from tests.credentials.test_throttling import try_unknown
from tests.factories import MemberFactory, StaffFactory
from tests.pages import LANGUAGES, browser, is_signed_in, said, user_of, with_card, with_web_id

pytestmark = pytest.mark.django_db
RAISED = Event.Act.ALARM_RAISED
_SECOND = "alarm:failures:2"


@pytest.fixture(autouse=True)
def _low(settings: Any) -> None:
    settings.GLOBAL_FAILURE_ALARM = "3/minute"


def failures(number: int, first: int = 0) -> None:
    """Fail so many times, on as many unknown cards, from as many addresses."""
    for place in range(first, first + number):
        assert try_unknown(place, address=f"198.51.100.{place}").status_code == 200


def raise_alarm() -> None:
    failures(4)
    assert alarm.raised_for()


# --- When it is raised ------------------------------------------------------------------------


def test_it_is_raised_when_the_count_passes_the_limit() -> None:
    failures(3)
    assert not alarm.raised_for()
    failures(1, first=50)
    assert 895 <= alarm.raised_for() <= 901
    event = Event.objects.get(act=RAISED)
    assert (event.by, event.whom) == ("system", "")
    assert event.details == {"limit": "3/minute", "failures": 4, "seconds": 900}


def test_failures_by_both_ways_count_and_successes_do_not() -> None:
    member = MemberFactory(web_id="Hanako1983")
    for _ in range(9):
        assert with_card(Browser(), member).status_code == 302
    for sign_in, secret in ((with_card, "0099"), (with_web_id, "not the right one")) * 2:
        assert not alarm.raised_for()
        assert sign_in(browser(), member, secret).status_code == 200
    assert alarm.raised_for()


def test_what_is_no_members_failure_does_not_count(settings: Any) -> None:
    settings.GLOBAL_FAILURE_ALARM = "1/minute"
    staff = StaffFactory(role="Store")
    for place in range(3):
        typed = {"username": staff.username, "password": "not the right one"}
        browser(address=f"198.51.100.{place}").post("/admin/login/", typed)
        # Malformed: charged to nobody.
        browser().post("/login/", {"card_number": "123456789", "pin": "0099"})
        browser().post("/pin/", {"card_number": UNKNOWN_CARD, "ticket": "12345678"})
    assert not alarm.raised_for()


def test_one_source_does_not_raise_it(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "3/hour"
    assert [try_unknown(1).status_code for _ in range(9)] == [200] * 3 + [429] * 6
    assert not alarm.raised_for()
    failures(1, first=50)
    assert alarm.raised_for()


def test_one_source_does_not_keep_it_up(settings: Any) -> None:
    raise_alarm()
    settings.SOURCE_FAILURE_LIMIT = "2/hour"
    counters().reset()
    counters().incr("alarm:raised", 60)
    for _ in range(9):
        assert try_unknown(1).status_code == 429
    assert alarm.raised_for() <= 60
    for place in range(2):
        assert try_unknown(1, address=f"198.51.100.{place}").status_code == 429
    assert alarm.raised_for() > 60


def test_none_is_raised_that_is_not_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OperationalError

    failures(3)
    with monkeypatch.context() as patched:
        patched.setattr(alarm.audit, "record", broken)
        with pytest.raises(OperationalError):
            alarm.count_failure()
    assert not alarm.raised_for()
    counters().clear("alarm:turn")
    failures(1, first=50)
    assert alarm.raised_for()
    assert Event.objects.filter(act=RAISED).count() == 1


def test_what_the_alarm_turned_away_prolongs_it() -> None:
    raise_alarm()
    counters().clear("alarm:raised")
    counters().incr("alarm:raised", 100)
    counters().clear("alarm:turn")
    assert try_unknown(9).status_code == 429
    assert alarm.raised_for() > 800


def test_it_is_not_prolonged_by_a_failure_now_and_then() -> None:
    raise_alarm()
    counters().reset()
    counters().incr("alarm:raised", 100)
    try_unknown(9)
    assert alarm.raised_for() <= 101


def test_it_ends_by_itself_and_each_raising_is_on_record_once() -> None:
    raise_alarm()
    for place in range(20):
        try_unknown(place)
        counters().clear("alarm:turn")
    assert Event.objects.filter(act=RAISED).count() == 1
    # 900 seconds later:
    counters().reset()
    assert not alarm.raised_for()
    raise_alarm()
    assert Event.objects.filter(act=RAISED).count() == 2


def test_a_process_that_died_half_way_is_made_up_for() -> None:
    """The one that passed the limit counted, and did no more."""
    for _ in range(6):
        alarm._counted()
    assert not alarm.raised_for()
    failures(1)
    assert alarm.raised_for()
    assert Event.objects.filter(act=RAISED).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_fifty_that_pass_the_limit_at_once_one_puts_it_on_record(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, get = Barrier(50), counters().get

    def slowly(key: str) -> int:
        """Say whether the alarm is raised so slowly that all would find that it is not."""
        found = get(key)
        if key == "alarm:raised":
            time.sleep(0.1)
        return found

    monkeypatch.setattr(counters(), "get", slowly)

    def fail(_turn: int) -> None:
        gate.wait(30)
        alarm.count_failure()
        connection.close()

    with ThreadPoolExecutor(50) as threads:
        list(threads.map(fail, range(50)))
    assert alarm.raised_for()
    assert Event.objects.filter(act=RAISED).count() == 1
    [line] = [record for record in caplog.records if record.name == "credentials.alarm"]
    assert line.levelname == "ERROR"
    assert "the limit is 3/minute" in line.getMessage()


def left(key: str) -> int:
    return seconds_left(counters(), key, at_most=60)


def test_failures_around_the_end_of_a_minute_are_counted_together() -> None:
    """Two counts, half a minute apart: one of them has all that came within half a minute."""
    storage = counters()
    failures(1)
    first, second = left("alarm:failures:1"), left(_SECOND)
    assert 28 <= abs(first - second) <= 32
    # The first one's minute ends:
    failures(1, first=50)
    storage.clear("alarm:failures:1")
    failures(2, first=60)
    assert alarm.raised_for()


def test_both_counts_go_on_half_a_minute_apart() -> None:
    storage = counters()
    storage.incr("alarm:failures:1", 20)
    alarm.count_failure()
    assert 48 <= left(_SECOND) <= 51
    storage.clear("alarm:failures:1")
    storage.clear(_SECOND)
    storage.incr("alarm:failures:1", 45)
    alarm.count_failure()
    assert 13 <= left(_SECOND) <= 16


# --- What it closes ---------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_to_a_strangers_device_every_card_is_closed_alike(language: str) -> None:
    member, closed = MemberFactory(), MemberFactory()
    known = browser(language)
    with_card(known, closed)
    events = Event.objects.count()
    raise_alarm()
    seen = {}
    for number, pin in (
        (member.card.number, "2580"),
        (member.card.number, "0099"),
        (UNKNOWN_CARD, "2580"),
    ):
        for device in (browser(language), fresh(known)):
            device.defaults["HTTP_ACCEPT_LANGUAGE"] = language
            with CaptureQueriesContext(connection) as queries:
                answer = device.post("/login/", {"card_number": number, "pin": pin})
            looked_up = len(queries)
            has_cookie = "__Host-devices" in device.cookies
            # Where there is a device cookie the account is looked up, whether there is one or not.
            assert looked_up == has_cookie
            wait = int(answer["Retry-After"])
            assert 890 <= wait <= 901
            del answer.headers["Retry-After"]
            seen[number, pin, has_cookie] = traits(answer, number)
    first = next(iter(seen.values()))
    assert set(map(str, seen.values())) == {str(first)}
    assert first[0] == 429
    message = (
        "Because of very many failed attempts all over the site, card number and PIN are closed "
        "for a while on devices that you have not signed in on before. Nothing was counted "
        "against you. Sign in with Web-ID and password, or call us: %(phone)s."
    )
    assert said(message, language) % {"phone": "0120-000-000"} in first[3]
    assert user_of(member).attempts == 0
    # The four unknown cards, and the alarm.
    assert Event.objects.count() == events + 5


def test_closed_costs_a_source_nothing(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "1/hour"
    raise_alarm()
    for _ in range(5):
        try_unknown(1)
    counters().clear("alarm:raised")
    assert try_unknown(1).status_code == 200


def test_a_known_device_goes_on_for_its_account_and_no_other() -> None:
    member, other = MemberFactory(), MemberFactory()
    phone = browser()
    with_card(phone, member)
    raise_alarm()
    device = fresh(phone)
    assert with_card(device, other).status_code == 429
    assert with_card(device, member, pin="0099").status_code == 200
    assert with_card(device, member).status_code == 302
    assert is_signed_in(device)


def test_a_known_device_still_has_only_five_guesses() -> None:
    member = MemberFactory()
    phone = browser()
    with_card(phone, member)
    raise_alarm()
    device = fresh(phone)
    for _ in range(8):
        assert with_card(device, member, pin="0099").status_code == 200
    on_record = Event.objects.filter(act=Event.Act.SIGN_IN_FAILED, whom=member.number)
    judged = on_record.exclude(details__failures=0)
    assert judged.count() == 5


def test_web_id_goes_on_everywhere_and_makes_the_device_known() -> None:
    member = MemberFactory(web_id="Hanako1983")
    raise_alarm()
    device = browser()
    assert with_card(device, member).status_code == 429
    assert with_web_id(device, member).status_code == 302
    assert with_card(fresh(device), member).status_code == 302


def test_staff_and_the_terminal_go_on(staff_browser: Callable[..., Browser]) -> None:
    raise_alarm()
    assert staff_browser("Store").get("/admin/").status_code == 200
    typed = {"card_number": UNKNOWN_CARD, "ticket": "12345678", "pin1": "9642", "pin2": "9642"}
    assert browser().post("/pin/", typed).status_code == 200


# --- Where it shows ---------------------------------------------------------------------------

HEADINGS = {
    "raised": "Alarm: very many failures to sign in, all over the site",
    "lost": "The counters are out of reach",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_shows_on_the_overview(staff_browser: Callable[..., Browser], language: str) -> None:
    auditor = staff_browser("Auditor")

    def page() -> str:
        answer = auditor.get("/admin/overview/", headers={"accept-language": language})
        text: str = answer.content.decode()
        return text

    assert not any(said(heading, language) in page() for heading in HEADINGS.values())
    raise_alarm()
    assert said(HEADINGS["raised"], language) in page()
    assert "3/minute" in page()
    counters().reset()
    assert said(HEADINGS["raised"], language) not in page()


@pytest.mark.parametrize("language", LANGUAGES)
def test_lost_counters_show_on_the_overview(
    staff_browser: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    class Lost(MemoryStorage):
        def get(self, *args: Any) -> int:
            raise StorageError(ConnectionError())

    auditor = staff_browser("Auditor")
    monkeypatch.setattr(throttling, "counters", Lost)
    answer = auditor.get("/admin/overview/", headers={"accept-language": language})
    assert answer.status_code == 200
    assert said(HEADINGS["lost"], language) in answer.content.decode()
