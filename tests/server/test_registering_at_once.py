"""Registration when several browsers press the button in the same moment."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.mailbox import Mailbox
from tests.server.portal import Portal
from tests.server.registering import PASSWORD, ask, choice, code_of, up_to_choosing
from tests.server.visitor import at_once

pytestmark = pytest.mark.server

PARALLEL = 16
Start = Callable[..., Portal]


def test_a_code_that_comes_back_sixteen_times_at_once_is_taken_once(
    start: Start, mailbox: Mailbox
) -> None:
    # Every one of them is judged, so that it is not the count of tries that stops the others.
    portal = start(CODE_ATTEMPTS=str(PARALLEL))
    [person] = portal.people(1)
    with portal.worker():
        first = ask(portal, person)
        code = code_of(mailbox, person)
    visitors = [portal.visitor() for _turn in range(PARALLEL)]
    for visitor in visitors:
        visitor.cookies, visitor.token = dict(first.cookies), first.token
    answers = at_once(
        [lambda one=one: one.post("/web-id/register/code/", code=code) for one in visitors]
    )
    for visitor in (first, *visitors):
        visitor.close()
    won = [answer for answer in answers if answer.status == 302]
    assert [answer.location for answer in won] == ["/web-id/register/choose/"]
    assert sorted(answer.status for answer in answers) == [200] * (PARALLEL - 1) + [302]
    assert len(portal.events("code_confirmed", person)) == 1


def test_two_who_choose_one_web_id_at_once(start: Start, mailbox: Mailbox) -> None:
    portal = start()
    people = portal.people(2)
    with portal.worker():
        visitors = [up_to_choosing(portal, mailbox, person) for person in people]
    path = "/web-id/register/choose/"
    names = ("hanako1983", "HANAKO1983")
    answers = at_once(
        [
            lambda one=one, name=name: one.post(path, **choice(name))
            for one, name in zip(visitors, names, strict=True)
        ]
    )
    assert sorted(answer.status for answer in answers) == [200, 302]
    loser = 0 if answers[0].status == 200 else 1
    assert answers[1 - loser].location == "/web-id/register/done/"
    assert "Somebody else has this Web-ID" in answers[loser].text

    # Nothing was lost by it: another name, and the registration is through.
    answer = visitors[loser].post(path, **choice("hanako1984"))
    assert (answer.status, answer.location) == (302, "/web-id/register/done/")
    names = ("hanako1984", "hanako1983") if loser == 0 else ("hanako1983", "hanako1984")
    for visitor, name in zip(visitors, names, strict=True):
        visitor.get("/login/web-id/")
        assert visitor.post("/login/web-id/", web_id=name, password=PASSWORD).status == 302
        assert visitor.is_signed_in
        visitor.close()
