"""What the tests share: a client that comes as a browser does, and the worker's work."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.core import mail as django_mail
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models.signals import post_migrate
from django.dispatch import receiver
from django.test import Client
from hypothesis import settings

from credentials import mail
from credentials.management.commands.worker import COMPOSERS
from credentials.models import SecondFactor
from credentials.throttling import counters
from members.models import User
from tests.factories import PASSWORD, StaffFactory, app_code

# Nothing here is timed, and every run tries the same examples.
settings.register_profile("portal", deadline=None, derandomize=True)
settings.load_profile("portal")


_ROLES = importlib.import_module("credentials.migrations.0002_roles")
_APPEND_ONLY = importlib.import_module("credentials.migrations.0003_append_only")
# Of the class: the browser's driver runs tests beside an event loop, with a connection of its own.
_operations = type(connection.ops)
_empty_tables = _operations.execute_sql_flush


def _empty_append_only_tables_too(self: Any, statements: list[str]) -> None:
    """Empty every table after a test with `transaction=True`: the triggers would refuse it.

    Here and nowhere else. They go and come back in one transaction with the emptying, so there is
    no moment in which a test could run without them.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            for statement in _APPEND_ONLY.dropping(connection.vendor):
                cursor.execute(statement)
        _empty_tables(self, statements)
        with connection.cursor() as cursor:
            for statement in _APPEND_ONLY.creating(connection.vendor):
                cursor.execute(statement)


_operations.execute_sql_flush = _empty_append_only_tables_too  # type: ignore[method-assign]


@receiver(post_migrate, sender=apps.get_app_config("credentials"))
def _roles_are_made_again(using: str, **_signal: Any) -> None:
    """Make the roles of the migration again wherever the database was emptied.

    A test with `transaction=True` ends by emptying every table. Django answers with this signal,
    on which content types and permissions are made anew, under new keys; rows that a migration
    wrote are gone. So it takes no `serialized_rollback`, which writes the old content types back
    beside the new ones and fails on them, and the tests may come in any order.
    """
    assert using == "default"
    _ROLES.create_roles(apps, None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, and count as such, what reads the query plans of the other database."""
    others = {"postgresql", "sqlite"} - {connection.vendor}
    of_others = [item for item in items if any(item.get_closest_marker(name) for name in others)]
    if of_others:
        config.hook.pytest_deselected(items=of_others)
        items[:] = [item for item in items if item not in of_others]


class Browser(Client):
    """A client behind the one proxy that the tests' settings trust, over TLS."""

    # Who is signed in, where `staff_browser` made it.
    staff: User

    def __init__(self, address: str = "203.0.113.7", **defaults: str) -> None:
        super().__init__(
            headers={"x-forwarded-for": address, "x-forwarded-proto": "https"}, **defaults
        )


@pytest.fixture
def client() -> Browser:
    return Browser()


@pytest.fixture
def staff_browser(db: None) -> Callable[..., Browser]:
    """Return a function that signs a new member of staff in, and gives the browser.

    `staff_browser("Store")` for somebody in that role; `staff_browser("")` for somebody without
    one; further keywords go to StaffFactory (`is_superuser=True`, `username="…"`). The browser's
    `.staff` is the User. Signed in by both steps, password and second factor, so every page of
    the admin that the role may see is open to it.
    """

    def sign_in(role: str = "", **fields: Any) -> Browser:
        browser = Browser()
        browser.staff = StaffFactory(role=role, **fields)
        sign_in_staff(browser, browser.staff)
        return browser

    return sign_in


def sign_in_staff(browser: Browser, staff: User) -> None:
    """Sign a member of staff from StaffFactory in, by both steps.

    The app's last code is forgotten first: two sign-ins within thirty seconds would need a
    second one.
    """
    SecondFactor.objects.filter(pk=staff.pk).update(last_step=0)
    browser.post("/admin/login/", {"username": staff.username, "password": PASSWORD})
    answer = browser.post("/admin/second-factor/", {"code": app_code()})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/"), answer


@pytest.fixture(autouse=True)
def _no_counts_from_before() -> None:
    counters().reset()


@pytest.fixture
def deliver(db: None) -> Callable[[], list[EmailMessage]]:
    """Return a function that does the worker's work once and gives the mails it sent."""

    def work() -> list[EmailMessage]:
        before = len(getattr(django_mail, "outbox", []))
        mail.send_due(COMPOSERS)
        return django_mail.outbox[before:]

    return work
