"""What a feed brings in, and what a second one changes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from members import pins
from members.feed import chunks, import_feed
from members.models import Card, Member, User
from tests.members.feeds import HEADER, PIN, card_number, everything, line, run, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    return tmp_path / "members.csv"


def test_line_becomes_member_card_and_user(feed: Path) -> None:
    done = run(write(feed, line(1, pin=PIN)))

    member = Member.objects.get()
    assert done.exit_code == 0
    assert "created: 1, updated: 0, unchanged: 0, rejected: 0" in done.said
    assert (member.number, member.name, member.name_kana) == (
        "200000001",
        "山田 太郎1",
        "ヤマダ タロウ",
    )
    assert (member.birth_date, member.email) == (date(1983, 12, 31), "taro1@example.jp")
    assert member.phone == "09012005600"
    assert member.card.number == card_number(1)
    assert pins.matches(member.card.sealed_pin, PIN, card_number=card_number(1))
    assert member.card.pin_origin == Card.Origin.FEED
    assert member.card.pin_set_at is not None
    assert not member.user.has_usable_password()
    assert member.user.is_active


def test_columns_are_found_by_name_after_a_byte_order_mark(feed: Path) -> None:
    names = HEADER.split(",")[::-1]
    cells = line(1).split(",")[::-1]
    feed.write_text(",".join(names) + "\r\n" + ",".join(cells), encoding="utf-8-sig")

    assert run(feed).exit_code == 0
    assert Member.objects.get().number == "200000001"


def test_numbers_and_kana_are_read_as_people_type_them(feed: Path) -> None:
    typed = line(
        1,
        member_number=" ２００－０００－００１",
        name_kana="ﾔﾏﾀﾞ　はなこ",
        phone="（０９０）１２００ー５６００",
        card_number=" ".join((card_number(1)[:4], card_number(1)[4:])),
        pin="７３９１",
        email=" Taro@Example.jp ",
    )

    assert run(write(feed, typed)).exit_code == 0
    member = Member.objects.get()
    assert (member.number, member.name_kana) == ("200000001", "ヤマダ ハナコ")
    assert (member.phone, member.email) == ("09012005600", "Taro@Example.jp")
    assert pins.matches(member.card.sealed_pin, PIN, card_number=card_number(1))


def test_quoted_cells_may_hold_commas_and_quotes(feed: Path) -> None:
    run(write(feed, line(1, name='"Smith, ""Jo"" Ann"')))

    assert Member.objects.get().name == 'Smith, "Jo" Ann'


def test_email_and_phone_may_be_blank(feed: Path) -> None:
    assert run(write(feed, line(1, email="", phone=""))).exit_code == 0
    assert Member.objects.filter(email="", phone="").count() == 1


def test_header_alone_and_empty_lines_bring_nobody(feed: Path) -> None:
    assert run(write(feed)).exit_code == 0
    assert run(write(feed, "", line(1), "", "")).exit_code == 0
    assert Member.objects.count() == 1


def test_second_run_changes_nothing_at_all(feed: Path) -> None:
    write(feed, line(1, pin=PIN), line(2), line(3, member_number="", pin="0000"), line(4, name=""))
    run(feed)
    before = everything()

    again = run(feed)

    assert "created: 0, updated: 0, unchanged: 3, rejected: 1" in again.said
    assert everything() == before


def test_changed_line_updates_only_its_member(feed: Path) -> None:
    run(write(feed, line(1), line(2)))

    done = run(write(feed, line(1, email="new@example.jp", name="山田 花子"), line(2)))

    assert "created: 0, updated: 1, unchanged: 1, rejected: 0" in done.said
    first, second = Member.objects.order_by("number")
    assert (first.email, first.name) == ("new@example.jp", "山田 花子")
    assert second.email == "taro2@example.jp"
    # Another address ends the sessions of this one.
    assert [user.epoch for user in User.objects.order_by("member__number")] == [1, 0]


def test_blank_member_number_is_issued_once(feed: Path) -> None:
    write(feed, line(1, member_number=""), line(2, member_number=""))
    run(feed)
    numbers = set(Member.objects.values_list("number", flat=True))

    run(write(feed, line(1, member_number="", name="改名"), line(2, member_number="")))

    assert len(numbers) == 2
    assert all(len(n) == 9 and n.isdigit() and n[0] != "0" for n in numbers)
    assert set(Member.objects.values_list("number", flat=True)) == numbers
    assert Member.objects.get(card__number=card_number(1)).name == "改名"


def test_issued_number_is_nobodys_and_stands_nowhere_in_the_file(
    feed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(write(feed, line(1)))
    drawn = iter(["200000001", "200000003", "200000009", "555555555"])
    monkeypatch.setattr(chunks, "issue_member_number", lambda: next(drawn))

    done = run(write(feed, line(2, member_number=""), line(3), line(9, name="")))

    assert set(done.reasons) == {4}
    assert Member.objects.get(card__number=card_number(2)).number == "555555555"
    assert Member.objects.get(number="200000003").card.number == card_number(3)


def test_member_without_card_or_user_gets_them(feed: Path) -> None:
    run(write(feed, line(1, pin=PIN)))
    Card.objects.all().delete()
    User.objects.all().delete()

    run(write(feed, line(1, pin=PIN)))

    assert Card.objects.get().has_pin
    assert User.objects.get().member == Member.objects.get()


def test_closed_membership_stays_closed(feed: Path) -> None:
    run(write(feed, line(1)))
    User.objects.update(is_active=False)

    run(write(feed, line(1, name="改名")))

    assert not User.objects.get().is_active


def test_new_card_number_replaces_the_old_one_and_ends_sessions(feed: Path) -> None:
    run(write(feed, line(1, pin=PIN)))
    card = Card.objects.get()

    done = run(write(feed, line(1, card_number=card_number(8))))

    changed = Card.objects.get()
    assert "updated: 1" in done.said
    assert (changed.pk, changed.number) == (card.pk, card_number(8))
    assert not changed.has_pin
    assert changed.pin_set_at is None
    user = User.objects.get()
    assert (user.epoch, user.device_epoch) == (1, 1)


def test_new_card_number_takes_the_pin_of_its_line(feed: Path) -> None:
    run(write(feed, line(1, pin="1111")))

    run(write(feed, line(1, card_number=card_number(8), pin=PIN)))

    card = Card.objects.get()
    assert pins.matches(card.sealed_pin, PIN, card_number=card_number(8))
    user = User.objects.get()
    assert (user.epoch, user.device_epoch) == (1, 1)


def test_card_number_that_its_member_gave_up_can_go_to_another(feed: Path) -> None:
    run(write(feed, line(1), line(2)))

    done = run(
        write(
            feed,
            line(1, card_number=card_number(7)),
            line(2, card_number=card_number(1)),
            line(3, card_number=card_number(2)),
        )
    )

    assert done.exit_code == 0
    cards = dict(Card.objects.values_list("member__number", "number"))
    assert cards == {
        "200000001": card_number(7),
        "200000002": card_number(1),
        "200000003": card_number(2),
    }


def test_many_chunks_come_in_whole(feed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("members.feed.importing.CHUNK_LINES", 7)
    write(feed, *(line(i) for i in range(50)), line(3))
    shares: list[float] = []

    counts = import_feed(feed, progress=lambda counts: shares.append(counts.share))

    assert (counts.created, counts.rejected, counts.lines) == (50, 1, 51)
    assert Member.objects.count() == Card.objects.count() == User.objects.count() == 50
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) == 8


def test_progress_is_said(feed: Path) -> None:
    assert "100%: 1 lines, 0 rejected" in run(write(feed, line(1))).said
