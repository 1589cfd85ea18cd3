"""What the tests share: a client that comes as a browser does, and the worker's work."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core import mail as django_mail
from django.core.mail import EmailMessage
from django.test import Client
from hypothesis import settings

from credentials import mail
from credentials.management.commands.worker import COMPOSERS
from credentials.throttling import counters

# Nothing here is timed, and every run tries the same examples.
settings.register_profile("portal", deadline=None, derandomize=True)
settings.load_profile("portal")


class Browser(Client):
    """A client behind the one proxy that the tests' settings trust, over TLS."""

    def __init__(self, address: str = "203.0.113.7", **defaults: str) -> None:
        super().__init__(
            headers={"x-forwarded-for": address, "x-forwarded-proto": "https"}, **defaults
        )


@pytest.fixture
def client() -> Browser:
    return Browser()


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
