"""Connections to PostgreSQL on which no wait is for ever, as libpq's are."""

from __future__ import annotations

from time import monotonic
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.errors import ConnectionTimeout


def bounded(seconds: int) -> type[Connection[Any]]:
    """Return a class of connections that wait for an answer `seconds` at most.

    On the client, because the server's own time-outs are no help where the server hangs. The
    connection is closed then, and nothing is cancelled: PostgreSQL would answer a cancelled
    COMMIT that waits for its standby with success.
    """

    class Bounded(Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            end = monotonic() + (timeout or seconds)
            try:
                return super().wait(gen, interval, timeout or seconds)
            except OperationalError:
                # The one that says so is private to psycopg.
                if monotonic() < end or timeout:
                    raise
                self.close()
                raise ConnectionTimeout("no answer from the database") from None

    return Bounded
