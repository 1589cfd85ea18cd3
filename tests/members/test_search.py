"""Finding a member: what was typed is understood, in any width, and answered from an index."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from members.models import Card, Member
from members.numbers import levelled_kana, plain_phones
from members.romaji import MOST_READINGS, readings
from members.search import Kind, candidates, read
from tests.factories import MemberFactory, with_check_digit

CARD = with_check_digit("939200000000001")
BORN = date(1983, 12, 31)


@pytest.mark.parametrize(
    ("typed", "kind", "value"),
    [
        ("123456789", Kind.MEMBER_NUMBER, "123456789"),
        ("１２３－４５６ 789", Kind.MEMBER_NUMBER, "123456789"),
        (CARD, Kind.CARD_NUMBER, CARD),
        (f"{CARD[:4]} {CARD[4:8]}-{CARD[8:12]}ー{CARD[12:]}", Kind.CARD_NUMBER, CARD),
        ("１２３４", Kind.CARD_LAST_FOUR, "1234"),
        ("1983-12-31", Kind.BIRTH_DATE, BORN),
        ("１９８３／１２／３１", Kind.BIRTH_DATE, BORN),
        ("1983年12月31日", Kind.BIRTH_DATE, BORN),
        ("1983 12 31", Kind.BIRTH_DATE, BORN),
        ("19831231", Kind.BIRTH_DATE, BORN),
        ("昭和58年12月31日", Kind.BIRTH_DATE, BORN),
        ("Ｓ58.12.31", Kind.BIRTH_DATE, BORN),
        ("平成元年1月8日", Kind.BIRTH_DATE, date(1989, 1, 8)),
        ("090-1234-5678", Kind.PHONE, ["09012345678", "+819012345678"]),
        ("０３（１２３４）５６７８", Kind.PHONE, ["0312345678", "+81312345678"]),
        ("+81 90 1234 5678", Kind.PHONE, ["09012345678", "+819012345678"]),
        ("+1 415 555 0100", Kind.PHONE, ["+14155550100"]),
        ("ＨＡＮＡＫＯ1983", Kind.WEB_ID, "hanako1983"),
        ("1983hanako", Kind.WEB_ID, "1983hanako"),
        ("Hanako@Example.COM", Kind.EMAIL, "hanako@example.com"),
        ("ｈａｎａｋｏ＠ｅｘａｍｐｌｅ．ｃｏｍ", Kind.EMAIL, "hanako@example.com"),
    ],
)
def test_each_kind_is_told_by_its_shape_in_any_width(typed: str, kind: Kind, value: Any) -> None:
    said = read(typed)
    assert (said.problem, said.facts, said.kinds) == ("", {kind: value}, [kind])


@pytest.mark.parametrize(
    "typed", ["ヤマダ ハナコ", "やまだ はなこ", "ﾔﾏﾀﾞ ﾊﾅｺ", "ヤマダハナコ", "ヤマダ　はなコ"]
)
def test_kana_is_the_same_in_every_form(typed: str) -> None:
    assert read(typed).beginnings == ["ヤマダハナコ"]


def test_small_kana_and_long_vowel_marks_make_no_difference() -> None:
    assert read("キョウコ ジョージ").beginnings == read("ｷﾖｳｺ ｼﾞﾖｼﾞ").beginnings


@pytest.mark.parametrize(
    ("letters", "kana"),
    [
        ("yamada hanako", "ヤマダハナコ"),
        ("Hanako YAMADA", "ヤマダハナコ"),
        ("ＹＡＭＡＤＡ", "ヤマダ"),
        ("sato kenji", "サトウケンジ"),
        ("satoh kenji", "サトウケンジ"),
        ("satou kenji", "サトウケンジ"),
        ("satō kenji", "サトウケンジ"),
        ("ohno", "オオノ"),
        ("homma", "ホンマ"),
        ("kenichi", "ケンイチ"),
        ("ken'ichi", "ケンイチ"),
        ("jun'ya", "ジュンヤ"),
        ("hatchōbori", "ハッチョウボリ"),
        ("konno", "コンノ"),
        ("kyoko", "キョウコ"),
        ("syouko tuji", "ショウコツジ"),
        ("shotaro okamoto", "オカモトショウタロ"),
    ],
)
def test_letters_are_read_as_kana(letters: str, kana: str) -> None:
    assert any(kana.startswith(reading) for reading in readings(letters)), readings(letters)
    assert read(letters).kinds == [Kind.KANA]


def test_several_things_together_must_all_fit() -> None:
    said = read(f"ヤマダ ハナコ 昭和58年12月31日 090-1234-5678 {CARD[-4:]} hanako@example.com")
    assert said.problem == ""
    assert said.kinds == [
        Kind.CARD_LAST_FOUR, Kind.KANA, Kind.BIRTH_DATE, Kind.PHONE, Kind.EMAIL
    ]  # fmt: skip
    assert read("19831231 1234").kinds == [Kind.CARD_LAST_FOUR, Kind.BIRTH_DATE]
    assert read("123456789 1234").kinds == [Kind.MEMBER_NUMBER, Kind.CARD_LAST_FOUR]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("1234567", "7 digits"),
        ("98765432", "8 digits: a card number has 16 (or give its last 4), a member number 9"),
        ("12345678901234567", "17 digits"),
        (CARD[:-1] + str((int(CARD[-1]) + 1) % 10), "mistyped"),
        ("1983-02-30", "no such day"),
        ("hanako@", "not complete"),
        ("hanako@example", "not complete"),
        ("hana12", "this has 6"),
        ("山田", "not in kanji"),
        ("smith", "no Japanese name"),
        ("19831231 19840101", "type one"),
        ("-", "characters more"),
        ("あ" * 201, "too long"),
        ("%", "Not understood: %"),
    ],
)
def test_what_is_not_understood_is_told_and_finds_nobody(typed: str, told: str, db: None) -> None:
    MemberFactory()
    with override("en"):
        said = read(typed)
        assert told in str(said.problem)
    with CaptureQueriesContext(connection) as queries:
        assert candidates(said, at_most=50) == []
    assert len(queries) == 0


@given(st.text(max_size=250))
def test_nothing_that_is_typed_breaks_it(typed: str) -> None:
    said = read(typed)
    assert bool(said.problem) or bool(said.kinds) or not typed.strip()
    assert len(said.beginnings) <= MOST_READINGS


@given(st.text("abcdefghijklmnoprstuwyzāūō' ", max_size=200))
def test_reading_letters_is_bounded(letters: str) -> None:
    found = readings(letters)
    assert len(found) <= MOST_READINGS
    assert all(found)


@given(st.text("ァアィイゥカガッツャヤュユョヨヮワンー・ ヴ", min_size=1, max_size=30))
def test_levelling_is_the_same_however_often(kana: str) -> None:
    assert levelled_kana(levelled_kana(kana)) == levelled_kana(kana)


def test_a_phone_is_a_number_or_nothing() -> None:
    assert plain_phones("hello") == plain_phones("") == plain_phones("1234") == []


@pytest.mark.django_db
class TestFinding:
    """Among members who are alike."""

    def test_each_way_finds_the_member_and_nobody_else(self) -> None:
        member = MemberFactory(
            name_kana="ヤマダ キョウコ",
            birth_date=BORN,
            phone="0312345678",
            email="Kyoko@Example.com",
            web_id="Kyoko1983",
        )
        MemberFactory(
            name_kana="ヤマモト ハナコ", birth_date=date(1983, 12, 30), phone="09000000001"
        )
        card = Card.objects.get(member=member).number
        for typed in (
            member.number, card, card[-4:], "ヤマダ", "やまだきようこ", "yamada kyoko",
            "1983-12-31", "03-1234-5678", "+81 3 1234 5678", "kyoko1983", "KYOKO@example.com",
            f"yamada kyoko 19831231 {card[-4:]} kyoko1983",
        ):  # fmt: skip
            assert candidates(read(typed), at_most=50) == [member.pk], typed
        assert candidates(read("ヤマダ 1983-12-30"), at_most=50) == []
        assert len(candidates(read("ヤマ"), at_most=50)) == 2

    def test_never_more_than_asked_for_and_in_the_order_of_kana(self) -> None:
        kana = ["サトウ ジロウ", "サトウ イチロウ", "サトウ サブロウ"]
        made = {name: MemberFactory(name_kana=name).pk for name in kana}
        assert candidates(read("サトウ"), at_most=2) == [made[kana[1]], made[kana[2]]]

    def test_the_database_levels_kana_as_python_does(self) -> None:
        for name in ("ジョージ ッャュョヮ", "ァ・ィ ゥェォ", "ヴァン ー"):
            member = MemberFactory(name_kana=name)
            assert Member.objects.get(pk=member.pk).kana_key == levelled_kana(name)
