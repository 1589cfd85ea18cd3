"""The way from the member number to a Web-ID, as a member goes it."""

from __future__ import annotations

import re

from tests.server.mailbox import Mailbox
from tests.server.portal import Person, Portal
from tests.server.visitor import Visitor

PASSWORD = "correct horse battery staple"


def ask(portal: Portal, person: Person) -> Visitor:
    """Do the first step: member number and address."""
    visitor = portal.visitor()
    visitor.get("/web-id/register/")
    answer = visitor.post(
        "/web-id/register/", member_number=person.member_number, email=person.email
    )
    assert (answer.status, answer.location) == (302, "/web-id/register/code/")
    visitor.get(answer.location)
    return visitor


def code_of(mailbox: Mailbox, person: Person, number: int = 1) -> str:
    """Return the code in the newest mail to this member."""
    text = mailbox.wait_for(person.email, number)[-1].get_content()
    [code] = re.findall(r"(?<!\d)\d{6}(?!\d)", text)
    return str(code)


def up_to_choosing(portal: Portal, mailbox: Mailbox, person: Person) -> Visitor:
    """Go as far as the page where Web-ID and password are chosen. A worker must be running."""
    visitor = ask(portal, person)
    answer = visitor.post("/web-id/register/code/", code=code_of(mailbox, person))
    assert (answer.status, answer.location) == (302, "/web-id/register/choose/")
    visitor.get(answer.location)
    return visitor


def choice(web_id: str) -> dict[str, str]:
    """Return the last form, filled in."""
    return {"web_id": web_id, "password1": PASSWORD, "password2": PASSWORD}


def register(portal: Portal, mailbox: Mailbox, person: Person, *, web_id: str) -> None:
    """Go all the way."""
    visitor = up_to_choosing(portal, mailbox, person)
    answer = visitor.post("/web-id/register/choose/", **choice(web_id))
    assert (answer.status, answer.location) == (302, "/web-id/register/done/")
    visitor.close()
