"""Somebody sees a sign-in that was not theirs, stops everything, and finds the way back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from credentials.models import Event
from tests.browser.desk import find, show_document, verify_in_person
from tests.browser.equipment import in_pairs
from tests.browser.people import HANAKO, NEW_PIN
from tests.browser.test_pin_reset import set_pin
from tests.browser.test_signing_in import sign_in
from tests.browser.visitor import Visitor
from tests.server.mailbox import Mailbox

pytestmark = pytest.mark.browser

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1"
)


def strange_sign_ins(times: int) -> None:
    """Put sign-ins with a card that somebody found on record."""
    for days in range(1, times + 1):
        Event.objects.create(
            at=datetime.now(tz=UTC) - timedelta(days=days),
            act=Event.Act.SIGNED_IN,
            by="member",
            whom=HANAKO.member_number,
            source="198.51.100.9",
            details={"way": "card", "device": IPHONE, "known": False},
        )


@in_pairs
def test_a_strange_sign_in_stops_everything_until_a_new_pin_is_set(
    visitor: Visitor,
    comes: Callable[..., Visitor],
    staff: Callable[[str], Visitor],
    mailbox: Mailbox,
) -> None:
    # As many as a page shows: it is at its heaviest here.
    strange_sign_ins(49)
    visitor.open("/login/")
    sign_in(visitor, pin="1357")
    sign_in(visitor)
    visitor.follow("See all sign-ins")
    visitor.is_at("/sign-ins/", "Your sign-ins")
    visits = visitor.page.locator(".visits li")
    assert visits.count() == 50
    expect(visits.nth(0)).to_contain_text(visitor.say("This one: you, now"))
    expect(visits.nth(1)).to_contain_text("Safari, iOS")
    expect(visits.nth(1)).to_contain_text(visitor.say("A device not used before"))
    assert visitor.page.locator("#failed ~ ul li").count() == 1

    visitor.follow("This wasn't me")
    visitor.reads("What stops at once when you press the button")
    visitor.follow("Back: stop nothing")
    visitor.is_at("/sign-ins/")
    visitor.follow("This wasn't me")
    visitor.press("It wasn't me: stop everything now")
    visitor.is_at("/sign-ins/disowned/", "Everything is stopped")
    visitor.reads("You set a new PIN there. With it, the card and signing in work again.")
    [told] = mailbox.wait_for(HANAKO.email)
    assert "://" not in told.get_content()
    visitor.open("/sign-ins/")
    visitor.is_at("/login/?next=/sign-ins/")
    sign_in(visitor)
    assert visitor.page.locator(".error-summary").count() == 1

    window = staff("Store")
    find(window)
    window.reads(
        "The member reported a sign-in as somebody else's: lifted only at a store, in person, or "
        "by a PIN re-set."
    )
    window.open("/admin/members/member/suspended/")
    window.reads("the member: “this wasn't me”")
    find(window)
    verify_in_person(window)
    window.follow("Lift the suspension")
    window.reads("The member reported a sign-in as somebody else's.")
    window.follow("Back")
    window.follow("Start a PIN re-set")
    show_document(window)
    window.press("Start a PIN re-set")
    ticket = window.page.locator("#ticket").inner_text()

    terminal = comes()
    terminal.open("/pin/")
    set_pin(terminal, ticket, NEW_PIN)
    terminal.is_at("/pin/done/")
    visitor.open("/login/")
    sign_in(visitor, pin=NEW_PIN)
    visitor.is_at("/")


@in_pairs
def test_signing_out_everywhere_else(visitor: Visitor, comes: Callable[..., Visitor]) -> None:
    phone = comes()
    for browser in (phone, visitor):
        browser.open("/login/")
        sign_in(browser)
    visitor.follow("Sign out everywhere")
    visitor.is_at("/sign-ins/#everywhere")
    expect(visitor.page.locator("#everywhere")).to_be_in_viewport()
    visitor.press("Sign out everywhere else")
    visitor.is_at("/sign-ins/", "Your sign-ins")
    visitor.reads("You are signed out on every other device.")
    visitor.reads("You are signed in only here.")
    phone.open("/")
    phone.is_at("/login/?next=/")


@in_pairs
def test_who_is_not_sure_which_sees_what_stops_and_may_leave_it(visitor: Visitor) -> None:
    visitor.open("/login/")
    sign_in(visitor)
    visitor.open("/sign-ins/")
    visitor.follow("Somebody else signed in as me")
    visitor.is_at("/sign-ins/not-me/", "This wasn't me")
    visitor.reads("You are signed out everywhere, here too, and get a mail about it.")
    visitor.follow("Back: stop nothing")
    visitor.open("/")
    visitor.is_at("/", "Welcome, %(name)s", name=HANAKO.name)
