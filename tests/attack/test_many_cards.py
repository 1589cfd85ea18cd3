"""One PIN tried on many cards, so that no account is ever suspended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.server.portal import PIN, Person, Portal
from tests.server.test_guessing import LIMIT, WIDE_OPEN, judged
from tests.server.visitor import Answer, Visitor

pytestmark = pytest.mark.server
Start = Callable[..., Portal]
Measured = Callable[[str], None]
SPRAYED = "7000"
AT_ONCE = 10
DEVICES = "__Host-devices"
# The source's limits as they ship.
ACCOUNTS, SITE_FACTOR = 10, 5


def spray(portal: Portal, people: list[Person], addresses: Iterable[str]) -> list[Answer]:
    """Try one PIN on one person's card from each address, ten at once."""
    page = portal.visitor()
    page.get("/login/")

    def attempt(person: Person, address: str) -> Answer:
        visitor = portal.visitor(address)
        visitor.cookies, visitor.token = dict(page.cookies), page.token
        answer = visitor.post("/login/", card_number=person.card_number, pin=SPRAYED)
        visitor.close()
        return answer

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(attempt, people, addresses))


def accounts_judged(portal: Portal) -> int:
    """Return how many accounts' PINs were looked at in vain."""
    [(number,)] = portal.database.rows(
        "SELECT count(DISTINCT whom) FROM credentials_event"
        " WHERE act = 'sign_in_failed' AND details->>'failures' <> '0'"
    )
    return int(number)


def alarms(portal: Portal) -> int:
    """Return how many times the alarm was raised."""
    [(number,)] = portal.database.rows(
        "SELECT count(*) FROM credentials_event WHERE act = 'alarm_raised'"
    )
    return int(number)


def used_by(portal: Portal, person: Person) -> Visitor:
    """Return a device in which this person signed in once, and that has kept nothing else."""
    phone = portal.visitor("203.0.113.200")
    phone.get("/login/")
    assert phone.post("/login/", card_number=person.card_number, pin=PIN).status == 302
    device = portal.visitor("203.0.113.200")
    device.cookies = {DEVICES: phone.cookies[DEVICES]}
    phone.close()
    return device


def sign_in(visitor: Visitor, person: Person, pin: str = PIN) -> int:
    """Try one PIN; return what was answered."""
    visitor.get("/login/")
    return visitor.post("/login/", card_number=person.card_number, pin=pin).status


@pytest.mark.attack("one PIN on 40 cards, each twice, from one address", "10 cards judged")
def test_from_one_address(start: Start, measured: Measured) -> None:
    portal = start(**WIDE_OPEN)
    people = [person for person in portal.people(40) for _twice in range(2)]
    answers = spray(portal, people, ["198.51.100.1"] * 80)
    measured(f"{accounts_judged(portal)} judged")
    assert accounts_judged(portal) <= ACCOUNTS
    assert {answer.status for answer in answers} == {200, 429}
    assert sum(portal.failures(person) for person in people[::2]) <= 2 * ACCOUNTS


@pytest.mark.attack(
    "one PIN on 40 cards, another forged X-Forwarded-For each time", "10 cards judged"
)
def test_forged_addresses_on_the_left_buy_nothing(start: Start, measured: Measured) -> None:
    portal = start(**WIDE_OPEN)
    people = portal.people(40)
    spray(portal, people, [f"192.0.2.{i}, 2001:db8::{i:x}, 198.51.100.1" for i in range(40)])
    measured(f"{accounts_judged(portal)} judged")
    assert accounts_judged(portal) <= ACCOUNTS


@pytest.mark.attack("one PIN on 40 cards, from 40 addresses of one IPv6 /64", "10 cards judged")
def test_from_one_64(start: Start, measured: Measured) -> None:
    portal = start(**WIDE_OPEN)
    spray(portal, portal.people(40), [f"2001:db8:0:1::{i:x}" for i in range(40)])
    measured(f"{accounts_judged(portal)} judged")
    assert accounts_judged(portal) <= ACCOUNTS


@pytest.mark.attack("one PIN on 120 cards, from 120 /64 of one /48", "50 cards judged")
def test_from_many_64_of_one_48(start: Start, measured: Measured) -> None:
    portal = start(**WIDE_OPEN)
    spray(portal, portal.people(120), [f"2001:db8:0:{i:x}::1" for i in range(120)])
    measured(f"{accounts_judged(portal)} judged")
    assert accounts_judged(portal) <= ACCOUNTS * SITE_FACTOR


@pytest.mark.attack(
    "one PIN on 500 cards, from 500 addresses; alarm at 100/minute",
    "0 judged once the alarm is raised; a known device signs in, with its 5 guesses",
)
def test_from_five_hundred_addresses(start: Start, measured: Measured) -> None:
    limit = 100
    portal = start(**WIDE_OPEN, GLOBAL_FAILURE_ALARM=f"{limit}/minute")
    people = portal.people(500)
    mine = people.pop()
    known = used_by(portal, mine)
    # What is being judged while the alarm is raised goes on to its end.
    before = spray(portal, people[:150], [f"198.51.100.{i}" for i in range(150)])
    judged_before = accounts_judged(portal)
    assert alarms(portal) == 1
    assert limit < judged_before <= limit + 2 * AT_ONCE
    assert before[-1].status == 429
    after = spray(portal, people[150:], [f"198.18.{i // 250}.{i % 250}" for i in range(349)])
    measured(f"{judged_before} judged before the alarm")
    measured(f"{accounts_judged(portal) - judged_before} after it")
    assert {answer.status for answer in after} == {429}
    assert accounts_judged(portal) == judged_before
    assert alarms(portal) == 1

    assert sign_in(portal.visitor("203.0.113.9"), mine) == 429
    assert sign_in(known, mine) == 302
    thief = portal.visitor("203.0.113.200")
    thief.cookies = {DEVICES: known.cookies[DEVICES]}
    assert sign_in(thief, people[-1]) == 429
    for guess in range(8):
        sign_in(thief, mine, f"{7000 + guess}")
    measured(f"{len(judged(portal, mine))} from the known device")
    assert judged(portal, mine) == [*range(1, LIMIT + 1)]
