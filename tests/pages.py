"""What visitors do on the pages, and what they read there."""

from __future__ import annotations

import re
from typing import Any

from django.core.mail import EmailMessage
from django.utils import translation
from django.utils.html import escape

from credentials.verification import (
    PERMISSIONS,
    Channel,
    Fact,
    check_by_questions,
    check_in_person,
)
from members.models import Card, Member, User
from tests.conftest import Browser, sign_in_staff
from tests.factories import PASSWORD, PIN

LANGUAGES = ("ja", "en")
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]+"')
_JAPANESE = re.compile(r"[ぁ-ヿ一-鿿]")


def browser(language: str = "ja", address: str = "203.0.113.7") -> Browser:
    """Return a browser of its own, set to a language."""
    return Browser(address, HTTP_ACCEPT_LANGUAGE=language)


def said(message: str, language: str) -> str:
    """Return how a page says `message` in a language."""
    with translation.override(language):
        words = translation.gettext(message)
    assert bool(_JAPANESE.search(words)) == (language == "ja"), f"not translated: {message}"
    return escape(words)


def page_of(answer: Any, *typed: str) -> str:
    """Return the page without its CSRF tokens and without what was typed."""
    page = _TOKEN.sub("", answer.content.decode())
    for text in typed:
        page = page.replace(text, "…")
    return page


def with_card(client: Browser, member: Member, pin: str = PIN, **more: str) -> Any:
    """Sign in with the card."""
    number = Card.objects.get(member=member).number
    return client.post("/login/", {"card_number": number, "pin": pin, **more})


def with_web_id(client: Browser, member: Member, password: str = PASSWORD, **more: str) -> Any:
    """Sign in with the Web-ID."""
    typed = {"web_id": member.web_id.name, "password": password, **more}
    return client.post("/login/web-id/", typed)


def fail(member: Member, times: int, address: str = "198.51.100.4") -> None:
    """Type a wrong PIN so many times in a row, in a browser of somebody's."""
    for _ in range(times):
        assert with_card(browser(address=address), member, pin="0099").status_code == 200


def verify(member: Member, staff: User) -> None:
    """Verify the member's identity to this member of staff, by the way of their role."""
    if staff.has_perm(PERMISSIONS[Channel.IN_PERSON]):
        refusal = check_in_person(member=member, by=staff, document="passport", place="Ueno")
    else:
        known = [Fact.NAME.value, Fact.EMAIL.value, Fact.PHONE.value]
        refusal = check_by_questions(member=member, by=staff, answered=known)
    assert refusal is None


def is_signed_in(client: Browser) -> bool:
    """Whether this browser gets to the member's page, or the staff's."""
    answer = client.get("/")
    return answer.status_code == 200 or answer["Location"] == "/admin/"


def user_of(member: Member) -> User:
    """Return the member's user as it is now."""
    return User.objects.get(member=member)


def code_in(mail: EmailMessage) -> str:
    """Return the six-digit code of a mail."""
    [code] = re.findall(r"^\s*(\d{6})\s*$", str(mail.body), re.MULTILINE)
    return str(code)


def as_staff(user: User, address: str = "203.0.113.7") -> Browser:
    """Return a browser in which this member of staff is signed in by both steps, in English."""
    client = browser("en", address)
    sign_in_staff(client, user)
    return client
