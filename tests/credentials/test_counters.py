"""The counters: in a file that processes share, and in a Redis that may be gone or hang."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from limits.errors import StorageError
from limits.storage import MemoryStorage

from credentials.counters import Breaker, FileStorage, in_redis
from tests.server.processes import free_port

ROOT = Path(__file__).resolve().parents[2]

# --- In a file --------------------------------------------------------------------------------


@pytest.fixture
def counters(tmp_path: Path) -> Iterator[FileStorage]:
    storage = FileStorage(f"counters://{tmp_path / 'throttle.sqlite3'}")
    yield storage
    storage._connection().close()


def test_file_counts_up_and_down(counters: FileStorage) -> None:
    assert [counters.incr("key", 60) for _ in range(3)] == [1, 2, 3]
    assert counters.incr("key", 60, amount=-1) == 2
    assert (counters.get("key"), counters.get("other")) == (2, 0)


def test_counter_in_a_file_ends(counters: FileStorage) -> None:
    counters.incr("key", -1)
    assert counters.get("key") == 0
    assert counters.incr("key", 60) == 1


def test_counter_in_a_file_ends_when_it_was_begun_to(counters: FileStorage) -> None:
    counters.incr("key", 60)
    end = counters.get_expiry("key")
    counters.incr("key", 6000)
    assert counters.get_expiry("key") == end
    assert time.time() + 50 < end < time.time() + 61


def test_ended_counters_leave_the_file(counters: FileStorage) -> None:
    counters.incr("ended", -1)
    counters.incr("alive", 60)
    assert counters.check()
    assert counters.reset() == 1


def test_counter_in_a_file_is_forgotten(counters: FileStorage) -> None:
    counters.incr("key", 60)
    counters.clear("key")
    assert counters.get("key") == 0


def test_processes_share_the_counters_of_a_file(tmp_path: Path) -> None:
    program = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "import django; django.setup()\n"
        "from credentials.counters import FileStorage\n"
        f"storage = FileStorage('counters://{tmp_path / 'throttle.sqlite3'}')\n"
        "print(max(storage.incr('key', 600) for _ in range(200)))\n"
        "storage._connection().close()\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    highest = [int(process.communicate(timeout=60)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert max(highest) == 600


# --- In a Redis that is gone, or hangs --------------------------------------------------------


class Storage(MemoryStorage):
    """Counts how often it is asked, and answers or not."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.is_lost = 0, False

    def incr(self, *args: Any, **options: Any) -> int:
        self.asked += 1
        if self.is_lost:
            raise StorageError(ConnectionError())
        return super().incr(*args, **options)


def test_lost_counters_are_left_alone_for_a_moment() -> None:
    inside = Storage()
    counters = Breaker(inside, rest=3600)
    assert counters.incr("key", 60) == 1
    inside.is_lost = True
    for _ in range(5):
        with pytest.raises(StorageError):
            counters.incr("key", 60)
    assert inside.asked == 2
    with pytest.raises(StorageError):
        counters.get("key")
    with pytest.raises(StorageError):
        counters.check()


def test_after_the_moment_one_asks_and_the_others_go_on_waiting() -> None:
    asking, answer = threading.Event(), threading.Event()

    class Hanging(Storage):
        def incr(self, *args: Any, **options: Any) -> int:
            if self.asked:
                asking.set()
                answer.wait(30)
            return super().incr(*args, **options)

    inside = Hanging()
    inside.is_lost = True
    counters = Breaker(inside, rest=0)
    with pytest.raises(StorageError):
        counters.incr("key", 60)
    inside.is_lost = False
    given: list[int] = []
    first = threading.Thread(target=lambda: given.append(counters.incr("key", 60)))
    first.start()
    assert asking.wait(30)
    with pytest.raises(StorageError):
        counters.get("key")
    answer.set()
    first.join(30)
    assert given == [1]
    assert counters.get("key") == 1


def test_found_counters_are_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    inside = Storage()
    counters = Breaker(inside, rest=0)
    inside.is_lost = True
    for _ in range(2):
        with pytest.raises(StorageError):
            counters.incr("key", 60)
    inside.is_lost = False
    assert [counters.incr("key", 60) for _ in range(2)] == [1, 2]
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said == [
        ("ERROR", "counters out of reach: ConnectionError"),
        ("WARNING", "counters within reach again"),
    ]


def test_a_redis_that_is_gone_is_asked_once() -> None:
    counters = Breaker(in_redis(f"redis://127.0.0.1:{free_port()}/0"), rest=3600)
    with pytest.raises(StorageError):
        counters.check()
    with pytest.raises(StorageError, match="left alone"):
        counters.get("key")


def test_a_redis_that_hangs_costs_one_request_its_time_out() -> None:
    """It takes connections and says nothing; nobody tries a second time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        port = silent.getsockname()[1]
        counters = Breaker(in_redis(f"redis://127.0.0.1:{port}/0"), rest=3600)
        began = time.monotonic()
        for _ in range(50):
            with pytest.raises(StorageError):
                counters.incr("key", 60)
        # 50 time-outs would be 35 seconds; generous, for the machine may be busy.
        assert time.monotonic() - began < 10
        peer, _address = silent.accept()
        peer.close()
        silent.settimeout(0)
        with pytest.raises(BlockingIOError):
            silent.accept()
