"""Writing and importing feeds in the tests of the feed."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management import CommandError, call_command
from django.utils import translation

from members.feed import rejects_path
from members.models import Card, Member, User
from tests.factories import with_check_digit

HEADER = "member_number,name,name_kana,birth_date,email,phone,card_number,pin"
# A PIN that stands in no other column.
PIN = "7391"


def card_number(i: int) -> str:
    """Return the card number of the i-th made-up member."""
    return with_check_digit(f"939200{i:09}")


def line(i: int = 1, **cells: str) -> str:
    """Return a good line about the i-th made-up member, with `cells` put in."""
    row = {
        "member_number": f"{200_000_000 + i}",
        "name": f"山田 太郎{i}",
        "name_kana": "ヤマダ タロウ",
        "birth_date": "1983-12-31",
        "email": f"taro{i}@example.jp",
        "phone": "090-1200-5600",
        "card_number": card_number(i),
        "pin": "",
    } | cells
    return ",".join(row.values())


def write(path: Path, *lines: str, header: str = HEADER) -> Path:
    """Write a feed and return its path."""
    path.write_text("\n".join((header, *lines, "")), encoding="utf-8")
    return path


class Run(NamedTuple):
    """What a run of the command left: its exit code, all it said, and the rejects file."""

    exit_code: int
    said: str
    rejects: list[dict[str, str]]
    rejects_text: str

    @property
    def reasons(self) -> dict[int, str]:
        return {int(reject["line"]): reject["reason"] for reject in self.rejects}


def run(path: Path) -> Run:
    """Import the feed at `path` as `manage.py import_members` does, in English."""
    said = StringIO()
    exit_code = 0
    with translation.override("en"):
        try:
            call_command("import_members", str(path), stdout=said, stderr=said)
        except CommandError as error:
            exit_code = error.returncode
            said.write(f"{error}\n")
    text = rejects_path(path).read_text() if rejects_path(path).exists() else ""
    return Run(exit_code, said.getvalue(), list(csv.DictReader(StringIO(text))), text)


def everything() -> list[list[dict[str, Any]]]:
    """Return every row that the feed writes, with every column."""
    return [list(model.objects.order_by("pk").values()) for model in (Member, Card, User)]
