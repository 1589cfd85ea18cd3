"""A new PIN: staff see the document and give a ticket, the member types at the terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.desk import find, show_document
from tests.browser.equipment import in_pairs
from tests.browser.people import HANAKO, NEW_PIN
from tests.browser.test_signing_in import sign_in
from tests.browser.visitor import Visitor
from tests.factories import PIN
from tests.server.mailbox import Mailbox

pytestmark = pytest.mark.browser


def set_pin(terminal: Visitor, ticket: str, pin: str, again: str = "") -> None:
    terminal.fill("Card number", HANAKO.card_number)
    terminal.fill("Ticket", ticket)
    terminal.fill("New PIN", pin)
    terminal.fill("New PIN again", again or pin)
    terminal.press("Set this PIN")


@in_pairs
def test_a_pin_is_set_again_in_the_store(
    visitor: Visitor, staff: Callable[[str], Visitor], mailbox: Mailbox
) -> None:
    window = staff("Store")
    find(window)
    window.follow("Start a PIN re-set")
    show_document(window)
    window.press("Start a PIN re-set")
    ticket = window.page.locator("#ticket").inner_text()
    assert len(ticket.replace(" ", "")) == 8
    window.follow("Back")
    assert ticket not in window.page.content()
    window.reads("no PIN until one is set in person")
    [started] = mailbox.wait_for(HANAKO.email)
    assert ticket.replace(" ", "") not in started.get_content().replace(" ", "")

    terminal = visitor
    terminal.open("/pin/")
    for weak, reason in {
        "1111": "Choose a PIN that is not one digit repeated.",
        "5812": "Choose a PIN that is not your birth date.",
        HANAKO.phone[-4:]: "Choose a PIN that is not the end of your phone number.",
    }.items():
        set_pin(terminal, ticket, weak)
        terminal.is_told(reason)
        expect(terminal.field("Ticket")).to_have_value(ticket)
        expect(terminal.field("New PIN")).to_have_value("")
        expect(terminal.field("New PIN again")).to_have_value("")
    set_pin(terminal, ticket, NEW_PIN, "7295")
    terminal.is_told("The two PINs differ.")
    set_pin(terminal, ticket, NEW_PIN)
    terminal.is_at("/pin/done/", "Your new PIN is set")
    terminal.follow("Finish")
    terminal.is_at("/pin/")
    set_pin(terminal, ticket, "8395")
    terminal.is_told(
        "Card number and ticket do not go together, or the ticket has expired or been used. "
        "Compare both; if it does not work, ask our staff for a new ticket."
    )
    assert len(mailbox.wait_for(HANAKO.email, 2)) == 2

    terminal.open("/login/")
    sign_in(terminal, pin=PIN)
    terminal.is_at("/login/")
    sign_in(terminal, pin=NEW_PIN)
    terminal.is_at("/")


@in_pairs
def test_what_is_typed_at_the_terminal_can_be_cleared(visitor: Visitor) -> None:
    visitor.open("/pin/")
    visitor.press("Set this PIN")
    visitor.is_told(
        "Type your card number.", "Type the ticket.", "Choose a PIN.", "Type the PIN again."
    )
    visitor.fill("Card number", HANAKO.card_number)
    visitor.follow("Clear everything and start again")
    expect(visitor.field("Card number")).to_have_value("")
    assert visitor.page.get_by_role("contentinfo").count() == 0
