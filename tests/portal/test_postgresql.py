"""How connections to PostgreSQL are made, and who may wait for one."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from django.db import InternalError, OperationalError, ProgrammingError
from psycopg import Connection
from psycopg.errors import ReadOnlySqlTransaction, UndefinedTable

from portal import views
from portal.environment import env
from portal.postgresql.base import Doorway
from portal.postgresql.options import connection_options

ONE = "postgres://portal:tests-only@db.internal/portal"
TWO = "postgres://portal:tests-only@db1.internal:5432,db2.internal:5433/portal"


def options(url: str, seconds: int = 5) -> dict[str, object]:
    return connection_options(env.db_url_config(url), pool=10, seconds=seconds)


def test_of_several_hosts_the_one_that_takes_writes_is_the_one() -> None:
    config = env.db_url_config(TWO)
    assert (config["HOST"], config["PORT"]) == ("db1.internal,db2.internal", "5432,5433")
    assert options(TWO)["target_session_attrs"] == "read-write"
    assert "target_session_attrs" not in options(ONE)


def test_what_stands_in_the_url_wins() -> None:
    made = options(f"{TWO}?target_session_attrs=primary&connect_timeout=9&options=-c%20jit=off")
    assert made["target_session_attrs"] == "primary"
    assert made["connect_timeout"] == 9
    assert made["options"] == "-c jit=off"


def test_statements_are_bounded_for_whom_somebody_waits_and_not_for_commands() -> None:
    assert "statement_timeout=5000" in str(options(ONE)["options"])
    assert options(ONE)["pool"]["connection_class"] is not Connection  # type: ignore[index]
    assert "options" not in options(ONE, seconds=0)
    assert options(ONE, seconds=0)["pool"]["connection_class"] is Connection  # type: ignore[index]


def test_everybody_waits_while_connections_come_and_only_a_few_while_none_do() -> None:
    doorway = Doorway(few=2, patience=0.0)
    with ExitStack() as waiting:
        for _one in range(3):
            waiting.enter_context(doorway.place())
        assert not doorway.stays(), "a third one, and nobody gets one"
        doorway.got_one()
    with doorway.place(), doorway.place():
        assert doorway.stays(), "two are few"


def test_a_crowd_that_is_served_is_not_turned_away() -> None:
    doorway = Doorway(few=2, patience=3600)
    with ExitStack() as waiting:
        for _one in range(50):
            waiting.enter_context(doorway.place())
        assert doorway.stays()


@pytest.mark.parametrize(
    ("error", "cause", "gone"),
    [
        (OperationalError(), None, True),
        (InternalError(), ReadOnlySqlTransaction(), True),
        (ProgrammingError(), UndefinedTable(), False),
        (InternalError(), None, False),
    ],
)
def test_a_standby_where_the_primary_should_be_is_not_our_fault(
    error: Exception, cause: Exception | None, gone: bool
) -> None:
    error.__cause__ = cause
    assert views.is_out_of_reach(error) is gone
