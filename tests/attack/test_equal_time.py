"""Who is a member is not told by how long an answer takes.

Every kind of visitor tries in turn, in an order drawn anew each round, so that whatever else the
machine does falls on all kinds alike. What tells two kinds apart is the area under the ROC curve
of the time as a classifier: 0.5 is chance. PostgreSQL waits for its disk here, as in production.
"""

from __future__ import annotations

import os
import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from itertools import cycle, islice

import pytest

from members.numbers import has_valid_check_digit
from tests.server.mailbox import Mailbox
from tests.server.portal import NO_SOURCE_LIMITS, PIN, Person, Portal
from tests.server.registering import PASSWORD, register
from tests.server.visitor import Visitor

# Side by side with others, these would measure each other (`--dist loadgroup`).
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("timed")]

Start = Callable[..., Portal]
Fields = dict[str, str]
# `QUIET=1 make attack`: 500 of each kind, on a machine that does nothing else. Otherwise fewer,
# beside other work, and with the room that those need.
QUIET = bool(os.environ.get("QUIET"))
BOUND, ROUNDS = (0.05, 500) if QUIET else (0.15, 100)
ALIKE = f"AUC {0.5 - BOUND:.2f}–{0.5 + BOUND:.2f}"
OF_A_KIND = 5
NEVER_SUSPENDED = "1000000"
SETTINGS = {
    **NO_SOURCE_LIMITS,
    "GLOBAL_FAILURE_ALARM": "1000000/minute",
    "LOGIN_FAILURE_LIMIT": NEVER_SUSPENDED,
    "CODE_ATTEMPTS": NEVER_SUSPENDED,
    # Less than in production: less time for a difference to hide in.
    "HASHING_MEMORY_KIB": "8192",
}


def auc(one: list[float], other: list[float]) -> float:
    """Return how often a time of `other` is longer than one of `one`; ties count half."""
    ordered = sorted(one)
    wins = sum(bisect_left(ordered, t) + bisect_right(ordered, t) for t in other)
    return wins / (2 * len(one) * len(other))


def times(
    visitor: Visitor, path: str, kinds: dict[str, Iterable[Fields]]
) -> dict[str, list[float]]:
    """Return the seconds that each kind's answers took, so many of each."""
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    turns = {kind: cycle(fields) for kind, fields in kinds.items()}
    visitor.get(path)
    for turn in range(-10, ROUNDS):
        for kind in random.sample(list(kinds), len(kinds)):
            fields = next(turns[kind])
            before = time.perf_counter()
            answer = visitor.post(path, **fields)
            seconds = time.perf_counter() - before
            assert answer.status in (200, 302)
            if turn >= 0:
                took[kind].append(seconds)
    return took


def compare(took: dict[str, list[float]], measured: Callable[[str], None]) -> dict[str, float]:
    """Return what tells each other kind from the first one, and say it."""
    reference, *others = took
    areas = {kind: auc(took[reference], took[kind]) for kind in others}
    measured(f"{reference} against " + ", ".join(f"{k} {v:.2f}" for k, v in areas.items()))
    return areas


def near_chance(areas: dict[str, float]) -> bool:
    """Whether the classifier does not know better than a coin."""
    return all(abs(area - 0.5) <= BOUND for area in areas.values())


def alter(portal: Portal, people: list[Person], table: str, change: str) -> list[Person]:
    """Bring these members into a state; return them."""
    which = {
        "members_user": "member_id = (SELECT id FROM members_member WHERE number = %s)",
        "members_card": "member_id = (SELECT id FROM members_member WHERE number = %s)",
    }[table]
    for person in people:
        portal.database.rows(f"UPDATE {table} SET {change} WHERE {which}", person.member_number)
    return people


def five(portal: Portal) -> list[Person]:
    """Return members of one kind."""
    return portal.people(OF_A_KIND)


def nobodys_cards() -> list[str]:
    """Return card numbers that nobody has, with the right check digit."""
    cards = (f"49911{i:011}" for i in range(100))
    return [*islice(filter(has_valid_check_digit, cards), OF_A_KIND)]


@pytest.mark.attack(f"timing of PIN sign-in, {ROUNDS} of each kind", ALIKE)
def test_card_and_pin(start: Start, measured: Callable[[str], None]) -> None:
    portal = start(**SETTINGS)
    suspended = alter(portal, five(portal), "members_user", "suspended_at = now()")
    closed = alter(portal, five(portal), "members_user", "is_active = false")
    no_pin = alter(portal, five(portal), "members_card", "sealed_pin = ''")

    def forms(people: list[Person], pin: str = "7000") -> list[Fields]:
        return [{"card_number": one.card_number, "pin": pin} for one in people]

    kinds = {
        "unknown": [{"card_number": card, "pin": "7000"} for card in nobodys_cards()],
        "wrong": forms(five(portal)),
        "suspended": forms(suspended, PIN),
        "closed": forms(closed, PIN),
        "no PIN": forms(no_pin),
    }
    visitor = portal.visitor()
    took = times(visitor, "/login/", kinds)
    visitor.close()
    assert near_chance(compare(took, measured))


@pytest.mark.attack(f"timing of Web-ID sign-in, {ROUNDS} of each kind", ALIKE)
def test_web_id_and_password(
    start: Start, mailbox: Mailbox, measured: Callable[[str], None]
) -> None:
    portal = start(**SETTINGS)
    people = {kind: five(portal) for kind in ("wrong", "suspended", "closed")}
    with portal.worker():
        for kind, those in people.items():
            for number, person in enumerate(those):
                register(portal, mailbox, person, web_id=f"{kind}hanako{number}")
    alter(portal, people["suspended"], "members_user", "suspended_at = now()")
    alter(portal, people["closed"], "members_user", "is_active = false")
    kinds: dict[str, Iterable[Fields]] = {
        kind: [
            {"web_id": f"{kind}hanako{number}", "password": given} for number in range(OF_A_KIND)
        ]
        for kind, given in {
            "unknown": "wrong" * 3,
            "wrong": "wrong" * 3,
            "suspended": PASSWORD,
            "closed": PASSWORD,
        }.items()
    }
    visitor = portal.visitor()
    took = times(visitor, "/login/web-id/", kinds)
    visitor.close()
    assert near_chance(compare(took, measured))


@pytest.mark.parametrize("state", ["up", "hang", "down"])
@pytest.mark.attack(f"timing of asking for a code, {ROUNDS} of each kind", ALIKE)
def test_asking_for_a_code(
    start: Start, mailbox: Mailbox, measured: Callable[[str], None], state: str
) -> None:
    portal = start(**SETTINGS)
    people = {kind: five(portal) for kind in ("a match", "has a Web-ID", "suspended")}
    with portal.worker():
        for number, person in enumerate(people["has a Web-ID"]):
            register(portal, mailbox, person, web_id=f"registered{number}")
    alter(portal, people["suspended"], "members_user", "suspended_at = now()")
    measured(f"mail server {state}")
    getattr(mailbox, state)()
    kinds: dict[str, Iterable[Fields]] = {
        "no match": [
            {"member_number": str(900_000_000 + number), "email": f"nobody{number}@example.com"}
            for number in range(OF_A_KIND)
        ],
        **{
            kind: [{"member_number": one.member_number, "email": one.email} for one in those]
            for kind, those in people.items()
        },
    }
    visitor = portal.visitor()
    with portal.worker():
        took = times(visitor, "/web-id/register/", kinds)
    visitor.close()
    mailbox.up()
    assert near_chance(compare(took, measured))
