"""Throttling by source: how often one address may fail, and on how many accounts.

A source is an IPv4 address or an IPv6 /64. Like the count of a member's failures, an attempt is
counted before it is judged and forgiven when it succeeds: so parallel attempts cannot pass a
check that none of them has counted against yet. The counters are those of the `limits` library,
in Redis or, on a single machine, in a small file beside the cache.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage, Storage
from redis.backoff import NoBackoff
from redis.retry import Retry

from credentials.codes import digest
from credentials.refusals import Refusal, Why


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


@cache
def counters() -> Storage:
    """Return where the counters are, as CACHE_URL says."""
    backend = settings.CACHES["default"]["BACKEND"]
    if backend.endswith("RedisCache"):
        return RedisStorage(
            settings.CACHE_URL,
            wrap_exceptions=True,
            socket_timeout=1,
            socket_connect_timeout=1,
            # Once more, and at once, for a Redis that was started anew; the client's own default
            # is three times with growing pauses, and somebody waits.
            retry=Retry(NoBackoff(), 1),  # type: ignore[arg-type]
        )
    if backend.endswith("LocMemCache"):
        return MemoryStorage()
    location = Path(settings.CACHES["default"]["LOCATION"])
    return FileStorage(f"counters://{location / 'throttle.sqlite3'}", wrap_exceptions=True)


def client_address(request: HttpRequest) -> str:
    """Return the client's address.

    Each proxy appends the peer it saw to X-Forwarded-For, so only the last TRUSTED_PROXIES
    entries are somebody's word that we trust; what stands left of them a client can invent.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    if not settings.TRUSTED_PROXIES:
        return _address_or_nothing(peer)
    hops = [*request.META.get("HTTP_X_FORWARDED_FOR", "").split(","), peer]
    seen = hops[-1 - settings.TRUSTED_PROXIES :][0].strip()
    return _address_or_nothing(seen) or _address_or_nothing(peer)


# Some proxies add the client's port: 192.0.2.1:5678, [2001:db8::1]:5678.
_WITH_PORT = re.compile(r"(?P<v4>[\d.]+):\d+|\[(?P<v6>[^\]]+)\](?::\d+)?")


def _address_or_nothing(text: str) -> str:
    if with_port := _WITH_PORT.fullmatch(text):
        text = with_port["v4"] or with_port["v6"]
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address).split("%")[0]


def source_of(address: str) -> str:
    """Return whom a failure from `address` counts against: itself, or its IPv6 /64."""
    return str(ip_network(f"{address}/64", strict=False)) if ":" in address else address


@dataclass(frozen=True)
class Admission:
    """An attempt that was let in, and counted in advance against its source."""

    counted: tuple[tuple[str, int], ...]

    def forgive(self) -> None:
        """Take the count back: the attempt was no failure."""
        for key, seconds in self.counted:
            counters().incr(key, seconds, amount=-1)


def admit(purpose: str, *, address: str, account: str = "") -> Admission | Refusal:
    """Count an attempt against its source, or refuse it where the source had its share.

    `purpose` keeps the shares of sign-in, registration and tickets apart. `account` is what was
    typed to name the account, known or not; empty where accounts do not matter.
    """
    source = source_of(address)
    failures = parse(settings.SOURCE_FAILURE_LIMIT)
    accounts = parse(settings.SOURCE_ACCOUNT_LIMIT)
    storage = counters()
    counted: list[tuple[str, int]] = []

    def count(key: str, limit: RateLimitItem) -> int:
        counted.append((key, limit.get_expiry()))
        return storage.incr(*counted[-1])

    def refuse(key: str) -> Refusal:
        Admission(tuple(counted)).forgive()
        wait = int(storage.get_expiry(key) - time.time()) + 1
        # Whatever happened to the clock in between: no longer than a window lasts.
        return Refusal(Why.THROTTLED, retry_after=min(max(wait, 1), counted[-1][1]))

    of_source = f"throttle:{purpose}:failures:{source}"
    if count(of_source, failures) > failures.amount:
        return refuse(of_source)
    if account:
        of_account = f"throttle:{purpose}:account:{source}:{digest('throttle', account)}"
        of_accounts = f"throttle:{purpose}:accounts:{source}"
        is_new = count(of_account, accounts) == 1
        if is_new and count(of_accounts, accounts) > accounts.amount:
            return refuse(of_accounts)
    return Admission(tuple(counted))
