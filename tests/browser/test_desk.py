"""Whole calls at the desk: who calls is verified, and only then anything is told or changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from members.models import Card, Member
from tests.browser.desk import answer, find, send, show_document
from tests.browser.equipment import in_pairs, with_scripts
from tests.browser.people import HANAKO, NEW_PIN
from tests.browser.test_signing_in import sign_in
from tests.browser.visitor import Visitor
from tests.factories import PIN
from tests.server.mailbox import Mailbox

pytestmark = pytest.mark.browser


def on_the_portal(visitor: Visitor, pin: str = PIN) -> None:
    """Sign the member in on the portal."""
    visitor.open("/login/")
    sign_in(visitor, pin=pin)
    visitor.is_at("/")


@in_pairs
def test_a_call_from_the_search_to_the_number(staff: Callable[[str], Visitor]) -> None:
    operator = staff("Call centre")
    find(operator)
    page = operator.page
    for hidden in (HANAKO.name, HANAKO.email, "386 120 457", HANAKO.member_number):
        assert hidden not in operator.text(), hidden
    operator.follow("Verify on the phone")
    answer(operator, "name", "birth_date")
    operator.reads("Not verified. Tell the caller nothing, and do not say what was wrong.")
    answer(operator, "email", "card_last_four")
    assert HANAKO.email in operator.text()
    operator.follow("Tell the member number")
    page.locator("[name=reason]").fill("Web-ID")
    operator.press("Show the number to read out")
    expect(page.locator("#told-number")).to_have_text("386 120 457")
    operator.follow("Done")
    assert "386 120 457" not in operator.text()


@in_pairs
def test_what_else_a_caller_wants(staff: Callable[[str], Visitor]) -> None:
    operator = staff("Call centre")
    find(operator)
    operator.follow("Verify on the phone")
    answer(operator, "email", "phone", "card_last_four")
    operator.follow("Prepare a PIN re-set")
    operator.press("Prepare a PIN re-set")
    ticket = operator.page.locator("#ticket").inner_text()
    assert len(ticket.replace(" ", "")) == 8
    operator.follow("Back")
    assert ticket not in operator.page.content()
    operator.follow("Take down a closure")
    operator.press("Take down a closure")
    operator.reads("The closure is taken down. The member gets a mail; it waits on the work list.")
    operator.follow("Withdraw the closure")
    operator.press("Withdraw the closure")
    operator.reads("The closure is withdrawn. The membership goes on.")


@in_pairs
def test_a_hand_off_code_from_the_portal(visitor: Visitor, staff: Callable[[str], Visitor]) -> None:
    on_the_portal(visitor)
    visitor.follow("Code for a phone call")
    visitor.press("Show the code")
    code = visitor.page.locator("#hand-off-code").inner_text()
    operator = staff("Call centre")
    find(operator)
    operator.follow("Verify on the phone")
    operator.page.locator("[name=code]").fill(code)
    operator.press("Check the code")
    assert HANAKO.email in operator.text()


@in_pairs
def test_a_pin_from_the_portal_over_the_window_to_the_terminal(
    visitor: Visitor, comes: Callable[..., Visitor], staff: Callable[[str], Visitor]
) -> None:
    on_the_portal(visitor)
    visitor.follow("Prepare a new PIN")
    visitor.press("Make a ticket")
    ticket = visitor.page.locator("#ticket").inner_text()
    window = staff("Store")
    find(window)
    window.follow("Start a PIN re-set")
    show_document(window)
    window.page.locator("[name=prepared_ticket]").fill(ticket)
    window.press("Start a PIN re-set")
    window.reads(
        "The old PIN has stopped. The ticket that the member brought is good at the terminal now."
    )
    terminal = comes()
    terminal.open("/pin/")
    typed = {
        "Card number": HANAKO.card_number,
        "Ticket": ticket.replace(" ", ""),
        "New PIN": NEW_PIN,
        "New PIN again": NEW_PIN,
    }
    keypad = terminal.page.locator("[data-keypad]")
    assert keypad.is_visible() == terminal.scripts
    for label, digits in typed.items():
        terminal.field(label).click()
        if not terminal.scripts:
            terminal.fill(label, digits)
            continue
        for digit in digits + "9":
            keypad.get_by_role("button", name=digit, exact=True).click()
        keypad.locator("[data-key=back]").click()
        expect(terminal.field(label)).to_have_value(digits)
    terminal.press("Set this PIN")
    terminal.is_at("/pin/done/", "Your new PIN is set")
    on_the_portal(visitor, pin=NEW_PIN)


@with_scripts
def test_the_terminal_clears_itself(comes: Callable[..., Visitor]) -> None:
    terminal = comes()
    terminal.page.clock.install()
    terminal.open("/pin/")
    terminal.fill("Card number", HANAKO.card_number)
    warning = terminal.page.locator("[data-idle-warning]")
    terminal.page.clock.run_for(45_000)
    expect(warning).to_be_visible()
    terminal.page.locator("h1").click()
    expect(warning).to_be_hidden()
    with terminal.page.expect_navigation():
        terminal.page.clock.run_for(61_000)
    terminal.is_at("/pin/")
    expect(terminal.field("Card number")).to_have_value("")


@in_pairs
def test_a_closure_from_the_portal_to_the_mail(
    visitor: Visitor, staff: Callable[[str], Visitor], mailbox: Mailbox
) -> None:
    Member.objects.update(balance=0)
    on_the_portal(visitor)
    visitor.follow("Close the membership")
    visitor.press("Ask for the closure")
    visitor.is_told("Please confirm that you want to close your membership.")
    visitor.page.locator("[name=sure]").check()
    visitor.press("Ask for the closure")
    visitor.reads("Your closure is under way")
    visitor.open("/")
    visitor.reads("Your closure is under way")
    first, second = staff("Call centre"), staff("Store")
    for closer, button in ((first, "check"), (second, "approve")):
        closer.open("/admin/credentials/closure/")
        send(closer, 'a[href*="/change/"]')
        for box in closer.page.locator(".checkbox-row input").all():
            box.check()
        send(closer, f"[name={button}]")
    visitor.open("/")
    assert visitor.path.startswith("/login/"), "the session ended"
    asked, closed = mailbox.wait_for(HANAKO.email, 2)
    for mail in (asked, closed):
        assert "http" not in mail.get_content()
    assert closed["Subject"] == visitor.say("Your membership is closed")
    assert not Card.objects.get(number=HANAKO.card_number).has_pin


@in_pairs
def test_the_work_list_leads_to_lifting(staff: Callable[[str], Visitor], portal: Any) -> None:
    user = Member.objects.get(number=HANAKO.member_number).user
    type(user).objects.filter(pk=user.pk).update(
        suspended_at="2020-01-01T00:00Z", suspended_until="2099-01-01T00:00Z", suspensions=1
    )
    operator = staff("Call centre")
    operator.follow("Suspended now")
    send(operator, 'a[href*="/reinstate/"]')
    operator.reads("Verify the member's identity first.")
    operator.follow("Verify on the phone")
    answer(operator, "email", "phone", "card_last_four")
    operator.follow("Lift the suspension")
    operator.page.locator("[name=reason]").fill("…")
    operator.press("Lift the suspension")
    operator.reads("The suspension is lifted.")
