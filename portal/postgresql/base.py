"""PostgreSQL as Django speaks to it, where somebody waits for the answer: nobody waits for long.

A database that is down refuses at once; one that hangs, or whose host is gone, says nothing at
all, and libpq would wait for ever. So every wait has an end (portal.postgresql.connections), a
dead connection is never given out, and while nobody gets a connection, only a few wait for one
(`Doorway`): the others are turned away at once, and a thread is always left for `/healthz/`.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Connection, OperationalError


class Doorway:
    """Lets everybody wait for a connection while there are any to be had, and else only a few."""

    def __init__(self, few: int, seconds: float) -> None:
        self._few, self._seconds = few, seconds
        self._lock = threading.Lock()
        self._waiting = 0
        # Since when somebody wanted a connection and nobody got one; None: all is well.
        self._since: float | None = None

    @contextmanager
    def wait(self) -> Iterator[None]:
        """Wait inside the block; raises OperationalError where enough others do in vain."""
        with self._lock:
            self._since = self._since or monotonic()
            in_vain = monotonic() - self._since > self._seconds
            if in_vain and self._waiting >= self._few:
                raise OperationalError("nobody gets a connection to the database")
            self._waiting += 1
        try:
            yield
            self._since = None
        finally:
            with self._lock:
                self._waiting -= 1


_doorway = Doorway(few=4, seconds=0.5)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, with a doorway before the pool."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection that nobody has hung up on: a look at the socket, no question."""
        with _doorway.wait():
            while True:
                connection = super().get_new_connection(conn_params)
                if not (self.pool and _is_readable(connection)):
                    return connection
                connection.close()
                self.pool.putconn(connection)


def _is_readable(connection: Connection[Any]) -> bool:
    """Whether something came on a connection where nothing was asked: the server's good-bye."""
    look = select.poll()
    look.register(connection.fileno(), select.POLLIN)
    return bool(look.poll(0))
