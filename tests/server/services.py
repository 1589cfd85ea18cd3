"""Servers that a test kills, hangs and brings back at the same address: PostgreSQL and Redis."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from tests.server.databases import POSTGRESQL, PostgreSQL
from tests.server.processes import answers, free_port, running, tree_of, wait_until

# PostgreSQL does not run as root.
_USER = "postgres" if os.getuid() == 0 else None


class Service:
    """One server, with all processes that belong to it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        ready: Callable[[], object],
        user: str | None = None,
        stop: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._command, self._log, self._ready = command, log, ready
        self._user, self._stop = user, stop
        self._running = ExitStack()
        self._pid = 0

    def start(self) -> None:
        """Start it, and return once it answers."""
        process = self._running.enter_context(
            running(
                self._command,
                log=self._log,
                ready=self._ready,
                user=self._user,
                cwd=Path("/"),
                stop=self._stop,
            )
        )
        self._pid = process.pid

    def kill(self) -> None:
        """SIGKILL, for all of it at once."""
        tree = tree_of(self._pid)
        self._signal(signal.SIGKILL, tree)
        # Also the children, which nobody waits for: the next start is to find nothing of them.
        wait_until("all of it is gone", lambda: not any(_lives(pid) for pid in tree[1:]))
        self.end()

    def hang(self) -> None:
        """Stop it in its tracks: connections stay open, and nobody answers."""
        self._signal(signal.SIGSTOP, tree_of(self._pid))

    def go_on(self) -> None:
        """Let it go on where it was."""
        self._signal(signal.SIGCONT, tree_of(self._pid))

    def end(self) -> None:
        """End it in good order, in whatever state it is."""
        if self._pid:
            self.go_on()
            self._pid = 0
            self._running.close()

    def _signal(self, number: signal.Signals, pids: list[int]) -> None:
        for pid in pids:
            if _lives(pid):
                os.kill(pid, number)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Cluster(Service):
    """A PostgreSQL of our own, with what another one held when this was made."""

    def __init__(self, origin: PostgreSQL, folder: Path, *, standby: bool = False) -> None:
        self.port = free_port()
        self._data = folder / f"postgresql{self.port}"
        self._data.mkdir(mode=0o700)
        if _USER:
            shutil.chown(self._data, _USER, _USER)
            for parent in [*self._data.parents][:-2]:
                parent.chmod(parent.stat().st_mode | 0o011)
        source = ["-h", "127.0.0.1", "-p", str(origin.port), "-U", "postgres"]
        self._run("pg_basebackup", *source, "-c", "fast", "-N", *(["-R"] if standby else []))
        self.database = PostgreSQL(self.port, origin.name)
        super().__init__(
            [
                str(POSTGRESQL / "postgres"),
                *("-D", str(self._data), "-p", str(self.port), "-k", str(self._data)),
            ],
            log=folder / f"postgresql{self.port}.log",
            ready=self._answers,
            user=_USER,
            stop=signal.SIGINT,
        )

    def _answers(self) -> bool:
        try:
            self.database.rows("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop_at_once(self) -> None:
        """Do what an administrator in a hurry does: `pg_ctl stop -m immediate`."""
        self._run("pg_ctl", "stop", "-m", "immediate", "-w")
        self.end()

    def promote(self) -> None:
        """Make the primary of a standby, and return once it is."""
        self._run("pg_ctl", "promote", "-w")

    def replicate_to(self, standby: Cluster) -> None:
        """Commit nothing from now on that this standby has not on its disk."""
        standby.start()
        for statement in (
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "ALTER SYSTEM SET synchronous_commit = 'on'",
            "SELECT pg_reload_conf()",
        ):
            self.database.rows(statement)
        states = "SELECT sync_state FROM pg_stat_replication"
        wait_until("the standby follows", lambda: self.database.rows(states) == [("sync",)])

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [POSTGRESQL / program, "-D", self._data, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=_USER,
            group=_USER,
            extra_groups=[] if _USER else None,
            cwd="/",
        )


class Redis(Service):
    """A Redis of our own. It keeps nothing over a restart."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        super().__init__(
            [
                *("redis-server", "--port", str(port), "--bind", "127.0.0.1"),
                *("--dir", str(folder), "--save", "", "--appendonly", "no"),
            ],
            log=folder / "redis.log",
            ready=lambda: answers(port),
        )


@contextmanager
def serving_until_the_end(*services: Service) -> Iterator[None]:
    """Start these, and end them with the block, in whatever state they are then."""
    with ExitStack() as stack:
        for service in services:
            stack.callback(service.end)
            service.start()
        yield
