"""The feed's optional column `balance`: what is owed, as closure needs to know it."""

from __future__ import annotations

from pathlib import Path

import pytest

from members.feed import COLUMNS, Counts, import_feed
from members.models import Member
from tests.factories import with_check_digit

pytestmark = pytest.mark.django_db
CARD = with_check_digit("939200000000001")
CELLS = ["200000001", "山田 太郎", "ヤマダ タロウ", "1983-12-31", "", "", CARD, ""]


def run(folder: Path, balance: str | None, *, before: bool = False) -> Counts:
    """Import one line, with this in the column `balance`; None for no such column."""
    header, line = list(COLUMNS), list(CELLS)
    if balance is not None:
        place = 0 if before else len(header)
        header.insert(place, "balance")
        line.insert(place, balance)
    feed = folder / "members.csv"
    feed.write_text(f"{','.join(header)}\n{','.join(line)}\n", encoding="utf-8")
    return import_feed(feed)


def balance() -> int | None:
    return Member.objects.values_list("balance", flat=True).get()


@pytest.mark.parametrize(
    ("cell", "known"),
    [("120000", 120_000), ("0", 0), ("", None), (" 500 ", 500), ("５００", 500), (None, None)],
)
def test_comes_in_with_a_new_member(tmp_path: Path, cell: str | None, known: int | None) -> None:
    assert run(tmp_path, cell).created == 1
    assert balance() == known


def test_is_found_wherever_the_column_stands(tmp_path: Path) -> None:
    run(tmp_path, "120000", before=True)
    assert balance() == 120_000
    assert Member.objects.get().number == "200000001"


def test_is_brought_up_to_date_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path, "120000")
    assert run(tmp_path, "90000").updated == 1
    assert balance() == 90_000
    assert run(tmp_path, "90000").unchanged == 1


def test_blank_means_unknown_and_no_column_leaves_it(tmp_path: Path) -> None:
    run(tmp_path, "120000")
    assert run(tmp_path, None).unchanged == 1
    assert balance() == 120_000
    assert run(tmp_path, "").updated == 1
    assert balance() is None


@pytest.mark.parametrize(
    "cell", ["-1", "1.5", "12万", "¥100", "1e3", "9" * 16, "many", "-", "1_000"]
)
def test_what_is_no_balance_is_rejected_with_the_reason_and_nothing_of_it(
    tmp_path: Path, cell: str
) -> None:
    assert run(tmp_path, cell).rejected == 1
    assert not Member.objects.exists()
    rejects = (tmp_path / "members.csv.rejects.csv").read_text(encoding="utf-8")
    assert cell not in rejects.splitlines()[1].split(",", 2)[1]
