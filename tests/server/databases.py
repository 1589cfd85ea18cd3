"""Throw-away databases and counters, as the portal meets them where it runs for real."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import psycopg

from tests.server.processes import answers, free_port, running

POSTGRESQL = Path("/usr/lib/postgresql/15/bin")
_numbers = count(1)


def missing(kind: str) -> str:
    """Return what has to be installed for `sqlite`, `postgresql`, `redis`; empty: nothing."""
    if kind == "postgresql" and not (POSTGRESQL / "postgres").exists():
        return f"PostgreSQL 15 ({POSTGRESQL}/postgres; Debian: postgresql-15)"
    if kind == "redis" and shutil.which("redis-server") is None:
        return "redis-server (Debian: redis-server)"
    return ""


class Database(Protocol):
    """One database of the portal."""

    url: str

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; `%s` stands for a value."""

    def copy(self) -> Database:
        """Return a new database with the same content. Nobody may be connected to this one."""


class SQLite:
    """A file, as on a single machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, timeout=20, isolation_level=None)) as connection:
            return connection.execute(sql.replace("%s", "?"), values).fetchall()

    def copy(self) -> SQLite:
        other = SQLite(self.path.with_name(f"portal{next(_numbers)}.sqlite3"))
        with (
            closing(sqlite3.connect(self.path)) as ours,
            closing(sqlite3.connect(other.path)) as theirs,
        ):
            ours.backup(theirs)
        return other


class PostgreSQL:
    """A database in a cluster of ours."""

    def __init__(self, port: int, name: str) -> None:
        self.port, self.name = port, name
        self.url = f"postgres://postgres@127.0.0.1:{port}/{name}"

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def copy(self) -> PostgreSQL:
        other = PostgreSQL(self.port, f"portal{next(_numbers)}")
        PostgreSQL(self.port, "postgres").rows(f"CREATE DATABASE {other.name} TEMPLATE {self.name}")
        return other


@contextmanager
def database(kind: str, folder: Path, *, safe: bool = False) -> Iterator[Database]:
    """Give an empty database inside the block: `sqlite` or `postgresql`.

    `safe`: PostgreSQL as it comes, waiting for the disk; tests need not.
    """
    if kind == "sqlite":
        yield SQLite(folder / "portal.sqlite3")
        return
    with cluster(folder, safe=safe) as port:
        empty = PostgreSQL(port, "template0")
        yield empty.copy()


@contextmanager
def cluster(folder: Path, *, safe: bool) -> Iterator[int]:
    """Run a PostgreSQL of our own inside the block; give its port."""
    # PostgreSQL does not run as root.
    user = "postgres" if os.getuid() == 0 else None
    data = folder / "postgresql"
    data.mkdir(mode=0o700)
    if user:
        shutil.chown(data, user, user)
        for parent in [*data.parents][:-2]:
            parent.chmod(parent.stat().st_mode | 0o011)
    options = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run(
        [POSTGRESQL / "initdb", "-D", data, *options],
        check=True,
        stdout=subprocess.DEVNULL,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd="/",
    )
    port = free_port()
    settings = ["listen_addresses = '127.0.0.1'", f"unix_socket_directories = '{data}'"]
    settings += ["shared_preload_libraries = 'pg_stat_statements'"]
    settings += ["pg_stat_statements.track = none"]
    settings += [] if safe else ["fsync = off"]
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.writelines(f"{setting}\n" for setting in settings)
    command = [str(POSTGRESQL / "postgres"), "-D", str(data), "-p", str(port)]

    def ready() -> bool:
        try:
            PostgreSQL(port, "postgres").rows("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    log = folder / "postgresql.log"
    with running(command, log=log, ready=ready, user=user, cwd=Path("/"), stop=signal.SIGINT):
        yield port


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run a Redis of our own inside the block; give its address as CACHE_URL takes it."""
    port = free_port()
    with redis_at(port, folder):
        yield redis_url(port)


def redis_url(port: int) -> str:
    """Return the address of a Redis as CACHE_URL takes it."""
    return f"redis://127.0.0.1:{port}/0"


@contextmanager
def redis_at(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run an empty Redis of our own inside the block; give its process."""
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no"]
    log = folder / "redis.log"
    with running(command, log=log, ready=lambda: answers(port)) as process:
        yield process
