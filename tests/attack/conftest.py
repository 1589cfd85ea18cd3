"""The table of `make attack`: each attack, its bound, what was measured, whether it held.

A test is one attack. It is marked `@pytest.mark.attack("what the attacker does", "the bound")`
and says what came of it with the fixture `measured`; it held where the test passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unicodedata import east_asian_width

import pytest

from tests.server.conftest import must_have
from tests.server.databases import Database, database, redis
from tests.server.mailbox import Mailbox
from tests.server.portal import Portal, serving, set_up

_HEADINGS = ("attack", "bound", "measured", "held")


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    attack: str
    bound: str
    measured: str
    held: bool

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The line as it is printed."""
        return self.attack, self.bound, self.measured, "yes" if self.held else "NO"


_ATTACK = "attack"
_said = pytest.StashKey[list[str]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Note the attack's line once it is over, also where it failed on its way."""
    report = yield
    marker = item.get_closest_marker("attack")
    if marker and not report.skipped and (report.when == "call" or report.failed):
        said = ", ".join(item.stash.get(_said, [])) or "–"
        # With the report, which comes back also from another process.
        report.user_properties.append((_ATTACK, [*marker.args, said]))
    return report


def _rows_of(terminalreporter: Any) -> list[Row]:
    """Return the lines of all attacks, in the order of the tests."""
    reports = [
        report
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.stats.get(outcome, [])
    ]
    return [
        Row(*line, held=report.passed)
        for report in sorted(reports, key=lambda report: report.nodeid)
        for name, line in report.user_properties
        if name == _ATTACK
    ]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table, as README quotes it."""
    rows = _rows_of(terminalreporter)
    if not rows:
        return
    terminalreporter.section("attacks")
    lines = [_HEADINGS, *(row.cells for row in rows)]
    widths = [max(_width(line[i]) for line in lines) for i in range(4)]
    lines.insert(1, tuple("-" * width for width in widths))
    for line in lines:
        padded = (c + " " * (w - _width(c)) for c, w in zip(line, widths, strict=True))
        terminalreporter.write_line(f"| {' | '.join(padded)} |")


def _width(text: str) -> int:
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that says, in a few words with figures, what the attack came to."""
    return request.node.stash.setdefault(_said, []).append


@pytest.fixture(scope="session")
def migrated() -> Iterator[Database]:
    """A PostgreSQL database, set up and without members, to copy."""
    must_have("postgresql")
    must_have("redis")
    with TemporaryDirectory(prefix="portal-") as temporary:
        folder = Path(temporary)
        with database("postgresql", folder, safe=True) as empty:
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
def start(migrated: Database, mailbox: Mailbox) -> Iterator[Callable[..., Portal]]:
    """Return a function that starts the portal over PostgreSQL and a Redis of its own.

    Its arguments are settings. The source's limits are the ones that ship.
    """
    with ExitStack() as running, TemporaryDirectory(prefix="portal-") as temporary:
        folder = Path(temporary)

        def start(**settings: str) -> Portal:
            counters = running.enter_context(redis(folder))
            own = {"EMAIL_URL": mailbox.url, "CACHE_URL": counters, **settings}
            return running.enter_context(serving(migrated.copy(), folder, **own))

        yield start
        # Before the folder goes.
        running.close()
