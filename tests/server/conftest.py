"""The running portal as fixtures: each test has a database of its own, on each kind there is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.server.databases import Database, database, missing, redis
from tests.server.mailbox import Mailbox
from tests.server.portal import NO_SOURCE_LIMITS, Portal, serving, set_up


def must_have(kind: str) -> None:
    """Skip, and say so, where something is not installed; in CI that is a failure."""
    lacking = missing(kind)
    if lacking and os.environ.get("CI"):
        pytest.fail(f"{lacking} is missing")
    if lacking:
        pytest.skip(f"{lacking} is missing: the portal was NOT tried on it")


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of each kind, set up and without members, to copy."""
    must_have(request.param)
    with TemporaryDirectory(prefix="portal-") as temporary:
        folder = Path(temporary)
        with database(request.param, folder) as empty:
            set_up(empty, folder)
            yield empty


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server that is up."""
    box = Mailbox()
    box.up()
    yield box
    box.down()


@pytest.fixture
def counters_in_redis() -> Iterator[str]:
    """CACHE_URL of a Redis of our own."""
    must_have("redis")
    with TemporaryDirectory(prefix="portal-") as folder, redis(Path(folder)) as url:
        yield url


@pytest.fixture
def start(migrated: Database, mailbox: Mailbox) -> Iterator[Callable[..., Portal]]:
    """Return a function that starts the portal; its arguments are settings."""
    with ExitStack() as running, TemporaryDirectory(prefix="portal-") as temporary:

        def start(**settings: str) -> Portal:
            own = {**NO_SOURCE_LIMITS, "EMAIL_URL": mailbox.url, **settings}
            return running.enter_context(serving(migrated.copy(), Path(temporary), **own))

        yield start
        # Before the folder goes.
        running.close()
