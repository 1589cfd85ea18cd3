"""Finding a member from what somebody on the phone can say."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members.models import Member
from members.search import find_members
from tests.factories import MemberFactory

pytestmark = pytest.mark.django_db

# What the admin's own search form lets through.
TYPEABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


def found(typed: str) -> set[str]:
    return {member.name for member in find_members(Member.objects.all(), typed)}


@pytest.fixture
def four() -> dict[str, Member]:
    rows = [
        ("花子", "ヤマダ ハナコ", date(1983, 12, 31)),
        ("太郎", "ヤマダ タロウ", date(1983, 12, 31)),
        ("波奈", "ヤマダ ハナ", date(1990, 1, 2)),
        ("健", "サトウ ケン", date(2001, 5, 6)),
    ]
    return {
        name: MemberFactory(name=name, name_kana=kana, birth_date=born) for name, kana, born in rows
    }


@pytest.mark.parametrize("size", [3, 9])
def test_member_number_finds_one(four: dict[str, Member], size: int) -> None:
    number = four["花子"].number
    typed = " ".join(number[i : i + size] for i in range(0, 9, size))
    assert found(typed) == {"花子"}
    assert found(typed.translate(str.maketrans("0123456789", "０１２３４５６７８９"))) == {"花子"}


def test_card_number_finds_one(four: dict[str, Member]) -> None:
    number = four["健"].card.number
    assert found(number) == {"健"}
    assert found(f"{number[:4]}-{number[4:8]}-{number[8:12]}-{number[12:]}") == {"健"}


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("ヤマダ", {"花子", "太郎", "波奈"}),
        ("やまだ", {"花子", "太郎", "波奈"}),
        ("ﾔﾏﾀﾞ ﾊﾅ", {"花子", "波奈"}),
        ("ヤマダ　ハナコ", {"花子"}),
        ("ハナコ", set()),
        ("1983-12-31", {"花子", "太郎"}),
        ("1983/12/31", {"花子", "太郎"}),
        ("1983年12月31日", {"花子", "太郎"}),
        ("19831231", {"花子", "太郎"}),
        ("１９８３．１２．３１", {"花子", "太郎"}),
        ("2001-5-6", {"健"}),
        ("2001年5月6日", {"健"}),
        ("ヤマダ ハナコ 1983-12-31", {"花子"}),
        ("1983-12-31 ヤマダ", {"花子", "太郎"}),
        ("ヤマダ ハナコ 1990-01-02", set()),
        ("ヤマダ 1983-13-31", set()),
        ("1983-02-30", set()),
        ("0000-01-01", set()),
        ("", set()),
        ("   ", set()),
        ("123456789", set()),
        ("%", set()),
        ("ヤマ%", set()),
        ("_マダ", set()),
    ],
)
def test_kana_birth_date_or_both_find(four: dict[str, Member], typed: str, names: set[str]) -> None:
    assert found(typed) == names


def test_search_never_reads_what_is_not_indexed(four: dict[str, Member]) -> None:
    with CaptureQueriesContext(connection) as queries:
        for typed in (four["花子"].number, four["花子"].card.number, "ヤマダ", "1983-12-31"):
            found(typed)
    for query in queries:
        where = query["sql"].split("WHERE")[1].lower()
        assert not any(name in where for name in ('"email"', '"phone"', '"name"', "upper("))


@settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(typed=st.text(TYPEABLE, max_size=40))
def test_nothing_that_is_typed_breaks_the_search(typed: str, db: None) -> None:
    find_members(Member.objects.all(), typed).count()
