"""The members of these tests, as the core system's feed describes them."""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass
from pathlib import Path

from django.core.management import call_command

from members.feed import COLUMNS
from tests.factories import PIN, with_check_digit


@dataclass(frozen=True)
class Person:
    """A line of the feed; the fields are its columns, in order."""

    member_number: str
    name: str
    name_kana: str
    birth_date: str
    email: str
    phone: str
    card_number: str
    pin: str = PIN


HANAKO = Person(
    member_number="386120457",
    name="山田 花子",
    name_kana="ヤマダ ハナコ",
    birth_date="1983-12-31",
    email="hanako@example.jp",
    phone="090-0123-5602",
    card_number=with_check_digit("939200012340001"),
)
# Has a card whose PIN is still to be set in person.
TARO = Person(
    member_number="386120466",
    name="田中 太郎",
    name_kana="タナカ タロウ",
    birth_date="1979-05-14",
    email="taro@example.jp",
    phone="090-0123-5603",
    card_number=with_check_digit("939200012340002"),
    pin="",
)
# Four digits that neither of them is refused.
NEW_PIN = "7294"


def bring_in(folder: Path) -> None:
    """Import the two, as the nightly feed does."""
    feed = folder / "members.csv"
    with feed.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, astuple(HANAKO), astuple(TARO)])
    call_command("import_members", str(feed), verbosity=0)
