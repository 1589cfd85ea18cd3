"""“I can't sign in”: every answer opens, and every way out of it leads somewhere."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.equipment import in_pairs
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser

QUESTIONS = {
    "number": "I only want to know my member number",
    "no-web-id": "I have no Web-ID",
    "web-id": "I forgot my Web-ID or its password",
    "pin": "I forgot my PIN",
    "suspended": "My account is suspended",
    "not-me": "Somebody else may have signed in as me",
    "email": "My email address has changed, or no mail arrives",
    "card": "I have lost my card",
}


@in_pairs
def test_every_answer_opens_and_leads_on(visitor: Visitor) -> None:
    visitor.open("/login/")
    visitor.follow("I can't sign in")
    visitor.is_at("/help/", "I can't sign in")
    answers = visitor.page.locator(".answers details")
    assert answers.count() == len(QUESTIONS)
    for anchor, question in QUESTIONS.items():
        answer = visitor.page.locator(f"details#{anchor}")
        ways_on = answer.get_by_role("link")
        expect(answer.locator("p, li").first).to_be_hidden()
        answer.locator("summary").get_by_text(visitor.say(question), exact=True).click()
        expect(answer.locator("p, li").first).to_be_visible()
        assert ways_on.count() >= 1
    visitor.look()
    addresses = {link.get_attribute("href") or "" for link in visitor.page.locator("main a").all()}
    assert "tel:0120000000" in addresses
    for address in addresses - {"tel:0120000000"}:
        page, _hash, anchor = address.partition("#")
        if page:
            answer = visitor.context.request.get(visitor.base + page, max_redirects=0)
            assert answer.status == 200, address
        if anchor:
            assert visitor.page.locator(f"[id='{anchor}']").count() == 1, address


@in_pairs
def test_a_link_to_an_answer_opens_it(visitor: Visitor) -> None:
    visitor.open("/login/")
    visitor.follow("I forgot my PIN")
    visitor.is_at("/help/#pin")
    answer = visitor.page.locator("details#pin")
    expect(answer).to_be_in_viewport()
    if visitor.scripts:
        expect(answer.get_by_text(visitor.say("Please bring:"))).to_be_visible()
