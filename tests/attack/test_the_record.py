"""The record: many write at once, somebody with rights on the database tampers with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.databases import Database
from tests.server.portal import PIN, Portal
from tests.server.test_guessing import WIDE_OPEN
from tests.server.test_record import broken_at, many_write, unprotected, verified
from tests.server.test_restoring import Story, tell

pytestmark = pytest.mark.server
Measured = Callable[[str], None]


@pytest.mark.attack("50 parallel writers, two sealers, the chain afterwards", "unbroken")
def test_many_writers(start: Callable[..., Portal], measured: Measured) -> None:
    portal = start(**WIDE_OPEN, SOURCE_ACCOUNT_LIMIT="1000/hour", SOURCE_FAILURE_LIMIT="1000/hour")
    with portal.worker(), portal.worker():
        number = many_write(portal)
    said = verified(portal)
    measured(f"{number} events, {'unbroken' if 'whole' in said else said}")
    assert f"whole: positions 1 to {number}." in said


def seal_over(database: Database, events: dict[int, int]) -> None:
    """Put these events under the seals at these positions."""
    for position in events:
        database.rows(
            "UPDATE credentials_seal SET event_id = -position WHERE position = %s", position
        )
    for position, event in events.items():
        database.rows(
            "UPDATE credentials_seal SET event_id = %s WHERE position = %s", event, position
        )


@pytest.mark.attack(
    "a row edited, deleted, moved, or cut off at the end by a database administrator",
    "each is named",
)
def test_tampering(start: Callable[..., Portal], measured: Measured, tmp_path: Path) -> None:
    copy = str(tmp_path / "record.jsonl")
    portal = start(**WIDE_OPEN, RECORD_COPY=copy)
    number = many_write(portal, rounds=1)
    assert f"1 to {number}" in verified(portal)
    rows, named = portal.database.rows, []
    [(seventh,), (eighth,), (last,)] = rows(
        "SELECT event_id FROM credentials_seal WHERE position IN (7, 8, %s) ORDER BY position",
        number,
    )
    with pytest.raises(Exception, match="append-only"):
        rows("DELETE FROM credentials_event WHERE id = %s", seventh)
    with unprotected(portal.database):
        rows(f"CREATE TABLE kept AS SELECT * FROM credentials_event WHERE id = {seventh}")
        rows("UPDATE credentials_event SET source = '192.0.2.66' WHERE id = %s", seventh)
        named.append(broken_at(portal) == (7, seventh))
        rows("DELETE FROM credentials_event WHERE id = %s", seventh)
        named.append(broken_at(portal) == (7, seventh))
        rows("INSERT INTO credentials_event SELECT * FROM kept")
        assert "whole" in verified(portal, "--copy", copy)
        seal_over(portal.database, {7: eighth, 8: seventh})
        named.append(broken_at(portal) == (7, eighth))
        seal_over(portal.database, {7: seventh, 8: eighth})
        assert "whole" in verified(portal, "--copy", copy)
        rows("DELETE FROM credentials_event WHERE id = %s", last)
        rows("DELETE FROM credentials_seal WHERE event_id = %s", last)
        named.append(broken_at(portal, "--copy", copy) == (number, last))
    measured(f"{sum(named)} of {len(named)} named")
    assert named == [True] * 4


@pytest.mark.attack(
    "yesterday's backup restored: old session, old PIN, a suspension that came since",
    "none opens",
)
def test_yesterday(migrated: Database, measured: Measured, tmp_path: Path) -> None:
    opened: list[str] = []

    def then(story: Story) -> None:
        tried = {
            "session": story.signed_in.is_signed_in,
            "PIN": story.opens(story.reset_since, PIN),
            "suspension": story.opens(story.suspended_since, PIN),
        }
        opened.extend(name for name, open_ in tried.items() if open_)
        assert story.opens(story.reinstated_since, PIN), "lifted since, and so it is"

    tell(migrated, tmp_path, then)
    measured(", ".join(opened) or "none opened; the chain goes on")
    assert not opened
