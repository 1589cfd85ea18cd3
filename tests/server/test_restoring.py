"""Yesterday's backup restored: the portal that opens on it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server.databases import Database
from tests.server.portal import (
    NO_SOURCE_LIMITS,
    PIN,
    Person,
    Portal,
    environment,
    manage,
    serving,
)
from tests.server.processes import wait_until
from tests.server.visitor import Visitor

pytestmark = pytest.mark.server
NEW_PIN = "9642"
# What staff do in person, without their pages.
_DESK = f"""
from credentials import pin_reset, suspension, verification
from members.models import Member, User

seen = dict(document="passport", place="Ueno")
by, _made = User.objects.get_or_create(username="store", is_staff=True, is_superuser=True)


def reset_pin(number):
    member = Member.objects.get(number=number)
    ticket = pin_reset.start(member=member, by=by, **seen)
    card = member.card.number
    assert not pin_reset.set_pin(card_number=card, ticket=ticket, pin="{NEW_PIN}", source="")


def reinstate(number):
    member = Member.objects.get(number=number)
    assert not verification.check_in_person(member=member, by=by, **seen)
    assert not suspension.reinstate(member.user, by=by, reason="asked")


"""


@dataclass(frozen=True)
class Story:
    """The portal on the restored backup, and whom it is about."""

    portal: Portal
    signed_in: Visitor
    suspended_since: Person
    reset_since: Person
    reinstated_since: Person

    def opens(self, person: Person, pin: str) -> bool:
        """Whether card and PIN open a session."""
        return signs_in(self.portal, person, pin) is not None


def signs_in(portal: Portal, person: Person, pin: str) -> Visitor | None:
    visitor = portal.visitor()
    visitor.get("/login/")
    visitor.post("/login/", card_number=person.card_number, pin=pin)
    if visitor.is_signed_in:
        return visitor
    visitor.close()
    return None


def fails(portal: Portal, person: Person) -> None:
    """Get the card suspended."""
    for i in range(5):
        assert signs_in(portal, person, f"700{i}") is None
    assert portal.events("suspended", person)


def sealed(portal: Portal) -> None:
    """Wait until the worker has sealed all there is, and copied it."""
    with portal.worker():
        wait_until(
            "all is sealed",
            lambda: (
                portal.database.rows(
                    "SELECT (SELECT count(*) FROM credentials_event)"
                    " = (SELECT count(*) FROM credentials_seal)"
                )
                == [(True,)]
            ),
        )


def tell(empty: Database, folder: Path, then: Callable[[Story], None], **settings: str) -> None:
    """Make a backup in the middle of a story, go on, restore it, and open the portal on it."""
    own = {**NO_SOURCE_LIMITS, "RECORD_COPY": str(folder / "record.jsonl"), **settings}
    with serving(empty.copy(), folder, **own) as portal:
        signed_in, suspended, reset, reinstated = portal.people(4)
        visitor = signs_in(portal, signed_in, PIN)
        assert visitor
        fails(portal, reinstated)
        sealed(portal)
    backup = portal.database.copy()
    with serving(portal.database, folder, **own) as portal:
        fails(portal, suspended)
        desk = f"reset_pin('{reset.member_number}')\nreinstate('{reinstated.member_number}')"
        manage(portal.env, "shell", "-c", _DESK + desk)
        sealed(portal)
        [(number,)] = portal.database.rows("SELECT max(id) FROM credentials_event")
    env = environment(backup, folder, **own)
    said = manage(env, "after_restore")
    assert "suspensions in force again" in said
    assert reset.member_number in said
    assert f"1 to {number + 1}; the copy agrees up to position {number + 1}" in manage(
        env, "verify_audit", "--copy", own["RECORD_COPY"]
    )
    with serving(backup, folder, **own) as portal:
        same_browser = portal.visitor()
        same_browser.cookies = visitor.cookies
        then(Story(portal, same_browser, suspended, reset, reinstated))
        same_browser.close()
        # New events come after the old ones.
        assert "the copy agrees" in manage(env, "verify_audit", "--copy", own["RECORD_COPY"])


def test_nothing_of_yesterday_opens(migrated: Database, tmp_path: Path) -> None:
    def then(story: Story) -> None:
        assert not story.signed_in.is_signed_in
        assert not story.opens(story.suspended_since, PIN)
        assert not story.opens(story.reset_since, PIN)
        assert story.opens(story.reinstated_since, PIN)

    tell(migrated, tmp_path, then)
