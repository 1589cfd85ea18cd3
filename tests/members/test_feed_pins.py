"""Whose PIN is on a card, and what happens to an import that does not run alone or to its end."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from members import pins
from members.feed import Counts, chunks, import_feed
from members.feed.plan import Plan
from members.models import Card, Member, User
from tests.members.feeds import PIN, everything, line, run, write


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    return tmp_path / "members.csv"


def has_pin(pin: str) -> bool:
    card = Card.objects.get()
    return pins.matches(card.sealed_pin, pin, card_number=card.number)


def set_in_person(pin: str) -> None:
    number = Card.objects.get().number
    sealed = pins.seal(pin, card_number=number) if pin else ""
    Card.objects.update(sealed_pin=sealed, pin_origin=Card.Origin.IN_PERSON)


@pytest.mark.django_db
def test_blank_pin_keeps_the_old_one(feed: Path) -> None:
    run(write(feed, line(1, pin=PIN)))

    run(write(feed, line(1)))

    assert has_pin(PIN)


@pytest.mark.django_db
def test_card_without_pin_gets_the_one_of_the_feed(feed: Path) -> None:
    run(write(feed, line(1)))
    card = Card.objects.get()
    assert (card.sealed_pin, card.pin_origin, card.pin_set_at) == ("", "", None)

    assert "updated: 1" in run(write(feed, line(1, pin=PIN))).said

    assert has_pin(PIN)
    assert User.objects.get().epoch == 0


@pytest.mark.django_db
def test_other_pin_of_the_feed_replaces_its_own_and_ends_sessions(feed: Path) -> None:
    run(write(feed, line(1, pin="1111")))

    assert "updated: 1" in run(write(feed, line(1, pin=PIN))).said

    assert has_pin(PIN)
    assert not has_pin("1111")
    user = User.objects.get()
    assert (user.epoch, user.device_epoch) == (1, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("in_person", ["8520", ""])
def test_pin_set_or_being_set_in_person_stays(feed: Path, in_person: str) -> None:
    run(write(feed, line(1, pin=PIN)))
    set_in_person(in_person)
    before = everything()

    assert "unchanged: 1" in run(write(feed, line(1, pin=PIN))).said

    assert everything() == before


@pytest.mark.django_db(transaction=True)
def test_pin_reset_while_the_feed_hashes_stays(feed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(write(feed, line(1, pin="1111")))
    seal = pins.seal

    def seal_slowly(pin: str, *, card_number: str) -> str:
        if pin == PIN:
            set_in_person("8520")
            connection.close()
        return seal(pin, card_number=card_number)

    monkeypatch.setattr(pins, "seal", seal_slowly)

    run(write(feed, line(1, pin=PIN)))

    assert has_pin("8520")


@pytest.mark.django_db
def test_pin_reset_between_plan_and_writing_stays(
    feed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(write(feed, line(1, pin="1111")))

    class PlanOvertaken(Plan):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            if self.cards:
                set_in_person("8520")

    monkeypatch.setattr(chunks, "Plan", PlanOvertaken)

    assert "updated: 1" in run(write(feed, line(1, pin=PIN, name="改名"))).said

    assert has_pin("8520")
    assert Member.objects.get().name == "改名"
    assert User.objects.get().epoch == 0


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_bring_each_member_in_once(feed: Path) -> None:
    write(feed, *(line(i, member_number="", pin=PIN) for i in range(300)))
    together = threading.Barrier(2)
    done: list[Counts] = []

    def bring_in() -> None:
        together.wait()
        try:
            done.append(import_feed(feed))
        finally:
            connection.close()

    threads = [threading.Thread(target=bring_in) for _import in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts.created for counts in done) == 300
    assert sum(counts.unchanged for counts in done) == 300
    assert Member.objects.count() == Card.objects.count() == User.objects.count() == 300


@pytest.mark.django_db
def test_import_that_was_interrupted_goes_on_from_there(
    feed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("members.feed.importing.CHUNK_LINES", 10)
    write(feed, *(line(i, member_number="", pin=PIN) for i in range(25)))

    def interrupt(_counts: Counts) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_feed(feed, progress=interrupt)
    first_ten = everything()
    assert [len(rows) for rows in first_ten] == [10, 10, 10]

    counts = import_feed(feed)

    assert (counts.created, counts.unchanged) == (15, 10)
    assert [rows[:10] for rows in everything()] == first_ten


MANAGE = Path(settings.BASE_DIR) / "manage.py"
LINES = 20_000


def manage(database: Path, *command: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{database}",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    return subprocess.Popen(
        [sys.executable, str(MANAGE), *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def members_in(database: Path) -> int:
    with sqlite3.connect(database, timeout=20) as rows:
        return int(rows.execute("SELECT count(*) FROM members_member").fetchone()[0])


def state_of(database: Path) -> list[tuple[Any, ...]]:
    """Everything but what chance or the clock decides: ids, issued numbers, salts, times."""
    with sqlite3.connect(database) as rows:
        return rows.execute(
            """
            SELECT c.number, CASE WHEN m.number LIKE '0%' THEN m.number END, length(m.number),
                m.name, m.name_kana, m.birth_date, m.email, m.phone,
                c.sealed_pin <> '', c.pin_origin, c.pin_set_at IS NOT NULL,
                u.epoch, u.password, u.is_active
            FROM members_member m
            JOIN members_card c ON c.member_id = m.id JOIN members_user u ON u.member_id = m.id
            ORDER BY c.number
            """
        ).fetchall()


def test_import_that_was_killed_and_run_again_ends_as_a_clean_one(
    feed: Path, tmp_path: Path
) -> None:
    # No number that is issued begins with 0, so those given are told apart by that.
    write(
        feed,
        *(
            line(
                i,
                pin=PIN if i % 4 == 0 else "",
                member_number="" if i % 50 == 1 else f"0{i:08}",
            )
            for i in range(LINES)
        ),
        line(LINES, name=""),
    )
    clean, killed = tmp_path / "clean.sqlite3", tmp_path / "killed.sqlite3"
    for database in (clean, killed):
        assert manage(database, "migrate", "-v0").wait() == 0

    process = manage(killed, "import_members", str(feed))
    while not members_in(killed) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < members_in(killed) < LINES

    for database in (killed, clean):
        said, _nothing = manage(database, "import_members", str(feed)).communicate()
        assert PIN.encode() not in said
        assert members_in(database) == LINES
    assert state_of(killed) == state_of(clean)
