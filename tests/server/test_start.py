"""The first moments after a start: everything is there, for however many come at once."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.server.portal import PIN, Portal
from tests.server.visitor import at_once

pytestmark = pytest.mark.server

AT_ONCE = 40
Start = Callable[..., Portal]


def test_the_first_forty_at_once_all_sign_in(start: Start, counters_in_redis: str) -> None:
    portal = start(CACHE_URL=counters_in_redis, HASHING_QUEUE="100", HASHING_WAIT_SECONDS="30")
    people = portal.people(AT_ONCE)
    first = portal.visitor()
    first.get("/login/")
    visitors = [portal.visitor(f"198.51.100.{i + 1}") for i in range(AT_ONCE)]
    for visitor in visitors:
        visitor.cookies, visitor.token = dict(first.cookies), first.token
    answers = at_once(
        [
            lambda one=one, person=person: one.post(
                "/login/", card_number=person.card_number, pin=PIN
            )
            for one, person in zip(visitors, people, strict=True)
        ]
    )
    for visitor in (first, *visitors):
        visitor.close()
    assert [answer.status for answer in answers] == [302] * AT_ONCE


def test_a_page_comes_with_what_it_needs(start: Start) -> None:
    portal = start()
    visitor = portal.visitor()
    needed = re.findall(r'(?:href|src)="(/static/[^"]+)"', visitor.get("/login/").text)
    assert len(needed) >= 3
    for path in needed:
        assert visitor.get(path).status == 200
    visitor.close()
