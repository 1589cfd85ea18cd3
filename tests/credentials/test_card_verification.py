"""The card at the ATM: one count with the portal, and one judgement for each trace number."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from credentials import card_verification
from credentials.card_verification import OTHER_CONTENTS, STILL_RUNNING, Code, verify
from credentials.models import ApiClient, ApiKey, CardVerification, Event
from credentials.refusals import BUSY, Refusal
from members import pins
from members.hashing import NoSlot, Slots, slots
from members.models import Member, User
from tests.conftest import Browser
from tests.factories import PIN, MemberFactory, with_check_digit

pytestmark = pytest.mark.django_db
WRONG = "9753"
_traces = count(1)


@pytest.fixture
def key() -> ApiKey:
    client = ApiClient.objects.create(name="card host")
    return ApiKey.objects.create(
        client=client,
        prefix="msp_tests000",
        scope=ApiKey.Scope.CARD_VERIFICATIONS,
        expires_at=Now() + timedelta(days=1),
    )


@pytest.fixture
def ask(key: ApiKey) -> Callable[..., Code | Refusal]:
    """Return a function that asks about a member's card, with a new trace number."""

    def ask(member: Member, pin: str = PIN, **how: Any) -> Code | Refusal:
        question = {
            "by": key,
            "card_number": member.card.number,
            "pin": pin,
            "terminal": "ATM-0001",
            "trace": f"{next(_traces)}",
            "source": "192.0.2.10",
        }
        return verify(**{**question, **how})

    return ask


def failures(member: Member) -> int:
    return User.objects.get(member=member).failures


def test_the_right_pin_is_approved_and_clears_the_count(ask: Callable[..., Any]) -> None:
    member = MemberFactory()
    assert ask(member, WRONG) is Code.WRONG_PIN
    assert failures(member) == 1
    assert ask(member) is Code.APPROVED
    assert failures(member) == 0
    event = Event.objects.get(act=Event.Act.CARD_VERIFIED)
    assert (event.by, event.whom, event.source) == ("card host", member.number, "192.0.2.10")
    assert event.details == {
        "terminal": "ATM-0001",
        "client": "card host",
        "key": "msp_tests000",
    }


def test_a_wrong_pin_is_on_record_as_the_card_host_s(ask: Callable[..., Any]) -> None:
    member = MemberFactory()
    ask(member, WRONG)
    event = Event.objects.get(act=Event.Act.CARD_REFUSED)
    assert (event.by, event.whom) == ("card host", member.number)
    assert event.details["terminal"] == "ATM-0001"
    assert event.details["failures"] == 1


def test_failures_at_the_portal_and_at_the_atm_are_one_count(
    ask: Callable[..., Any], client: Browser, settings: Settings
) -> None:
    settings.LOGIN_FAILURE_LIMIT = 3
    member = MemberFactory()
    client.post("/login/", {"card_number": member.card.number, "pin": WRONG})
    assert ask(member, WRONG) is Code.WRONG_PIN
    assert ask(member, WRONG) is Code.TRIES_EXCEEDED
    assert Event.objects.filter(act=Event.Act.SUSPENDED, whom=member.number).count() == 1
    answer = client.post("/login/", {"card_number": member.card.number, "pin": PIN})
    assert answer.status_code == 200
    assert ask(member) is Code.TRIES_EXCEEDED


def test_a_suspension_at_the_portal_stops_the_card(
    ask: Callable[..., Any], client: Browser, settings: Settings
) -> None:
    settings.LOGIN_FAILURE_LIMIT = 2
    member = MemberFactory()
    for _turn in range(2):
        client.post("/login/", {"card_number": member.card.number, "pin": WRONG})
    assert ask(member) is Code.TRIES_EXCEEDED
    User.objects.filter(member=member).update(suspended_until=F("suspended_at"))
    assert ask(member) is Code.APPROVED


