"""Signing in, both ways, and the refusals that are all alike."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials.models import Event, Session
from members.models import User
from tests.conftest import Browser
from tests.factories import PASSWORD, PIN, MemberFactory

pytestmark = pytest.mark.django_db


def test_card_and_pin_sign_in_and_lead_to_the_member_number(client: Browser) -> None:
    member = MemberFactory()
    answer = client.post("/login/", {"card_number": member.card.number, "pin": PIN})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    page = client.get("/")
    assert page.status_code == 200
    assert member.number[:3] in page.content.decode()


def test_web_id_signs_in_whatever_the_case(client: Browser) -> None:
    MemberFactory(web_id="Hanako1983")
    answer = client.post("/login/web-id/", {"web_id": "hANAKO1983", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_sign_in_costs_four_statements_and_two_commits(
    client: Browser, django_capture_on_commit_callbacks: Any
) -> None:
    member = MemberFactory()
    with CaptureQueriesContext(connection) as queries:
        client.post("/login/", {"card_number": member.card.number, "pin": PIN})
    statements = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
    assert len(statements) == 4, statements


def test_top_page_costs_two_statements(client: Browser) -> None:
    member = MemberFactory(web_id="Hanako1983")
    client.post("/login/", {"card_number": member.card.number, "pin": PIN})
    with CaptureQueriesContext(connection) as queries:
        client.get("/")
    assert len(queries) == 2, [q["sql"] for q in queries]


def test_wrong_pin_opens_nothing_and_is_on_record(client: Browser) -> None:
    member = MemberFactory()
    answer = client.post("/login/", {"card_number": member.card.number, "pin": "9999"})
    assert answer.status_code == 200
    assert Session.objects.count() == 0
    assert User.objects.get(member=member).failures == 1
    event = Event.objects.get(act=Event.Act.SIGN_IN_FAILED)
    assert (event.whom, event.source) == (member.number, "203.0.113.7")
