"""The counters of throttling and of the alarm: in Redis or, on one machine, in a small file.

They are storages of the `limits` library. All processes share them, and each counter ends by
their clock, never by that of a web server. Out of reach, they raise StorageError, and soon.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage, Storage

logger = logging.getLogger(__name__)

# Together the second that a request may wait for a Redis that hangs.
CONNECT_SECONDS = 0.3
ANSWER_SECONDS = 0.7
REST_SECONDS = 1.0

T = TypeVar("T")


class FileStorage(Storage):
    """Counters of `limits` in an SQLite file that all processes of one machine share.

    Lost counters (a deleted file, a power cut) are worth less than speed, hence synchronous=OFF.
    """

    STORAGE_SCHEME = ["counters"]

    def __init__(self, uri: str, wrap_exceptions: bool = False, **options: str) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions, **options)
        self._path = uri.removeprefix("counters://")
        self._local = threading.local()

    @property
    def base_exceptions(self) -> type[Exception]:
        return sqlite3.Error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS counter"
                " (key TEXT PRIMARY KEY, value INTEGER NOT NULL, until REAL NOT NULL)"
            )
            self._local.connection = connection
        return connection

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add `amount` to the counter and return it; a new one ends after `expiry` seconds."""
        now = time.time()
        row = self._connection().execute(
            "INSERT INTO counter VALUES (?1, ?2, ?3 + ?4) ON CONFLICT (key) DO UPDATE SET"
            " value = CASE WHEN until <= ?3 THEN ?2 ELSE value + ?2 END,"
            " until = CASE WHEN until <= ?3 THEN ?3 + ?4 ELSE until END RETURNING value",
            (key, amount, now, expiry),
        )
        return int(row.fetchall()[0][0])

    def get(self, key: str) -> int:
        """Return the counter, 0 where there is none."""
        row = self._connection().execute(
            "SELECT value FROM counter WHERE key = ? AND until > ?", (key, time.time())
        )
        return int((row.fetchone() or (0,))[0])

    def get_expiry(self, key: str) -> float:
        """Return when the counter ends, in seconds since 1970."""
        row = self._connection().execute("SELECT until FROM counter WHERE key = ?", (key,))
        return float((row.fetchone() or (time.time(),))[0])

    def check(self) -> bool:
        """Whether the counters can be written; ended ones go."""
        self._connection().execute("DELETE FROM counter WHERE until <= ?", (time.time(),))
        return True

    def clear(self, key: str) -> None:
        """Forget one counter."""
        self._connection().execute("DELETE FROM counter WHERE key = ?", (key,))

    def reset(self) -> int | None:
        """Forget all counters; return how many there were."""
        return self._connection().execute("DELETE FROM counter").rowcount


class Breaker(Storage):
    """Another storage's counters, left alone for a moment once they did not answer.

    So a Redis that hangs costs one request its time-out, and those that come meanwhile nothing.
    """

    STORAGE_SCHEME = ["breaker"]

    def __init__(self, storage: Storage, rest: float = REST_SECONDS) -> None:
        super().__init__()
        self._storage = storage
        self._rest = rest
        self._lock = threading.Lock()
        # Until when nobody asks; none: all is well.
        self._until: float | None = None

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        # The storage inside wraps its own.
        return ()

    def _ask(self, question: Callable[[], T]) -> T:
        with self._lock:
            if self._until is not None:
                now = time.monotonic()
                if now < self._until:
                    raise StorageError(ConnectionError("left alone for a moment"))
                # One asks now; the others go on waiting for what comes of it.
                self._until = now + self._rest + CONNECT_SECONDS + ANSWER_SECONDS
        try:
            answer = question()
        except StorageError as error:
            self._note(lost=error)
            raise
        if self._until is not None:
            self._note(lost=None)
        return answer

    def _note(self, *, lost: StorageError | None) -> None:
        with self._lock:
            was_lost = self._until is not None
            self._until = time.monotonic() + self._rest if lost else None
        if lost and not was_lost:
            logger.error("counters out of reach: %s", type(lost.storage_error).__name__)
        elif was_lost and not lost:
            logger.warning("counters within reach again")

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return self._ask(lambda: self._storage.incr(key, expiry, amount))

    def get(self, key: str) -> int:
        return self._ask(lambda: self._storage.get(key))

    def get_expiry(self, key: str) -> float:
        return self._ask(lambda: self._storage.get_expiry(key))

    def check(self) -> bool:
        """Whether the counters answer; raises StorageError where they do not."""

        def ping() -> bool:
            if not self._storage.check():
                raise StorageError(ConnectionError("no answer"))
            return True

        return self._ask(ping)

    def clear(self, key: str) -> None:
        self._ask(lambda: self._storage.clear(key))

    def reset(self) -> int | None:
        return self._ask(self._storage.reset)


@cache
def counters() -> Storage:
    """Return where the counters are, as CACHE_URL says."""
    backend = settings.CACHES["default"]["BACKEND"]
    if backend.endswith("RedisCache"):
        return Breaker(in_redis(settings.CACHE_URL))
    if backend.endswith("LocMemCache"):
        return MemoryStorage()
    location = Path(settings.CACHES["default"]["LOCATION"])
    return FileStorage(f"counters://{location / 'throttle.sqlite3'}", wrap_exceptions=True)


def in_redis(address: str) -> Storage:
    """Return the counters of a Redis, asked once and not again where it does not answer."""
    return RedisStorage(
        address,
        wrap_exceptions=True,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
    )


def seconds_left(storage: Storage, key: str, *, at_most: int) -> int:
    """Return in how many seconds a counter ends: at least 1, and no more than it lasts.

    So much is sure also where this process's clock is wrong.
    """
    return min(max(int(storage.get_expiry(key) - time.time()) + 1, 1), at_most)
