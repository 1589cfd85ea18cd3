"""The search box of the admin: who is shown, what is said, what is put on record, at what cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials.models import Event
from members.models import Card, Member
from members.search import candidates, read
from tests.conftest import Browser
from tests.factories import MemberFactory

pytestmark = pytest.mark.django_db
LIST = "/admin/members/member/"


@pytest.fixture
def operator(staff_browser: Callable[..., Browser]) -> Browser:
    browser = staff_browser("Call centre")
    browser.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return browser


def page(operator: Browser, **typed: Any) -> str:
    answer = operator.get(LIST, typed)
    assert answer.status_code == 200
    return answer.content.decode()


def people(count: int, **fields: Any) -> list[Member]:
    return MemberFactory.create_batch(count, pin="", **fields)


def test_nobody_is_listed_until_somebody_searches(operator: Browser) -> None:
    member = MemberFactory()
    text = page(operator)
    assert "Nobody is listed until you search" in text
    assert "•••" not in text
    assert f"{LIST}{member.pk}/" not in text
    assert not Event.objects.filter(act=Event.Act.MEMBERS_SEARCHED).exists()


def test_the_list_costs_no_statement_on_members_and_a_search_never_counts(
    operator: Browser,
) -> None:
    people(3)
    with CaptureQueriesContext(connection) as queries:
        page(operator)
    assert not [q["sql"] for q in queries if 'FROM "members_member"' in q["sql"]]
    with CaptureQueriesContext(connection) as queries:
        page(operator, q="ヤマダ")
    assert not [q["sql"] for q in queries if "COUNT(" in q["sql"]]


def test_a_search_shows_the_member_masked_and_leads_to_the_page(operator: Browser) -> None:
    member = MemberFactory(name="山田 花子", name_kana="ヤマダ ハナコ")
    text = page(operator, q="yamada hanako")
    assert f"••• ••• {member.number[-3:]}" in text
    assert f"{LIST}{member.pk}/" in text
    assert member.number not in text
    assert "ハナコ" not in text


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("98765432", "8 digits: a card number has 16 (or give its last 4), a member number 9"),
        ("ヤマダ 1999-01-01", "Nobody found by name in kana, birth date."),
        ("山田", "not in kanji"),
    ],
)
def test_what_finds_nobody_says_why(operator: Browser, typed: str, told: str) -> None:
    member = MemberFactory()
    text = page(operator, q=typed)
    assert told in text
    assert f"{LIST}{member.pk}/" not in text


def test_more_than_fifty_are_asked_to_be_narrowed_down(operator: Browser) -> None:
    made = people(51)
    text = page(operator, q="ヤマダ")
    assert "More than 50 people: add birth date." in text
    assert 'rel="next"' in text
    second = page(operator, q="ヤマダ", p="2")
    assert 'rel="next"' not in second
    assert 'rel="prev"' in second
    shown = [member for member in made if f"{LIST}{member.pk}/" in text + second]
    assert len(shown) == 51


def test_of_more_than_two_hundred_nobody_is_shown(operator: Browser) -> None:
    made = people(201)
    text = page(operator, q="ヤ")
    assert "More than 200 people, so nobody is shown: add birth date." in text
    assert not [member for member in made if f"{LIST}{member.pk}/" in text]


def test_every_search_is_on_record_with_its_kinds_and_who_was_shown(operator: Browser) -> None:
    member = MemberFactory()
    card = Card.objects.get(member=member).number
    for typed in (card, card[-4:], member.number, "ヤマダ 1983-12-31", "98765432", "999999999"):
        page(operator, q=typed)
    events = Event.objects.filter(act=Event.Act.MEMBERS_SEARCHED).order_by("pk")
    assert [(e.whom, e.details["kinds"], e.details["shown"]) for e in events] == [
        (member.number, ["card number"], [member.number]),
        (member.number, ["card's last four"], [member.number]),
        (member.number, ["member number"], [member.number]),
        (member.number, ["kana", "birth date"], [member.number]),
        ("", ["not understood"], []),
        ("999999999", ["member number"], []),
    ]
    assert {e.by for e in events} == {f"staff:{operator.staff.username}"}
    everything = json.dumps([[e.whom, e.details] for e in events])
    assert card not in everything
    assert "98765432" not in everything


def test_there_is_no_other_way_to_list_members(operator: Browser) -> None:
    member = MemberFactory()
    for query in ({"number": member.number}, {"name__contains": "山"}, {"all": ""}, {"o": "1"}):
        assert f"{LIST}{member.pk}/" not in page(operator, **query)
    asked = {"app_label": "credentials", "model_name": "closure", "field_name": "member"}
    answer = operator.get("/admin/autocomplete/", {**asked, "term": member.number})
    assert answer.status_code in (403, 404) or answer.json()["results"] == []


def test_who_may_not_see_members_may_not_search(staff_browser: Callable[..., Browser]) -> None:
    assert staff_browser("Auditor").get(LIST, {"q": "ヤマダ"}).status_code == 403
    assert not Event.objects.filter(act=Event.Act.MEMBERS_SEARCHED).exists()


def test_hostile_input_is_answered(operator: Browser) -> None:
    for typed in ("'; --", "%%%", "\u202e", "𠮷野", "a" * 5000, "１" * 300, "ヤ" * 300, "@@", "+"):
        page(operator, q=typed)


# --- On PostgreSQL: from an index ---------------------------------------------------------------

ROWS = 60_000
BIG = ("members_member", "members_card", "members_webid", "members_user", "credentials_event")
FILL = f"""
    INSERT INTO members_member (id, number, name, name_kana, birth_date, email, phone)
    SELECT 1000000 + i, (100000007 + i::bigint * 8923 % 899999981)::text, '山田 太郎' || i,
           (ARRAY['サトウ','スズキ','タカハシ','タナカ','イトウ','ワタナベ'])[i % 6 + 1]
           || ' ' || (ARRAY['タロウ','ジロウ','ハナコ','ケンジ'])[i / 6 % 4 + 1] || i % 97,
           date '1940-01-01' + i * 7 % 23000, 'member' || i || '@example.jp',
           '090' || lpad(i::text, 8, '0')
    FROM generate_series(1, {ROWS}) i;
    INSERT INTO members_card (member_id, number, sealed_pin, pin_origin)
    SELECT 1000000 + i, lpad((9392000000000000 + i::bigint * 7919)::text, 16, '0'), '', ''
    FROM generate_series(1, {ROWS}) i;
    INSERT INTO members_webid (member_id, name)
    SELECT 1000000 + i, 'Web' || i || 'ID' FROM generate_series(1, {ROWS}) i;
    INSERT INTO members_user (member_id, password, is_superuser, is_staff, is_active, language,
        epoch, device_epoch, attempts, attempts_cleared, suspensions, sign_in_way,
        previous_sign_in_way)
    SELECT 1000000 + i, '!', false, false, true, 'ja', 0, 0, 0, 0, 0, '', ''
    FROM generate_series(1, {ROWS}) i;
    INSERT INTO credentials_event (at, act, by, whom, source, details)
    SELECT now() - i * interval '1 minute',
           (ARRAY['signed_in','sign_in_failed','member_seen','suspended'])[i % 4 + 1],
           (ARRAY['visitor','member','staff:a','staff:b'])[i % 4 + 1],
           (100000007 + i::bigint * 8923 % 899999981)::text, '203.0.113.7', '{{}}'
    FROM generate_series(1, {ROWS}) i;
    ANALYZE members_member; ANALYZE members_card; ANALYZE members_webid; ANALYZE members_user;
    ANALYZE credentials_event;
