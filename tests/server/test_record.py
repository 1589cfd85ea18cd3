"""The record of the portal as it runs: sealed while many write, and what is changed is named."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.server.databases import Database
from tests.server.portal import PIN, Portal, manage
from tests.server.test_guessing import GUESSES, WIDE_OPEN, card, guess

pytestmark = pytest.mark.server
APPEND_ONLY = importlib.import_module("credentials.migrations.0003_append_only")
Start = Callable[..., Portal]


def many_write(portal: Portal, rounds: int = 2) -> int:
    """Let many sign in at once, rightly and wrongly; return how many events that made."""
    people = portal.people(GUESSES // 2)
    for _round in range(rounds):
        pins = (PIN, "7000", PIN)
        each = zip(cycle(people), cycle(pins), strict=False)
        guess(portal, [card(person, pin) for person, pin in islice(each, GUESSES)])
    [(number,)] = portal.database.rows("SELECT count(*) FROM credentials_event")
    return int(number)


def verified(portal: Portal, *arguments: str) -> str:
    """Return what verify_audit says of a whole record."""
    return manage(portal.env, "verify_audit", *arguments)


def broken_at(portal: Portal, *arguments: str) -> tuple[int, int]:
    """Return position and event that verify_audit names in a broken record."""
    with pytest.raises(AssertionError) as told:
        verified(portal, *arguments)
    named = re.search(r"BROKEN at position (\d+), event (\d+): ", str(told.value))
    assert named, told.value
    return int(named[1]), int(named[2])


def vendor(database: Database) -> str:
    return "postgresql" if database.url.startswith("postgres") else "sqlite"


@contextmanager
def unprotected(database: Database) -> Iterator[None]:
    """Take the triggers down inside the block, as whoever owns the database can."""
    for statement in APPEND_ONLY.dropping(vendor(database)):
        database.rows(statement)
    yield
    for statement in APPEND_ONLY.creating(vendor(database)):
        database.rows(statement)


def test_fifty_writers_with_two_sealers_leave_an_unbroken_chain(
    start: Start, tmp_path: Path
) -> None:
    copy = tmp_path / "record.jsonl"
    portal = start(**WIDE_OPEN, RECORD_COPY=str(copy))
    with portal.worker() as one, portal.worker() as other:
        number = many_write(portal)
        assert one.poll() is other.poll() is None
    assert number >= 2 * GUESSES
    assert f"positions 1 to {number}; the copy agrees up to position {number}" in verified(
        portal, "--copy", str(copy)
    )
    # Nothing that the workers said was trouble.
    logs = [log.read_text() for log in portal.folder.glob("worker*.log")]
    assert not [line for text in logs for line in text.splitlines() if '"error"' in line]
    assert not [line for text in logs for line in text.splitlines() if '"warning"' in line]

    with pytest.raises(Exception, match="append-only"):
        portal.database.rows("UPDATE credentials_event SET whom = ''")
    with unprotected(portal.database):
        portal.database.rows("UPDATE credentials_event SET source = '' WHERE id = 40")
    [(position,)] = portal.database.rows(
        "SELECT position FROM credentials_seal WHERE event_id = 40"
    )
    assert broken_at(portal) == (position, 40)
