"""What PostgreSQL itself counts."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.server.databases import Database

# So long an idle server process may keep to itself what it did.
REPORTED_AFTER = 11.0
# BEGIN, COMMIT and what counting asks are no statements of the portal.
_STATEMENTS = r"""
    SELECT COALESCE(sum(s.calls), 0) FROM pg_stat_statements s
    JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
    WHERE query ~* '^\s*(select|insert|update|delete|with)\s' AND query !~ 'pg_'
"""
_COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"


def statements_and_commits(database: Database, act: Callable[[], None]) -> tuple[int, int]:
    """Return how many statements and transactions `act` led to."""
    database.rows("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    database.rows("ALTER SYSTEM SET pg_stat_statements.track = 'top'")
    database.rows("SELECT pg_reload_conf()")

    def counts() -> tuple[int, int]:
        time.sleep(REPORTED_AFTER)
        [(statements,)] = database.rows(_STATEMENTS)
        [(commits,)] = database.rows(_COMMITS)
        return int(statements), int(commits)

    try:
        # What happened before has to be reported first.
        counts()
        before = counts()
        act()
        after = counts()
    finally:
        database.rows("ALTER SYSTEM RESET pg_stat_statements.track")
        database.rows("SELECT pg_reload_conf()")
    # Less the two commits of counting itself.
    return after[0] - before[0], after[1] - before[1] - 2
