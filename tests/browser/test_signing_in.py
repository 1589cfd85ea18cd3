"""From the card to the nine digits: the way most visits go."""

from __future__ import annotations

import pytest
from django.db.models import F
from playwright.sync_api import Playwright, expect

from members.models import User
from tests.browser.equipment import LAUNCH, Equipment, in_pairs, with_scripts
from tests.browser.people import HANAKO, TARO
from tests.browser.visitor import Visitor
from tests.factories import PIN

pytestmark = pytest.mark.browser

DIGITS = HANAKO.member_number


def sign_in(visitor: Visitor, card_number: str = HANAKO.card_number, pin: str = PIN) -> None:
    visitor.fill("Card number", card_number)
    visitor.fill("PIN", pin)
    visitor.press("Sign in")


def test_the_card_leads_to_the_member_number_and_signing_out_hides_it(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.is_at("/login/?next=/", "Sign in")
    sign_in(visitor)
    visitor.is_at("/", "Welcome, %(name)s", name=HANAKO.name)
    number = visitor.page.locator("#member-number")
    expect(number).to_have_text(DIGITS)
    expect(number).to_be_in_viewport(ratio=1)
    visitor.reads("This is your first sign-in.")
    visitor.reads("ending in %(last_four)s", last_four=HANAKO.card_number[-4:])
    assert HANAKO.card_number not in visitor.page.content()

    visitor.press("Sign out")
    visitor.is_at("/login/")
    with visitor.page.expect_navigation():
        visitor.page.go_back()
    visitor.is_at("/login/?next=/")
    assert DIGITS not in visitor.page.content()


@in_pairs
def test_signing_out_is_on_every_page_and_only_for_who_is_signed_in(visitor: Visitor) -> None:
    visitor.open("/login/")
    expect(visitor.button("Sign out")).to_have_count(0)
    sign_in(visitor)
    for path in ("/", "/member-number/memo/", "/closure/", "/hand-off/", "/pin/prepare/", "/help/"):
        visitor.open(path)
        expect(visitor.button("Sign out")).to_be_in_viewport(ratio=1)
    visitor.press("Sign out")
    visitor.is_at("/login/")
    visitor.open("/")
    visitor.is_at("/login/?next=/")


def session_ends() -> None:
    User.objects.filter(member__number=HANAKO.member_number).update(epoch=F("epoch") + 1)


@pytest.mark.parametrize("scripts", [True, False])
def test_the_back_button_shows_no_number_once_the_session_has_ended(
    portal: str, playwright: Playwright, scripts: bool
) -> None:
    # With the cache for going back and forward, which Playwright switches off.
    browser = playwright.chromium.launch(
        **LAUNCH, ignore_default_args=["--disable-back-forward-cache"]
    )
    context = browser.new_context(**Equipment("desktop", "en", scripts).context, base_url=portal)
    page = context.new_page()
    page.goto("/login/")
    page.locator("[name=card_number]").fill(HANAKO.card_number)
    page.locator("[name=pin]").fill(PIN)
    page.locator("form.form button.button").click()
    expect(page.locator("#member-number")).to_have_text(DIGITS)
    page.goto("/help/")
    session_ends()
    page.go_back(wait_until="commit")
    page.wait_for_url("**/login/?next=/")
    assert DIGITS not in page.content()
    browser.close()


@with_scripts
def test_a_page_taken_back_as_it_was_shows_nothing_and_asks_anew(visitor: Visitor) -> None:
    visitor.open("/login/")
    sign_in(visitor)
    visitor.is_at("/")
    # What a browser does that keeps pages, said of this one: Chromium keeps none of ours.
    kept = "new PageTransitionEvent('{}', {{persisted: true}})"
    visitor.page.evaluate(f"dispatchEvent({kept.format('pagehide')})")
    expect(visitor.page.locator("#member-number")).to_be_hidden()
    session_ends()
    visitor.page.evaluate(f"dispatchEvent({kept.format('pageshow')})")
    visitor.page.wait_for_url("**/login/?next=/")
    assert DIGITS not in visitor.page.content()


def test_the_number_can_be_kept(visitor: Visitor) -> None:
    visitor.open("/login/")
    sign_in(visitor)
    copy = visitor.button("Copy the number")
    if visitor.scripts:
        visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
        copy.click()
        visitor.page.get_by_text(visitor.say("Copied.")).wait_for()
        assert visitor.page.evaluate("navigator.clipboard.readText()") == DIGITS
        visitor.look()
    else:
        expect(copy).to_have_count(0)

    visitor.follow("A slip to print")
    visitor.is_at("/member-number/memo/", "Slip with your member number")
    expect(visitor.page.locator("#member-number")).to_have_text(DIGITS)
    if visitor.scripts:
        visitor.page.evaluate("window.print = () => { document.title = 'printed' }")
        visitor.button("Print").click()
        expect(visitor.page).to_have_title("printed")
    visitor.page.emulate_media(media="print")
    expect(visitor.page.locator("#member-number")).to_be_visible()
    expect(visitor.page.get_by_text(HANAKO.name)).to_be_visible()
    for what in ("header", "footer", ".actions", "h1"):
        expect(visitor.page.locator(what)).to_be_hidden()
    visitor.page.emulate_media(media="screen")
    visitor.follow("Back to the top page")
    visitor.is_at("/")


@in_pairs
def test_a_card_without_a_pin_signs_nobody_in(visitor: Visitor) -> None:
    visitor.open("/login/")
    sign_in(visitor, TARO.card_number, "0000")
    visitor.is_at("/login/")
    visitor.is_told(
        "We could not sign you in. Compare the card number with your card and type both again. "
        "If it does not work, the page “I can't sign in” shows what helps."
    )


@in_pairs
def test_the_language_is_one_press_away_and_stays(visitor: Visitor) -> None:
    visitor.open("/login/?next=/member-number/memo/")
    other, name = {"ja": ("en", "English"), "en": ("ja", "日本語")}[visitor.language]
    visitor.language = other
    with visitor.page.expect_navigation(wait_until="load"):
        visitor.page.get_by_role("button", name=name, exact=True).click()
    visitor.look()
    visitor.is_at("/login/?next=/member-number/memo/", "Sign in")
    sign_in(visitor)
    visitor.is_at("/member-number/memo/", "Slip with your member number")
