"""Bad feeds and bad lines: refused with a clear message, and never with a PIN."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import DatabaseError

from members.feed import lines, rejects_path
from members.models import Card, Member
from tests.members.feeds import HEADER, PIN, card_number, everything, line, run, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    return tmp_path / "members.csv"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"member_number": "12345678"}, "nine digits"),
        ({"member_number": "12345678x"}, "nine digits"),
        ({"member_number": "-"}, "nine digits"),
        ({"name": " "}, "name is missing"),
        ({"name": "長" * 101}, "name is too long"),
        ({"name_kana": ""}, "kana is missing"),
        ({"name_kana": "㌖" * 20}, "kana is too long"),
        ({"birth_date": "1983-02-30"}, "birth date"),
        ({"birth_date": "19831231"}, "birth date"),
        ({"birth_date": "1983-W52-6"}, "birth date"),
        ({"birth_date": ""}, "birth date"),
        ({"birth_date": "2999-01-01"}, "birth date"),
        ({"birth_date": "1899-12-31"}, "birth date"),
        ({"email": "not an address"}, "email address is not"),
        ({"email": "a@" + "b" * 250 + ".jp"}, "email address is too long"),
        ({"phone": "90-1200-5600"}, "phone number"),
        ({"phone": "call me"}, "phone number"),
        ({"phone": "0" * 21}, "phone number"),
        ({"card_number": ""}, "16 digits"),
        ({"card_number": "200000001"}, "16 digits"),
        ({"card_number": card_number(1)[:-1] + "7"}, "check digit"),
        ({"pin": "739"}, "four digits"),
        ({"pin": "739１1"}, "four digits"),
        ({"pin": "73x1"}, "four digits"),
        ({"name": "山田\0太郎"}, "NUL"),
        ({"name": "山田\x1b太郎"}, "control character"),
        ({"name": "山田\u202e太郎"}, "control character"),
        ({"name": '"山田'}, "quotation mark"),
        ({"name": '山"田'}, "quotation mark"),
        ({"name": '"山"田'}, "quotation mark"),
        ({"name": "山田,太郎"}, "9 columns, the header 8"),
        ({"name": "長" * lines.MAX_LINE_BYTES}, "line is too long"),
    ],
)
def test_bad_line_is_rejected_and_the_rest_imported(
    feed: Path, cells: dict[str, str], reason: str
) -> None:
    done = run(write(feed, line(2, pin="4826"), line(1, **cells), line(3, pin="4826")))

    assert done.exit_code == 1
    assert "created: 2, updated: 0, unchanged: 0, rejected: 1" in done.said
    assert set(done.reasons) == {3}
    assert reason in done.reasons[3]
    assert "4826" not in done.said + done.rejects_text
    assert sorted(Member.objects.values_list("number", flat=True)) == ["200000002", "200000003"]


def test_all_that_is_wrong_with_a_line_is_told(feed: Path) -> None:
    (reason,) = run(write(feed, line(1, name="", email="x", pin="1"))).reasons.values()

    assert "name is missing" in reason
    assert "email address" in reason
    assert "four digits" in reason


def test_rejects_file_holds_the_columns_but_the_pin(feed: Path) -> None:
    done = run(write(feed, line(1, name="", pin=PIN)))

    assert done.rejects_text.splitlines()[0] == (
        "line,reason,member_number,name,name_kana,birth_date,email,phone,card_number"
    )
    (reject,) = done.rejects
    assert (reject["line"], reject["member_number"]) == ("2", "200000001")
    assert (reject["phone"], reject["card_number"]) == ("090-1200-5600", card_number(1))
    assert rejects_path(feed).stat().st_mode & 0o077 == 0


def test_old_rejects_file_goes_when_nothing_is_rejected(feed: Path) -> None:
    run(write(feed, line(1, name="")))
    assert rejects_path(feed).exists()

    run(write(feed, line(1)))

    assert not rejects_path(feed).exists()


def test_line_that_is_not_utf8_is_rejected(feed: Path) -> None:
    feed.write_bytes(
        f"{HEADER}\n{line(1)}\n".encode() + line(2).encode("cp932") + f"\n{line(3)}\n".encode()
    )

    assert run(feed).reasons == {3: "The line is not UTF-8 text."}
    assert Member.objects.count() == 2


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-16", "utf-16-le"])
def test_file_in_another_encoding_is_refused(feed: Path, encoding: str) -> None:
    feed.write_bytes("\n".join((HEADER, line(1, pin=PIN), line(2, pin=PIN))).encode(encoding))

    done = run(feed)

    assert done.exit_code == 1
    assert "UTF-" in done.said or "header" in done.said
    assert PIN not in done.said + done.rejects_text
    assert not Member.objects.exists()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace(",pin", ""), "missing: pin"),
        (HEADER.replace("email", "mail"), "missing: email; unknown columns: 1"),
        (HEADER + ",note", "unknown columns: 1"),
        (HEADER + ",name", "more than once: name"),
        (HEADER.replace(",", ";"), "missing: member_number, name"),
        (HEADER.replace(",", "\t"), "control character"),
        (line(9, pin=PIN), "missing: member_number, name"),
        (f'"{PIN}', "quotation mark"),
        ("", "missing: member_number, name"),
    ],
)
def test_wrong_header_refuses_the_file(feed: Path, header: str, message: str) -> None:
    done = run(write(feed, line(1), header=header))

    assert done.exit_code == 1
    assert message in done.said
    assert PIN not in done.said
    assert not Member.objects.exists()


def test_empty_missing_or_no_file_is_refused(feed: Path) -> None:
    feed.touch()

    assert "The file is empty." in run(feed).said
    assert "There is no such file" in run(feed.with_name("nowhere.csv")).said
    assert "This is not a file" in run(feed.parent).said


def test_member_who_stands_in_the_file_twice_comes_in_once(
    feed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("members.feed.importing.CHUNK_LINES", 3)
    done = run(
        write(
            feed,
            line(1, member_number=""),
            line(2),
            line(2, card_number=card_number(8)),
            line(3, card_number=card_number(2)),
            line(1, member_number=""),
            line(2, name="別人"),
        )
    )

    assert done.reasons == {
        4: "The same member is in line 3 already.",
        5: "The same card number is in line 3 already.",
        6: "The same member is in line 2 already.",
        7: "The same member is in line 3 already.",
    }
    assert Member.objects.count() == 2
    assert not Member.objects.filter(name="別人").exists()


def test_number_of_a_rejected_line_is_free_for_a_later_one(feed: Path) -> None:
    assert set(run(write(feed, line(1, name=""), line(1))).reasons) == {2}
    assert Member.objects.count() == 1


def test_card_number_of_another_member_is_rejected(feed: Path) -> None:
    run(write(feed, line(1, pin=PIN), line(2)))
    before = everything()

    done = run(
        write(
            feed,
            line(2, card_number=card_number(1)),
            line(3, card_number=card_number(1), pin=PIN),
        )
    )

    assert done.reasons == dict.fromkeys((2, 3), "The card number belongs to another member.")
    assert everything() == before


def test_broken_quote_costs_its_own_line_only(feed: Path) -> None:
    done = run(write(feed, line(1, name='"山田', pin=PIN), line(2, pin=PIN), line(3, pin=PIN)))

    assert set(done.reasons) == {2}
    assert PIN not in done.rejects_text
    assert Card.objects.exclude(sealed_pin="").count() == 2


def test_field_across_two_lines_is_rejected_in_both(feed: Path) -> None:
    done = run(write(feed, line(1, name='"山田\n太郎"', pin=PIN), line(2)))

    assert set(done.reasons) == {2, 3}
    assert PIN not in done.rejects_text
    assert Member.objects.count() == 1


def test_no_slip_of_the_pen_brings_a_pin_into_a_message(feed: Path) -> None:
    """Every character of a line replaced, left out, and every comma put elsewhere."""
    good = line(1, pin=PIN)
    places = range(len(good))
    slips = [good[:i] + put + good[i + 1 :] for i in places for put in ("", *',";\t\n\0x １')]
    slips += [good[:i] + put + good[i:] for i in places for put in ',"']
    commas = [i for i in places if good[i] == ","]
    for comma in commas:
        without = good[:comma] + good[comma + 1 :]
        slips += [without[:i] + "," + without[i:] for i in range(len(good))]

    done = run(write(feed, *slips))

    assert len(done.rejects) > 1000
    assert PIN not in done.said + done.rejects_text
    cells = {cell for reject in done.rejects for name, cell in reject.items() if name != "line"}
    parts = {PIN[:3], PIN[1:], PIN[:2], PIN[2:]}
    assert not cells & (parts | {card_number(1) + part for part in parts})


def test_pin_in_the_wrong_column_is_left_out_of_the_rejects(feed: Path) -> None:
    shifted = line(1, phone=card_number(1), card_number=PIN, pin="")
    joined = line(2, card_number=f'"{card_number(2)},{PIN}"', pin="")
    named = line(3, name="73x1", email="", card_number="", pin="73x1")

    done = run(write(feed, shifted, joined, named))

    assert len(done.rejects) == 3
    assert PIN not in done.rejects_text
    assert "73x1" not in done.rejects_text


def test_failing_database_stops_with_a_message_that_quotes_nothing(
    feed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise DatabaseError(f"Failing row contains ({PIN}).")

    write(feed, line(1, pin=PIN))
    monkeypatch.setattr(Member.objects, "bulk_create", fail)

    done = run(feed)

    assert done.exit_code == 1
    assert "Stopped at line 2: the database failed (DatabaseError)" in done.said
    assert PIN not in done.said
