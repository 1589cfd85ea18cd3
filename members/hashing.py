"""Argon2id as this portal uses it, and the slots that bound how much of it runs at once.

Parameters: the second of OWASP's recommended sets, 19 MiB, t=2, p=1. Memory is a setting only
so that tests can make it cheap; a deployment check refuses less than the recommended amount.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import close_old_connections, connection
from django.utils.translation import gettext as _

RECOMMENDED_MEMORY_KIB = 19 * 1024
TIME_COST = 2
PARALLELISM = 1


T = TypeVar("T")


class Hashing(Protocol):
    """Calls a function that hashes, where hashing has its place, and returns what it returns."""

    def __call__(self, function: Callable[..., T], *values: Any, **named: Any) -> T: ...


class NoSlot(Exception):
    """No hashing slot became free in time. Nothing was charged to anybody yet."""


class Slots:
    """At most `size` hashings at once in this process, and at most `waiting` that wait.

    Each hashing takes its memory for as long as it runs; more of them at once than there are
    cores only takes more memory, not less time. Whoever finds the queue full, or waits longer
    than `seconds`, is turned away: before an attempt is reserved, so it is charged to nobody.

    Hashing has threads of its own, as many as there are slots: the allocator keeps what a thread
    once needed, so in the threads of the web server it would be those 19 MiB for each of them.
    """

    def __init__(self, size: int, waiting: int, seconds: float) -> None:
        self._free = threading.BoundedSemaphore(size)
        self._queue = threading.BoundedSemaphore(size + waiting)
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="hashing")

    @contextmanager
    def take(self) -> Iterator[Hashing]:
        """Hold one slot, and give what calls a function in it; raises NoSlot.

        Whoever waits holds no connection of the pool, but for a caller's transaction.
        """
        if not connection.in_atomic_block:
            close_old_connections()
        if not self._queue.acquire(blocking=False):
            raise NoSlot
        try:
            if not self._free.acquire(timeout=self._seconds):
                raise NoSlot
            try:
                yield self._call
            finally:
                self._free.release()
        finally:
            self._queue.release()

    def _call(self, function: Callable[..., T], *values: Any, **named: Any) -> T:
        return self._threads.submit(function, *values, **named).result()


slots = Slots(
    settings.HASHING_SLOTS, waiting=settings.HASHING_QUEUE, seconds=settings.HASHING_WAIT_SECONDS
)

_argon2 = PasswordHasher(
    time_cost=TIME_COST,
    memory_cost=settings.HASHING_MEMORY_KIB,
    parallelism=PARALLELISM,
    type=Type.ID,
)


def hash_secret(secret: str) -> str:
    """Return the Argon2id hash of `secret` in its text form, with a salt of its own."""
    return _argon2.hash(secret)


def verify_secret(encoded: str, secret: str) -> bool:
    """Whether `secret` is the one that `encoded` was made from."""
    try:
        return _argon2.verify(encoded, secret)
    except (VerificationError, InvalidHashError):
        return False


def verify_password(stored: str, password: str) -> bool:
    """Whether `password` is the one of a user's `password` column. Always costs one hashing.

    As Django's `check_password`, but in the same time also where the account has no password:
    that one looks into the hash for parameters to renew, and does not hash at all without one.
    """
    prefix, _dollar, encoded = stored.partition("$")
    return verify_secret("$" + encoded, password) if prefix == "argon2" else verify_nobody(password)


_NOBODY = hash_secret("nobody's")


def verify_nobody(secret: str) -> bool:
    """Take as long as a verification takes, and return False: for whom there is no hash."""
    verify_secret(_NOBODY, secret)
    return False


class PasswordHasherOfPortal(Argon2PasswordHasher):
    """Django's Argon2 hasher with the parameters above, for passwords of Web-ID and staff."""

    time_cost = TIME_COST
    memory_cost = settings.HASHING_MEMORY_KIB
    parallelism = PARALLELISM

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        """What the admin shows of a hash: how it was made, and no part of it."""
        return {_("algorithm"): self.algorithm}
