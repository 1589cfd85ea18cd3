"""Forms that say what is wrong, keep what was typed, and never a secret."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.equipment import in_pairs
from tests.browser.people import HANAKO
from tests.browser.test_signing_in import sign_in
from tests.browser.visitor import Visitor
from tests.factories import PIN

pytestmark = pytest.mark.browser

FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@in_pairs
def test_digits_are_read_as_people_type_them(visitor: Visitor) -> None:
    number = HANAKO.card_number.translate(FULL_WIDTH)
    visitor.open("/login/")
    sign_in(
        visitor,
        f"{number[:4]}ー{number[4:8]}－{number[8:12]} {number[12:]}　",
        PIN.translate(FULL_WIDTH),
    )
    visitor.is_at("/")


@in_pairs
def test_numbers_in_the_wrong_place_are_told_so(visitor: Visitor) -> None:
    mistyped = HANAKO.card_number[:-1] + str((int(HANAKO.card_number[-1]) + 1) % 10)
    visitor.open("/login/")
    for typed, told in {
        HANAKO.member_number: "That looks like a member number (nine digits). It does not sign in. "
        "Type the 16 digits on the front of your card.",
        mistyped: "There is no card with this number: a digit is mistyped. Compare it with your "
        "card. This was not counted as a failure.",
        "12 34": "A card number has 16 digits. It is on the front of your card.",
        "": "Type your card number.",
    }.items():
        sign_in(visitor, typed, PIN)
        visitor.is_told(told)
        number = visitor.field("Card number")
        expect(number).to_have_value(typed)
        expect(number).to_have_attribute("aria-invalid", "true")
        expect(visitor.field("PIN")).to_have_value("")
        assert PIN not in visitor.page.content().replace(HANAKO.card_number, "")
        # From the summary straight to the field.
        visitor.page.locator(".error-summary").get_by_role("link").click()
        expect(number).to_be_focused()

    visitor.follow("Web-ID and password")
    for typed, told in {
        HANAKO.member_number: "That looks like a member number (nine digits). It does not sign in. "
        "Type the Web-ID you registered, or sign in with your card number.",
        HANAKO.card_number: "That looks like a card number. Choose “Card number and PIN” to use "
        "it.",
    }.items():
        visitor.fill("Web-ID", typed)
        visitor.fill("Password", "some password or other")
        visitor.press("Sign in")
        visitor.is_told(told)
        expect(visitor.field("Password")).to_have_value("")

    visitor.open("/web-id/register/")
    visitor.fill("Member number", HANAKO.card_number)
    visitor.fill("Registered email address", "hanako@")
    visitor.press("Send the code")
    visitor.is_told(
        "That looks like a card number. The member number has nine digits; "
        "you find it on the top page after signing in with the card.",
        "Type an email address like name@example.com.",
    )
    expect(visitor.field("Registered email address")).to_have_value("hanako@")


@in_pairs
def test_a_pin_is_hidden_until_asked_for(visitor: Visitor) -> None:
    visitor.open("/login/")
    pin = visitor.field("PIN")
    pin.fill(PIN)
    expect(pin).to_have_attribute("type", "password")
    expect(pin).to_have_attribute("inputmode", "numeric")
    if visitor.scripts:
        visitor.page.locator(".field--pin .reveal").click()
        expect(pin).to_have_attribute("type", "text")
        visitor.look()
        visitor.page.locator(".field--pin .reveal").click()
    else:
        expect(visitor.page.locator(".reveal")).to_have_count(0)
    expect(pin).to_have_attribute("type", "password")
    expect(pin).to_have_value(PIN)


@in_pairs
def test_who_fails_too_often_from_one_place_is_told_how_long_to_wait(
    visitor: Visitor, settings: Any
) -> None:
    settings.SOURCE_FAILURE_LIMIT = "1/hour"
    visitor.open("/login/")
    sign_in(visitor, pin="1357")
    sign_in(visitor)
    visitor.is_told(
        "Too many tries came from your network. Nothing was counted against you. "
        "Wait %(minutes)s minutes and try again, or call us.",
        minutes=60,
    )
