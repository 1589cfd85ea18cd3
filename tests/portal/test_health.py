"""Whether the process is alive, and whether what it needs is in reach."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from limits.errors import StorageError
from limits.storage import MemoryStorage

from members.models import Member
from portal import views
from tests.conftest import Browser
from tests.factories import PIN, MemberFactory, with_check_digit


class NoDatabase:
    """Refuses every statement, as a database that has gone does."""

    def __call__(self, *args: Any, **options: Any) -> None:
        raise OperationalError("canary: host=db.internal password=hunter2")


def test_alive_is_answered_without_a_database(client: Browser) -> None:
    answer = client.get("/healthz/")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.django_db
def test_alive_asks_no_database_who_it_is_that_asks(
    client: Browser, django_assert_num_queries: Any
) -> None:
    member = MemberFactory()
    client.post("/login/", {"card_number": member.card.number, "pin": PIN})
    with django_assert_num_queries(0):
        assert client.get("/healthz/").status_code == 200


@pytest.mark.django_db
def test_ready_says_so_part_by_part(client: Browser) -> None:
    answer = client.get("/readyz/")
    assert answer.status_code == 200
    assert answer.json() == {"database": "ok", "cache": "ok", "outbox": "ok"}


@pytest.mark.parametrize("path", ["/healthz/", "/readyz/"])
@pytest.mark.django_db
def test_health_is_answered_over_plain_http_too(path: str) -> None:
    assert Client().get(path).status_code == 200


@pytest.mark.django_db
def test_lost_database_is_not_ready_but_alive(client: Browser) -> None:
    with connection.execute_wrapper(NoDatabase()):
        answer = client.get("/readyz/")
        assert answer.status_code == 503
        assert answer["Retry-After"]
        assert answer.json()["database"] == "OperationalError"
        assert "canary" not in answer.content.decode()
        assert client.get("/healthz/").status_code == 200


@pytest.mark.parametrize("how", ["answers no", "raises"])
@pytest.mark.django_db
def test_lost_cache_is_not_ready(
    client: Browser, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    class Lost(MemoryStorage):
        def check(self) -> bool:
            if how == "raises":
                raise StorageError(ConnectionError())
            return False

    monkeypatch.setattr(views, "counters", Lost)
    answer = client.get("/readyz/")
    assert answer.status_code == 503
    assert answer.json()["cache"] != "ok"


@pytest.mark.parametrize("path", ["/login/", "/login/web-id/", "/pin/"])
@pytest.mark.django_db
def test_sign_in_without_a_database_is_a_plain_503(client: Browser, path: str) -> None:
    client.raise_request_exception = False
    typed = {
        "card_number": with_check_digit("490000000000000"),
        "pin": PIN,
        "web_id": "Hanako1983",
        "password": "four words in a row",
        "ticket": "12345678",
        "pin1": "9642",
        "pin2": "9642",
    }
    with connection.execute_wrapper(NoDatabase()):
        answer = client.post(path, typed)
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert answer["Cache-Control"] == "no-store"
    page = answer.content.decode()
    assert "<main" in page
    assert "canary" not in page
    assert client.post(path, typed).status_code == 200, "back unaided"


@pytest.mark.django_db
def test_fault_of_our_own_is_a_500_and_not_called_busy(
    client: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*args: Any, **options: Any) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr("credentials.views.policy", fault)
    client.raise_request_exception = False
    answer = client.get("/login/")
    assert answer.status_code == 500
    assert "canary" not in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"
    assert not Member.objects.exists()