"""


@pytest.fixture
def big_tables(db: None) -> None:
    """Fill the tables so that reading one whole is never the planner's choice by smallness."""
    with connection.cursor() as cursor:
        cursor.execute(FILL)


def plans(statements: list[dict[str, str]]) -> str:
    """Return how PostgreSQL answers those of the statements that read a big table."""
    found = []
    with connection.cursor() as cursor:
        for sql in (statement["sql"] for statement in statements):
            if sql.startswith("SELECT") and any(f'"{table}"' in sql for table in BIG):
                cursor.execute(f"EXPLAIN {sql}")
                found += [sql, *(row[0] for row in cursor.fetchall())]
    return "\n".join(found)


def refuse_scans(plan: str) -> None:
    scans = [line for line in plan.splitlines() if "Seq Scan" in line]
    assert not [s for s in scans if any(f" on {table}" in s for table in BIG)], plan


@pytest.mark.postgresql
def test_every_search_is_answered_from_an_index(big_tables: None, operator: Browser) -> None:
    member = Member.objects.get(pk=1_004_242)
    card = Card.objects.get(member=member).number
    born = member.birth_date.isoformat()
    for typed in (
        member.number, card[-4:], "サトウ", "サ", "sato", "ono taro", "サトウ タロウ 1950-01-01",
        born, member.phone, "+81 90 0000 4242", member.email.upper(), "web4242id",
        f"{born} {card[-4:]}",
        f"サトウ {card[-4:]}", f"サ {member.phone}", f"suzuki jiro {born}", "ヴ",
    ):  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            candidates(read(typed), at_most=201)
            page(operator, q=typed)
        plan = plans(queries.captured_queries)
        assert plan, typed
        refuse_scans(plan)
    with CaptureQueriesContext(connection) as queries:
        page(operator)
    refuse_scans(plans(queries.captured_queries))


@pytest.mark.postgresql
def test_the_record_is_answered_from_an_index(
    big_tables: None, staff_browser: Callable[..., Browser]
) -> None:
    auditor = staff_browser("Auditor")
    number = Member.objects.get(pk=1_004_242).number
    day = {"since": "2026-01-01T00:00", "until": "2099-01-01T00:00"}
    for asked in (
        {}, {"member": number}, {"staff": "a"}, {"staff": "nobody"}, {"act": "suspended"},
        {"act": "suspended", **day}, day, {"staff": "a", **day}, {"p": "50"},
    ):  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            assert auditor.get("/admin/credentials/event/", asked).status_code == 200
        plan = plans(queries.captured_queries)
        assert "credentials_event" in plan
        refuse_scans(plan)
        assert "COUNT(" not in plan