def test_a_card_that_nobody_has(key: ApiKey, ask: Callable[..., Any]) -> None:
    member = MemberFactory()
    assert ask(member, card_number=with_check_digit("499009999999999")) is Code.NO_SUCH_CARD
    assert failures(member) == 0


def test_a_closed_membership_is_restricted(ask: Callable[..., Any]) -> None:
    member = MemberFactory()
    User.objects.filter(member=member).update(is_active=False)
    assert ask(member) is Code.RESTRICTED


def test_a_card_without_a_pin_is_counted_like_a_wrong_one(ask: Callable[..., Any]) -> None:
    member = MemberFactory(pin="")
    assert ask(member) is Code.WRONG_PIN
    assert failures(member) == 1


def test_all_attempts_in_judgement_are_tries_exceeded_not_restricted(
    ask: Callable[..., Any], settings: Settings
) -> None:
    member = MemberFactory()
    User.objects.filter(member=member).update(attempts=settings.LOGIN_FAILURE_LIMIT)
    assert ask(member) is Code.TRIES_EXCEEDED


@pytest.mark.parametrize("pin", [PIN, WRONG])
def test_the_same_question_again_gets_the_same_answer_and_counts_nothing(
    ask: Callable[..., Any], pin: str
) -> None:
    member = MemberFactory()
    first = ask(member, pin, trace="T1")
    counted, recorded = failures(member), Event.objects.count()
    assert [ask(member, pin, trace="T1") for _turn in range(9)] == [first] * 9
    assert (failures(member), Event.objects.count()) == (counted, recorded)


@pytest.mark.parametrize(
    "other", [{"pin": WRONG}, {"terminal": "ATM-0002"}, {"card_number": "4990000000000006"}]
)
def test_a_trace_number_with_other_contents_is_refused_and_counts_nothing(
    ask: Callable[..., Any], other: dict[str, str]
) -> None:
    member = MemberFactory()
    ask(member, trace="T1")
    assert ask(member, **{"trace": "T1", **other}) is OTHER_CONTENTS
    assert failures(member) == 0


def test_clients_have_trace_numbers_of_their_own(ask: Callable[..., Any]) -> None:
    member = MemberFactory()
    other = ApiKey.objects.create(
        client=ApiClient.objects.create(name="other"),
        prefix="msp_tests001",
        expires_at=Now() + timedelta(days=1),
    )
    assert ask(member, trace="T1") is Code.APPROVED
    assert ask(member, WRONG, trace="T1", by=other) is Code.WRONG_PIN


def test_a_question_is_known_again_after_the_keys_rotated(
    ask: Callable[..., Any], settings: Settings
) -> None:
    member = MemberFactory()
    ask(member, trace="T1")
    settings.PIN_KEYS = {"v2": b"2" * 32, **settings.PIN_KEYS}
    assert ask(member, trace="T1") is Code.APPROVED


