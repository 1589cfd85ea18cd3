"""The shipped feed of made-up members."""

from __future__ import annotations

from pathlib import Path

import pytest

import members
from members.demo_feed import HEADER, demo_rows
from members.feed import COLUMNS, import_feed
from members.models import Card

FEED = Path(members.__file__).with_name("demo_members.csv")


def test_shipped_feed_is_the_one_that_is_generated() -> None:
    lines = [HEADER, *(",".join(cells) for cells in demo_rows())]

    assert FEED.read_text(encoding="utf-8") == "\n".join(lines) + "\n"
    assert ",".join(COLUMNS) == HEADER


@pytest.mark.django_db
def test_shipped_feed_comes_in_whole(tmp_path: Path) -> None:
    copy = tmp_path / "demo.csv"
    copy.write_bytes(FEED.read_bytes())

    counts = import_feed(copy)

    assert (counts.created, counts.rejected) == (200, 0)
    assert 150 < Card.objects.exclude(sealed_pin="").count() < 200


def test_members_shown_first_have_pins_and_all_are_grown_up() -> None:
    rows = list(demo_rows())

    assert all(pin for *_rest, pin in rows[:3])
    assert all("1935" < birth_date < "2007" for _n, _name, _kana, birth_date, *_rest in rows)
    assert len({cells[0] for cells in rows}) == len({cells[6] for cells in rows}) == 200


@pytest.mark.django_db
def test_shipped_feed_can_reach_nobody() -> None:
    for _number, _name, _kana, _born, email, phone, card, _pin in demo_rows():
        assert email.rpartition("@")[2] in {"example.jp", "example.com", "example.net"}
        assert phone.startswith("090-0")
        assert card.startswith("9392")
