"""Guessing the PIN of one card."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.portal import NO_SOURCE_LIMITS, PIN, Portal
from tests.server.test_guessing import GUESSES, LIMIT, WIDE_OPEN, card, guess, judged

pytestmark = pytest.mark.server


@pytest.mark.attack("50 wrong PINs at once on one card, from 50 addresses", "5 judged")
def test_the_limit_holds_to_the_digit(
    start: Callable[..., Portal], measured: Callable[[str], None]
) -> None:
    portal = start(**WIDE_OPEN, **NO_SOURCE_LIMITS)
    [person] = portal.people(1)
    answers = guess(portal, [card(person, f"{7000 + i}") for i in range(GUESSES)])
    counts = judged(portal, person)
    measured(f"{len(counts)} judged, {len(portal.events('suspended', person))} suspension")
    assert {answer.status for answer in answers} == {200}
    assert counts == [*range(1, LIMIT + 1)]
    assert len(portal.events("suspended", person)) == 1
    [late] = guess(portal, [card(person, PIN)])
    assert late.status == 200
    assert portal.sessions(person) == 0