def test_without_a_slot_nothing_is_charged_and_the_same_question_may_come_again(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    member = MemberFactory()

    def full() -> None:
        raise NoSlot

    with monkeypatch.context() as patched:
        patched.setattr(slots, "take", full)
        assert ask(member, trace="T1") is BUSY
    assert (failures(member), CardVerification.objects.count(), Event.objects.count()) == (0, 0, 0)
    assert ask(member, trace="T1") is Code.APPROVED


class Killed(BaseException):
    """The process ends here."""


def killed_at(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, ask: Any) -> None:
    """Ask, and let the process end where `name` would be called."""

    def end(*args: Any, **kwargs: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(where, name, end)
        with pytest.raises(Killed):
            ask()


def time_passes(seconds: int) -> None:
    CardVerification.objects.update(asked_at=F("asked_at") - timedelta(seconds=seconds))


@pytest.mark.parametrize("name", ["settle_success", "_answer"])
def test_a_question_that_a_crash_left_is_given_up_and_never_judged_again(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    member = MemberFactory()
    killed_at(monkeypatch, card_verification, name, lambda: ask(member, trace="T1"))
    # Counted, and nothing else: not approved, not on record.
    assert failures(member) == 1
    assert not Event.objects.exists()
    assert ask(member, trace="T1") is STILL_RUNNING
    time_passes(59)
    assert ask(member, trace="T1") is STILL_RUNNING
    time_passes(2)
    assert ask(member, trace="T1") is Code.UNAVAILABLE
    assert ask(member, trace="T1") is Code.UNAVAILABLE
    assert failures(member) == 1
    # Under a new trace number all goes on, and the count is cleared.
    assert ask(member, trace="T2") is Code.APPROVED
    assert failures(member) == 0


@pytest.fixture
def hashing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash in the test's own thread, so that what happens meanwhile is in its transaction."""
    monkeypatch.setattr(Slots, "_call", lambda self, function, *a, **named: function(*a, **named))


@pytest.mark.usefixtures("hashing_here")
def test_who_comes_late_does_not_approve_what_was_given_up(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that stood still for a minute between judging and answering."""
    member = MemberFactory()
    matches = pins.matches

    def slow(*args: Any, **kwargs: Any) -> bool:
        matched = matches(*args, **kwargs)
        time_passes(61)
        assert ask(member, trace="T1") is Code.UNAVAILABLE
        return matched

    with monkeypatch.context() as patched:
        patched.setattr(pins, "matches", slow)
        assert ask(member, trace="T1") is Code.UNAVAILABLE
    assert failures(member) == 1
    assert not Event.objects.filter(act=Event.Act.CARD_VERIFIED).exists()
    assert CardVerification.objects.get().response_code == Code.UNAVAILABLE


@pytest.mark.usefixtures("hashing_here")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"is_active": False}, Code.RESTRICTED),
        ({"epoch": F("epoch") + 1}, Code.UNAVAILABLE),
    ],
)
def test_what_happens_while_the_pin_is_judged_is_not_overtaken(
    ask: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    expected: Code,
) -> None:
    member = MemberFactory()
    matches = pins.matches

    def meanwhile(*args: Any, **kwargs: Any) -> bool:
        User.objects.filter(member=member).update(**change)
        return matches(*args, **kwargs)

    monkeypatch.setattr(pins, "matches", meanwhile)
    assert ask(member) is expected


@pytest.mark.django_db(transaction=True)
def test_equal_questions_at_once_are_judged_once(ask: Callable[..., Any]) -> None:
    member = MemberFactory()
    gate, answers = Barrier(12), []

    def one() -> None:
        gate.wait()
        answers.append(ask(member, WRONG, trace="T1"))
        connection.close()

    threads = [Thread(target=one) for _turn in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 12
    assert set(answers) <= {Code.WRONG_PIN, STILL_RUNNING}
    assert Code.WRONG_PIN in answers
    assert failures(member) == 1
    assert ask(member, WRONG, trace="T1") is Code.WRONG_PIN


def test_old_traces_are_forgotten_and_the_record_is_not(ask: Callable[..., Any]) -> None:
    member = MemberFactory()
    ask(member, trace="old")
    time_passes(31 * 86400)
    ask(member, trace="new")
    card_verification.forget_old_traces()
    assert [one.trace for one in CardVerification.objects.all()] == ["new"]
    assert Event.objects.filter(act=Event.Act.CARD_VERIFIED).count() == 2


def test_what_is_kept_gives_neither_pin_nor_repetition_away(ask: Callable[..., Any]) -> None:
    member = MemberFactory()
    ask(member)
    ask(member)
    first, second = CardVerification.objects.values_list("request_digest", flat=True)
    assert first != second
    kept = repr([*CardVerification.objects.values(), *Event.objects.values()])
    for form in (f"'{PIN}'", member.card.number, b64encode(PIN.encode()).decode()):
        assert form not in kept
