"""The database itself refuses to change or delete a line of the record, or a seal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import Error, connection, transaction
from django.db.models import Model

from credentials import audit
from credentials.models import Event, Seal
from credentials.record import sealing
from tests.conftest import Browser

pytestmark = pytest.mark.django_db
TABLES = ("credentials_event", "credentials_seal")


@pytest.fixture(autouse=True)
def _an_event_and_its_seal(db: None) -> None:
    audit.record(Event.Act.NUMBER_TOLD, by="staff:abe", whom="123456789", reason="asked")
    [*_] = sealing.seal_all()
    assert (Event.objects.count(), Seal.objects.count()) == (1, 1)


def as_it_stands() -> list[object]:
    return [*Event.objects.values(), *Seal.objects.values()]


def refused(act: Callable[[], object]) -> None:
    before = as_it_stands()
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        act()
    assert as_it_stands() == before


@pytest.mark.parametrize("model", [Event, Seal])
def test_not_by_the_models(model: type[Model]) -> None:
    row = model._default_manager.get()
    refused(row.save)
    refused(row.delete)
    refused(model._default_manager.all().delete)
    refused(lambda: model._default_manager.update(**{model._meta.pk.name: 7}))
    refused(lambda: model._default_manager.all()._raw_delete("default"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {0}",
        "DELETE FROM credentials_event WHERE whom = '123456789'",
        "UPDATE credentials_event SET source = '192.0.2.9'",
        "UPDATE credentials_event SET whom = ''",
        "UPDATE credentials_seal SET digest = ''",
    ],
)
def test_not_by_a_statement(table: str, statement: str) -> None:
    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement.format(table))

    refused(run)


@pytest.mark.postgresql
@pytest.mark.parametrize("table", TABLES)
def test_not_by_truncating(table: str) -> None:
    refused(lambda: connection.cursor().execute(f"TRUNCATE {table} CASCADE"))


@pytest.mark.parametrize("table", TABLES)
def test_not_by_writing_over_a_row(table: str) -> None:
    key = {"credentials_event": "id", "credentials_seal": "position"}[table]
    over = {
        "sqlite": f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        "postgresql": f"INSERT INTO {table} SELECT * FROM {table} "
        f"ON CONFLICT ({key}) DO UPDATE SET {key} = 7",
    }
    refused(lambda: connection.cursor().execute(over[connection.vendor]))


def test_not_in_the_admin(staff_browser: Callable[..., Browser]) -> None:
    browser = staff_browser("Auditor", is_superuser=True)
    event = Event.objects.order_by("pk")[0]
    before = Event.objects.filter(pk=event.pk).values().get()
    for page in ("change", "delete"):
        address = f"/admin/credentials/event/{event.pk}/{page}/"
        assert browser.post(address, {"by": "nobody", "post": "yes"}).status_code == 403
    assert browser.get("/admin/credentials/seal/").status_code == 404
    assert Event.objects.filter(pk=event.pk).values().get() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_the_triggers_stand_also_after_tables_were_emptied(turn: int) -> None:
    refused(Event.objects.all().delete)
    refused(Seal.objects.all().delete)


@pytest.mark.django_db(transaction=True)
def test_the_migration_goes_back_and_forth() -> None:
    call_command("migrate", "credentials", "0002", verbosity=0)
    try:
        assert Seal.objects.update(digest="0") == 1
    finally:
        call_command("migrate", "credentials", verbosity=0)
    refused(Seal.objects.all().delete)
