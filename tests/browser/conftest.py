"""A real browser, a real mail server, and the portal between them."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connections
from playwright.sync_api import BrowserContext

from credentials.management.commands import worker
from tests.browser.desk import give_code, give_password
from tests.browser.equipment import CHROMIUM, EVERY_EQUIPMENT, LAUNCH, Equipment
from tests.browser.people import bring_in
from tests.browser.tls_server import serving
from tests.browser.visitor import Judged, Visitor
from tests.factories import StaffFactory, app_code
from tests.server.mailbox import Mailbox


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Last: Playwright's event loop stays in this thread, and others would trip over it.
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    if not CHROMIUM.exists():
        missing = f"{CHROMIUM} is missing (apt-get install chromium fonts-noto-cjk)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(f"{missing}: NO page was tried in a browser")
    # Django takes Playwright's event loop for a sign of asynchronous code of ours.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    return LAUNCH


@pytest.fixture(scope="session")
def judged() -> Judged:
    return Judged()


@pytest.fixture(scope="session")
def base_url(django_db_setup: None) -> Iterator[str]:
    """Where the portal is served, for Playwright and for us."""
    with serving() as address:
        yield address


@pytest.fixture(scope="session")
def mail_server() -> Iterator[Mailbox]:
    box = Mailbox()
    box.up()
    yield box
    box.down()


@pytest.fixture
def mailbox(mail_server: Mailbox, settings: Any) -> Mailbox:
    """The mail server, with nothing in it yet; the portal sends its mail there."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail_server.port
    mail_server.mails.clear()
    return mail_server


@pytest.fixture
def portal(
    transactional_db: None,
    base_url: str,
    mailbox: Mailbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """The portal, serving two members who came in with the feed, and its worker."""
    # Emptying the database after a test takes the roles of the migration, too.
    importlib.import_module("credentials.migrations.0002_roles").create_roles(apps, None)
    bring_in(tmp_path)
    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.05)
    stop = threading.Event()

    def work() -> None:
        worker.work(stop)
        connections.close_all()

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    yield base_url
    stop.set()
    thread.join()


@pytest.fixture(params=EVERY_EQUIPMENT, ids=str)
def equipment(request: pytest.FixtureRequest) -> Equipment:
    given: Equipment = request.param
    return given


@pytest.fixture
def comes(
    new_context: Callable[..., BrowserContext], portal: str, equipment: Equipment, judged: Judged
) -> Iterator[Callable[..., Visitor]]:
    """Return a function that brings somebody with a browser of their own."""
    everybody: list[Visitor] = []

    def come(**options: Any) -> Visitor:
        context = new_context(**equipment.context)
        everybody.append(Visitor(context, portal, equipment, judged, **options))
        return everybody[-1]

    yield come
    assert [complaint for visitor in everybody for complaint in visitor.complaints] == []


@pytest.fixture
def visitor(comes: Callable[..., Visitor]) -> Visitor:
    """Somebody who may be a member."""
    return comes()


@pytest.fixture
def staff(comes: Callable[..., Visitor]) -> Callable[[str], Visitor]:
    """Return a function that brings a member of staff with a role, signed in by both steps."""

    def sign_in(role: str) -> Visitor:
        visitor = comes(is_staff=True)
        visitor.open("/admin/")
        give_password(visitor, StaffFactory(role=role).username)
        visitor.is_at("/admin/second-factor/?next=%2Fadmin%2F", "Second step: the code")
        give_code(visitor, app_code())
        visitor.is_at("/admin/", "What do you want to do?")
        return visitor

    return sign_in
