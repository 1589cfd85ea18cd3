"""The Web-ID: what is known, what comes by mail, what is chosen, and the first sign-in with it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.equipment import in_pairs
from tests.browser.people import HANAKO, TARO
from tests.browser.visitor import Visitor
from tests.factories import PASSWORD
from tests.server.mailbox import Mailbox

pytestmark = pytest.mark.browser

WRONG_CODE = (
    "This code is not right, or it has expired or been used. Check it against the newest "
    "mail, or have a new code sent. A new code does not bring new tries."
)


def ask(visitor: Visitor, email: str = HANAKO.email) -> None:
    visitor.open("/web-id/register/")
    visitor.fill("Member number", HANAKO.member_number)
    visitor.fill("Registered email address", email)
    visitor.press("Send the code")
    visitor.is_at("/web-id/register/code/", "Enter the code from the mail")


def code_of(mailbox: Mailbox, number: int = 1) -> str:
    """Return the code of the newest mail, once there are as many as `number`."""
    mail = mailbox.wait_for(HANAKO.email, number)[-1]
    text = mail.get_content()
    assert HANAKO.name in text
    assert "://" not in text
    [code] = re.findall(r"\b\d{6}\b", text)
    return str(code)


def send_code(visitor: Visitor, code: str) -> None:
    visitor.fill("Six-digit code", code)
    visitor.press("Continue")


def choose(visitor: Visitor, web_id: str, password: str, again: str) -> None:
    visitor.fill("Web-ID", web_id)
    visitor.fill("Password", password)
    visitor.fill("Password again", again)
    visitor.press("Register")


def test_from_the_member_number_to_the_first_sign_in(visitor: Visitor, mailbox: Mailbox) -> None:
    ask(visitor)
    mail = mailbox.wait_for(HANAKO.email)[0]
    assert mail["Subject"] == visitor.say("Your code for the Web-ID registration")
    send_code(visitor, code_of(mailbox))
    visitor.is_at("/web-id/register/choose/", "Choose your Web-ID and password")

    choose(visitor, "hanako", "qwerty123456", PASSWORD)
    visitor.is_told(
        "A Web-ID has 8 to 32 half-width letters and digits, at least one of each.",
        "This password is too common.",
        "The two passwords differ.",
    )
    expect(visitor.field("Web-ID")).to_have_value("hanako")
    expect(visitor.field("Password")).to_have_value("")

    choose(visitor, "Hanako2026", PASSWORD, PASSWORD)
    visitor.is_at("/web-id/register/done/", "Your Web-ID is registered")
    notice = mailbox.wait_for(HANAKO.email, 2)[1]
    assert notice["Subject"] == visitor.say("Your Web-ID was registered")

    visitor.follow("Sign in with Web-ID and password")
    visitor.fill("Web-ID", "hanako2026")
    visitor.fill("Password", PASSWORD)
    visitor.press("Sign in")
    visitor.is_at("/", "Welcome, %(name)s", name=HANAKO.name)
    expect(visitor.page.locator("#member-number")).to_have_text(HANAKO.member_number)
    assert "Hanako2026" in visitor.text()


@in_pairs
def test_a_wrong_code_and_a_new_one(visitor: Visitor, mailbox: Mailbox) -> None:
    ask(visitor)
    first = code_of(mailbox)
    if visitor.scripts:
        # Not to be pressed again before the first mail can have arrived.
        waiting = visitor.page.locator(".resend button")
        expect(waiting).to_be_disabled()
        expect(waiting).to_contain_text(re.compile(r"\d\d"))
    wrong = f"{(int(first) + 1) % 1_000_000:06}"
    send_code(visitor, wrong)
    visitor.is_told(WRONG_CODE)
    expect(visitor.field("Six-digit code")).to_have_value(wrong)

    visitor.press("Send a new code")
    visitor.is_at("/web-id/register/code/")
    second = code_of(mailbox, 2)
    send_code(visitor, first)
    visitor.is_told(WRONG_CODE)
    send_code(visitor, " ".join(second))
    visitor.is_at("/web-id/register/choose/")


@in_pairs
def test_who_knows_too_little_sees_the_same_and_gets_nothing(
    visitor: Visitor, mailbox: Mailbox
) -> None:
    # But for the address that they typed themselves.
    ask(visitor, email=TARO.email)
    stranger = visitor.text().replace(TARO.email, "…")
    ask(visitor)
    assert visitor.text().replace(HANAKO.email, "…") == stranger
    # The worker wrote this mail after it had found nothing to say to the other address.
    mailbox.wait_for(HANAKO.email)
    assert mailbox.to(TARO.email) == []


@in_pairs
def test_the_steps_cannot_be_skipped(visitor: Visitor) -> None:
    for path in ("/web-id/register/code/", "/web-id/register/choose/"):
        visitor.open(path)
        visitor.is_at("/web-id/register/", "Register a Web-ID")
