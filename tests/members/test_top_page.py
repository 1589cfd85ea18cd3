"""The top page: the member number, within seconds, and to keep."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.conftest import Browser
from tests.factories import PIN, MemberFactory
from tests.pages import LANGUAGES, browser, said, with_card, with_web_id

pytestmark = pytest.mark.django_db


class TextOf(HTMLParser):
    """Collects the text within the element of one id."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted, self.depth, self.text, self.found = wanted, 0, "", 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.depth:
            self.depth += 1
        elif dict(attrs).get("id") == self.wanted:
            self.depth, self.found = 1, self.found + 1

    def handle_endtag(self, tag: str) -> None:
        if self.depth:
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth:
            self.text += data


def number_on(page: str) -> str:
    reader = TextOf("member-number")
    reader.feed(page)
    assert reader.found == 1
    return reader.text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/", "/member-number/memo/"])
@pytest.mark.parametrize("number", ["123456789", "012345678", "100000001"])
def test_number_stands_on_the_page_as_exactly_nine_digits(
    path: str, language: str, number: str
) -> None:
    client = browser(language)
    with_card(client, MemberFactory(number=number))
    page = client.get(path).content.decode()
    assert number_on(page).strip() == number
    assert said("Member number", language) in page


def test_both_ways_lead_to_the_number(client: Browser) -> None:
    member = MemberFactory(web_id="Hanako1983")
    for way in (with_card, with_web_id):
        visitor = browser()
        assert way(visitor, member)["Location"] == "/"
        assert number_on(visitor.get("/").content.decode()) == member.number


def test_card_number_is_shown_by_its_last_four_digits_only(client: Browser) -> None:
    member = MemberFactory(web_id="Hanako1983")
    with_card(client, member)
    page = client.get("/").content.decode()
    assert member.card.last_four in page
    assert member.card.number not in re.sub(r"\D", "", page)
    assert f">{PIN}<" not in page
    assert "Hanako1983" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_state_of_card_and_web_id_is_told(language: str) -> None:
    client, member = browser(language), MemberFactory(pin="", web_id="Hanako1983")
    with_web_id(client, member)
    assert said("No PIN set", language) in client.get("/").content.decode()
    client, member = browser(language), MemberFactory()
    with_card(client, member)
    page = client.get("/").content.decode()
    assert said("In use", language) in page
    assert "/web-id/register/" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_sign_ins_are_told_so_that_a_strangers_is_noticed(language: str) -> None:
    member = MemberFactory(web_id="Hanako1983")
    client = browser(language)
    with_card(client, member)
    assert said("This is your first sign-in.", language) in client.get("/").content.decode()
    with_web_id(client, member)
    page = client.get("/").content.decode()
    assert said("This is your first sign-in.", language) not in page
    ways = ["Web-ID and password", "Card number and PIN"]
    places = [page.rindex(f">{said(way, language)}<") for way in ways]
    assert places == sorted(places), "this time by Web-ID, last time by card"


def test_name_with_markup_is_shown_as_text(client: Browser) -> None:
    with_card(client, MemberFactory(name="<script>alert(1)</script>"))
    page = client.get("/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_page_shows_nobody_elses_data(client: Browser) -> None:
    other = MemberFactory(name="佐藤 太郎", web_id="Taro2000x")
    with_card(client, MemberFactory())
    page = client.get("/").content.decode()
    for foreign in (other.number, other.name, other.web_id.name, other.card.last_four):
        assert f">{foreign}<" not in page
    assert other.name not in page
