"""PIN re-set: started in person, finished by the member at the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.mail import EmailMessage

from credentials import pin_reset, suspension
from credentials.models import Event, PinReset
from credentials.refusals import Refusal, Why
from members.models import Card, Member, User
from tests.clock import time_passes
from tests.conftest import Browser
from tests.factories import PIN, MemberFactory, StaffFactory
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
from tests.stories.paused import Paused, pausing

pytestmark = pytest.mark.django_db

Deliver = Callable[[], list[EmailMessage]]
# In no card number or member number that the factory makes here.
NEW_PIN, ANOTHER_PIN = "9642", "9584"
REFUSED = (
    "Card number and ticket do not go together, or the ticket has expired or been used. "
    "Compare both; if it does not work, ask our staff for a new ticket."
)


@pytest.fixture(autouse=True)
def _numbers_from_the_beginning() -> None:
    MemberFactory.reset_sequence(0)


def start(member: Member) -> str:
    ticket = pin_reset.start(
        member=member,
        by=StaffFactory(role="Store"),
        document="driving_licence",
        place="Shinjuku",
        source="192.0.2.1",
    )
    assert isinstance(ticket, str)
    return ticket


def at_the_terminal(
    member: Member, ticket: str, /, pin: str = NEW_PIN, client: Browser | None = None, **more: str
) -> Any:
    typed = {"card_number": member.card.number, "ticket": ticket, "pin1": pin, "pin2": pin}
    return (client or browser()).post("/pin/", typed | more)


# --- Starting it ------------------------------------------------------------------------------


def test_ticket_is_eight_digits_and_stored_nowhere_in_clear() -> None:
    ticket = start(MemberFactory())
    assert len(ticket) == 8
    assert ticket.isdigit()
    reset = PinReset.objects.get()
    assert ticket not in str(vars(reset))


def test_start_is_on_record_with_document_and_place() -> None:
    member = MemberFactory()
    start(member)
    event = Event.objects.get(act=Event.Act.PIN_RESET_STARTED)
    assert event.by.startswith("staff:")
    assert (event.whom, event.source) == (member.number, "192.0.2.1")
    assert event.details == {"document": "driving_licence", "place": "Shinjuku"}


def test_old_pin_stops_at_once() -> None:
    member = MemberFactory()
    start(member)
    assert with_card(browser(), member, pin=PIN).status_code == 200


def test_web_id_goes_on_working_while_the_pin_is_reset() -> None:
    member = MemberFactory(web_id="Hanako1983")
    start(member)
    assert with_web_id(browser(), member).status_code == 302


def test_start_and_end_both_end_every_open_session() -> None:
    member = MemberFactory(web_id="Hanako1983")
    phone, computer = browser(), browser()
    with_card(phone, member)
    ticket = start(member)
    assert not is_signed_in(phone)
    with_web_id(computer, member)
    at_the_terminal(member, ticket)
    assert not is_signed_in(computer)


@pytest.mark.parametrize("role", [None, "Call centre", "Auditor", "Administrator"])
def test_only_the_store_starts_one_and_the_try_is_on_record(role: str | None) -> None:
    member, staff = MemberFactory(), StaffFactory(role=role)
    refusal = pin_reset.start(member=member, by=staff, document="passport", place="Shinjuku")
    assert isinstance(refusal, Refusal)
    assert refusal.why is Why.NOT_PERMITTED
    assert Event.objects.get(act=Event.Act.ACCESS_REFUSED).by == f"staff:{staff.username}"
    assert with_card(browser(), member).status_code == 302


@pytest.mark.parametrize(("document", "place"), [("passport", " "), ("", "Ueno"), ("gym", "Ueno")])
def test_document_and_place_are_mandatory(document: str, place: str) -> None:
    member = MemberFactory()
    refusal = pin_reset.start(
        member=member, by=StaffFactory(role="Store"), document=document, place=place
    )
    assert isinstance(refusal, Refusal)
    assert with_card(browser(), member).status_code == 302


def test_closed_membership_gets_no_ticket() -> None:
    member = MemberFactory()
    User.objects.filter(member=member).update(is_active=False)
    refusal = pin_reset.start(
        member=member, by=StaffFactory(role="Store"), document="passport", place="Ueno"
    )
    assert isinstance(refusal, Refusal)
    assert not PinReset.objects.exists()


def test_member_gets_a_mail_at_the_start_and_one_at_the_end(deliver: Deliver) -> None:
    member = MemberFactory()
    ticket = start(member)
    [begun] = deliver()
    at_the_terminal(member, ticket)
    [done] = deliver()
    assert begun.to == done.to == [member.email]
    for mail in (begun, done):
        assert ticket not in mail.body
        assert NEW_PIN not in mail.body


# --- The member's part ------------------------------------------------------------------------


def test_ticket_and_new_pin_put_the_pin_on_the_card() -> None:
    member = MemberFactory()
    ticket = start(member)
    answer = at_the_terminal(member, ticket)
    assert (answer.status_code, answer["Location"]) == (302, "/pin/done/")
    assert with_card(browser(), member, pin=NEW_PIN).status_code == 302
    assert with_card(browser(), member, pin=PIN).status_code == 200
    event = Event.objects.get(act=Event.Act.PIN_SET)
    assert (event.by, event.whom) == ("member", member.number)
    card = Card.objects.get(member=member)
    assert card.pin_origin == Card.Origin.IN_PERSON
    assert card.pin_set_at is not None


def test_ticket_opens_no_session() -> None:
    member, terminal = MemberFactory(), browser()
    at_the_terminal(member, start(member), client=terminal)
    assert not is_signed_in(terminal)


def test_card_without_a_pin_gets_its_first_one() -> None:
    member = MemberFactory(pin="")
    at_the_terminal(member, start(member))
    assert with_card(browser(), member, pin=NEW_PIN).status_code == 302


def test_ticket_is_typed_as_people_type_numbers() -> None:
    member = MemberFactory()
    ticket = start(member)
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    typed = f"{ticket[:4]} {ticket[4:]}".translate(wide)
    assert at_the_terminal(member, typed, NEW_PIN.translate(wide)).status_code == 302
    assert with_card(browser(), member, pin=NEW_PIN).status_code == 302


def test_ticket_works_once() -> None:
    member = MemberFactory()
    ticket = start(member)
    at_the_terminal(member, ticket)
    assert at_the_terminal(member, ticket, pin=ANOTHER_PIN).status_code == 200
    assert with_card(browser(), member, pin=NEW_PIN).status_code == 302


def test_ticket_that_ends_while_the_pin_is_hashed_is_refused_and_on_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    member = MemberFactory()
    ticket = start(member)
    with pausing(monkeypatch):
        typing = Paused(lambda: at_the_terminal(member, ticket))
        start(member)
        assert typing.go_on().status_code == 200
    assert not Card.objects.get(member=member).has_pin
    assert Event.objects.filter(act=Event.Act.TICKET_FAILED, whom=member.number).count() == 1


def test_ticket_is_good_for_its_own_card_only() -> None:
    member, other = MemberFactory(), MemberFactory()
    ticket, _others = start(member), start(other)
    assert at_the_terminal(other, ticket).status_code == 200
    assert with_card(browser(), other, pin=NEW_PIN).status_code == 200


def test_ticket_expires() -> None:
    member = MemberFactory()
    ticket = start(member)
    time_passes(seconds=901)
    assert at_the_terminal(member, ticket).status_code == 200
    assert not Card.objects.get(member=member).has_pin


def test_new_ticket_ends_the_one_before() -> None:
    member = MemberFactory()
    old, new = start(member), start(member)
    assert at_the_terminal(member, old).status_code == 200
    assert at_the_terminal(member, new).status_code == 302


def test_after_five_wrong_tickets_the_right_one_is_refused_too() -> None:
    member = MemberFactory()
    ticket = start(member)
    wrong = f"{(int(ticket) + 1) % 10**8:08}"
    for _ in range(5):
        assert at_the_terminal(member, wrong).status_code == 200
    assert at_the_terminal(member, ticket).status_code == 200
    assert not Card.objects.get(member=member).has_pin
    failed = Event.objects.filter(act=Event.Act.TICKET_FAILED, whom=member.number)
    assert failed.count() == 6


def test_right_ticket_after_four_wrong_ones_still_works() -> None:
    member = MemberFactory()
    ticket = start(member)
    wrong = f"{(int(ticket) + 1) % 10**8:08}"
    for _ in range(4):
        at_the_terminal(member, wrong)
    assert at_the_terminal(member, ticket).status_code == 302


def test_wrong_tickets_do_not_count_as_failures_to_sign_in() -> None:
    member = MemberFactory()
    ticket = start(member)
    for _ in range(5):
        at_the_terminal(member, f"{(int(ticket) + 1) % 10**8:08}")
    assert user_of(member).failures == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_refusals_at_the_terminal_are_all_alike(language: str) -> None:
    expired, used, never, closed = (MemberFactory() for _ in range(4))
    expired_ticket = start(expired)
    time_passes(seconds=901)
    used_ticket, closed_ticket = start(used), start(closed)
    at_the_terminal(used, used_ticket)
    User.objects.filter(member=closed).update(is_active=False)
    wrong = MemberFactory()
    wrong_ticket = f"{(int(start(wrong)) + 1) % 10**8:08}"
    cases = [
        (wrong, wrong_ticket),
        (expired, expired_ticket),
        (used, used_ticket),
        (never, "12345678"),
        (closed, closed_ticket),
    ]
    seen = []
    for member, ticket in cases:
        answer = at_the_terminal(member, ticket, client=browser(language))
        seen.append((answer.status_code, page_of(answer, member.card.number, ticket)))
    assert seen[0][0] == 200
    assert said(REFUSED, language) in seen[0][1]
    assert all(case == seen[0] for case in seen)


def test_suspension_of_any_kind_is_lifted_by_a_new_pin() -> None:
    member = MemberFactory(web_id="Hanako1983")
    for _ in range(3):
        fail(member, 5)
        time_passes(hours=25)
    assert suspension.ends_only_in_person(user_of(member))
    ticket = start(member)
    assert suspension.is_in_force(user_of(member)), "the ticket alone lifts nothing"
    at_the_terminal(member, ticket)
    assert user_of(member).suspensions == 0
    assert with_card(browser(), member, pin=NEW_PIN).status_code == 302
    assert with_web_id(browser(), member).status_code == 302


# --- Weak PINs --------------------------------------------------------------------------------

REASONS = {
    "repeat": "Choose a PIN that is not one digit repeated.",
    "run": "Choose a PIN whose digits are not in a row.",
    "birth date": "Choose a PIN that is not your birth date.",
    "phone": "Choose a PIN that is not the end of your phone number.",
    "number": "Choose a PIN that does not stand in your card number or member number.",
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("pin", "reason"),
    [
        ("1111", "repeat"),
        ("1234", "run"),
        ("4321", "run"),
        *((pin, "birth date") for pin in ("1983", "1231", "8312", "8331", "5812", "5831")),
        ("5678", "run"),
        ("9731", "phone"),
        ("9900", "number"),
        ("7264", "number"),
    ],
)
def test_weak_pin_is_refused_with_its_reason_and_the_ticket_stays_good(
    language: str, pin: str, reason: str
) -> None:
    member = MemberFactory(number="172640000", phone="09012349731")
    ticket = start(member)
    answer = at_the_terminal(member, ticket, pin, client=browser(language))
    assert answer.status_code == 200
    assert said(REASONS[reason], language) in answer.content.decode()
    assert not Card.objects.get(member=member).has_pin
    assert at_the_terminal(member, ticket).status_code == 302


def test_weak_pins_do_not_use_up_the_tries_of_a_ticket() -> None:
    member = MemberFactory()
    ticket = start(member)
    for _ in range(7):
        assert at_the_terminal(member, ticket, "1111").status_code == 200
    assert at_the_terminal(member, ticket).status_code == 302


def test_weakness_is_told_to_the_holder_of_the_ticket_only() -> None:
    member = MemberFactory()
    ticket = start(member)
    wrong = f"{(int(ticket) + 1) % 10**8:08}"
    strong, weak = (at_the_terminal(member, wrong, pin) for pin in (NEW_PIN, "1983"))
    assert page_of(strong, wrong) == page_of(weak, wrong)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pin2": "9643"}, "The two PINs differ."),
        ({"pin1": "964", "pin2": "964"}, "A PIN has four digits."),
        ({"pin1": "", "pin2": ""}, "Choose a PIN."),
        ({"ticket": "1234567"}, "The ticket has eight digits."),
        ({"ticket": ""}, "Type the ticket."),
        ({"card_number": ""}, "Type your card number."),
    ],
)
def test_what_is_malformed_is_told_and_does_not_count(
    language: str, change: dict[str, str], message: str
) -> None:
    member = MemberFactory()
    ticket = start(member)
    answer = at_the_terminal(member, ticket, client=browser(language), **change)
    assert answer.status_code == 200
    assert said(message, language) in answer.content.decode()
    assert PinReset.objects.get().attempts == 0


def test_member_number_is_told_at_the_terminal_too() -> None:
    member = MemberFactory()
    page = at_the_terminal(member, start(member), card_number=member.number).content.decode()
    message = (
        "That looks like a member number (nine digits). It does not sign in. "
        "Type the 16 digits on the front of your card."
    )
    assert said(message, "ja") in page


def test_new_pin_is_never_written_back_into_the_page() -> None:
    member = MemberFactory()
    page = at_the_terminal(member, start(member), "9584", pin2="9618").content.decode()
    assert "9584" not in page
    assert "9618" not in page
