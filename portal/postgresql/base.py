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
from psycopg_pool import PoolTimeout

from portal.postgresql.options import WAIT_SECONDS


class Doorway:
    """Lets everybody wait for a connection while there are any to be had, and else only a few."""

    def __init__(self, *, few: int, patience: float) -> None:
        self._few, self._patience = few, patience
        self._lock = threading.Lock()
        self._waiting = 0
        # When the last one got a connection, or somebody wanted one after a time of quiet.
        self._last = 0.0
        self._in_vain = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Wait inside the block, and ask `stays` now and then."""
        with self._lock:
            if not self._waiting and not self._in_vain:
                self._last = monotonic()
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def stays(self) -> bool:
        """Whether one who waits may go on waiting: no, where enough others do so in vain."""
        with self._lock:
            self._in_vain = self._in_vain or monotonic() - self._last > self._patience
            return not self._in_vain or self._waiting <= self._few

    def got_one(self) -> None:
        """Note that somebody got a connection."""
        with self._lock:
            self._last, self._in_vain = monotonic(), False


# Longer than connections take to come round when the processor is short.
_doorway = Doorway(few=4, patience=2.0)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, with a doorway before the pool."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection on which nobody has hung up: a look at the socket, no question."""
        end = monotonic() + WAIT_SECONDS
        with _doorway.place():
            while _doorway.stays():
                try:
                    connection = super().get_new_connection(conn_params)
                except PoolTimeout:
                    if monotonic() > end:
                        raise
                    continue
                if not self.pool or not _is_readable(connection):
                    _doorway.got_one()
                    return connection
                connection.close()
                self.pool.putconn(connection)
        raise OperationalError("nobody gets a connection to the database")


def _is_readable(connection: Connection[Any]) -> bool:
    """Whether something came on a connection where nothing was asked: the server's good-bye."""
    look = select.poll()
    look.register(connection.fileno(), select.POLLIN)
    return bool(look.poll(0))
