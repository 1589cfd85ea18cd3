"""Acts that stop where they hash, and go on when they are told to.

An act reserves, hashes and settles; while it hashes it holds no transaction and no lock, so that
is where others get in between. Here every act runs in a thread of its own, on the test's own
connection, and only one of all threads runs at a time: so the order of events is the test's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from members.hashing import NoSlot, slots, verify_nobody


class Killed(BaseException):
    """What `kill -9` is to an act: no `except Exception` of ours sees it."""


class Paused:
    """One act under way. `judges`: whether it hashes for somebody, not for nobody."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act
        self._go, self._stopped = threading.Event(), threading.Event()
        self._killed = False
        self._error: BaseException | None = None
        self._connection = connections["default"]
        self._held = list(self._connection.savepoint_ids)
        self.answer: Any = None
        self.judges = False
        self.is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait()

    def _run(self) -> None:
        connections["default"] = self._connection
        _running.paused = self
        try:
            self.answer = self._act()
        except BaseException as error:
            self._error = error
        finally:
            self.is_over = True
            # Not ours to close.
            del connections["default"]
            self._stopped.set()

    def _wait(self) -> None:
        assert self._stopped.wait(60), "the act hangs"
        self._stopped.clear()
        if self._error and not isinstance(self._error, Killed):
            raise self._error

    def stop_here(self, judges: bool) -> None:
        """Wait, in the act's own thread, for what comes next."""
        self.judges = judges
        assert list(self._connection.savepoint_ids) == self._held, "hashing with something held"
        self._stopped.set()
        self._go.wait()
        self._go.clear()
        if self._killed:
            raise Killed

    def go_on(self) -> Any:
        """Let the act run to its end, and return its answer."""
        while not self.is_over:
            self._go.set()
            self._wait()
        self._thread.join()
        return self.answer

    def kill(self) -> None:
        """End it where it stands."""
        self._killed = True
        self.go_on()


_running = threading.local()


class PausingSlots:
    """Stands in for the hashing slots: as many as are wanted, or none."""

    full = False

    @contextmanager
    def take(self) -> Iterator[Callable[..., Any]]:
        if self.full:
            raise NoSlot
        yield self._call

    def _call(self, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        paused: Paused | None = getattr(_running, "paused", None)
        if paused:
            paused.stop_here(judges=function is not verify_nobody)
        return function(*values, **named)


@contextmanager
def pausing(monkeypatch: pytest.MonkeyPatch) -> Iterator[PausingSlots]:
    """Have every act of a `Paused` stop where it hashes."""
    ours = PausingSlots()
    connection = connections["default"]
    connection.ensure_connection()
    connection.inc_thread_sharing()
    with monkeypatch.context() as patched:
        patched.setattr(slots, "take", ours.take)
        try:
            yield ours
        finally:
            connection.dec_thread_sharing()
