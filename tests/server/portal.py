"""The portal as it runs for real: migrated, members imported, gunicorn, worker."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path

from members.numbers import has_valid_check_digit
from tests.server.databases import Database
from tests.server.processes import free_port, running
from tests.server.visitor import HOST, Visitor

ROOT = Path(__file__).resolve().parents[2]
PIN = "2580"
# Nobody is turned away for the address they come from.
NO_SOURCE_LIMITS = {
    "SOURCE_ACCOUNT_LIMIT": "1000000/hour",
    "SOURCE_FAILURE_LIMIT": "1000000/hour",
}
_numbers = count(1)


@dataclass(frozen=True)
class Person:
    """A member as the feed described them."""

    member_number: str
    card_number: str
    email: str


def environment(database: Database, folder: Path, **settings: str) -> dict[str, str]:
    """Return all that the portal reads; nothing of the shell's own environment gets in."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **inherited,
        "PYTHONDONTWRITEBYTECODE": "1",
        "DEBUG": "off",
        "SECRET_KEY": "tests-only-" + "k" * 50,
        "PIN_KEYS": "v1:" + b64encode(b"tests only, never in production!").decode(),
        "DATABASE_URL": database.url,
        "CACHE_URL": f"filecache://{folder}/cache",
        "EMAIL_URL": "dummymail://",
        "DEFAULT_FROM_EMAIL": f"member-service@{HOST}",
        "ALLOWED_HOSTS": HOST,
        "TRUSTED_PROXIES": "1",
        "WEB_CONCURRENCY": "2",
        "HASHING_MEMORY_KIB": str(19 * 1024),
        **settings,
    }


def manage(env: Mapping[str, str], *arguments: str) -> str:
    """Run one management command to its end and return what it said; fail where it exits 1."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise AssertionError(f"manage.py {arguments[0]}: {done.stdout[-4000:]}")
    return done.stdout


def set_up(database: Database, folder: Path) -> None:
    """Do what an installation does once: migrate, collect the static files."""
    env = environment(database, folder)
    manage(env, "migrate", "--verbosity", "0")
    collect_static_files(env)


def collect_static_files(env: Mapping[str, str]) -> None:
    """Collect them, once for all processes of a test run: they share one folder."""
    this_run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    with (ROOT / "var" / "collected").open("a+") as collected:
        fcntl.flock(collected, fcntl.LOCK_EX)
        collected.seek(0)
        if this_run and collected.read() == this_run:
            return
        manage(env, "collectstatic", "--noinput", "--verbosity", "0")
        collected.truncate(0)
        collected.write(this_run)


def import_people(
    env: Mapping[str, str], folder: Path, number: int, *, pin: str = PIN
) -> list[Person]:
    """Bring in so many made-up members through the feed, all with this PIN."""
    people = []
    for _turn in range(number):
        i = next(_numbers)
        cards = (f"49900{i:010}{digit}" for digit in range(10))
        card = next(filter(has_valid_check_digit, cards))
        people.append(Person(f"{300_000_000 + i * 7919}", card, f"member{i}@example.com"))
    feed = folder / f"members{next(_numbers)}.csv"
    with feed.open("w", encoding="utf-8") as lines:
        lines.write("member_number,name,name_kana,birth_date,email,phone,card_number,pin\n")
        lines.writelines(
            f"{one.member_number},山田 花子,ヤマダ ハナコ,1983-12-31,{one.email},"
            f"09012345678,{one.card_number},{pin}\n"
            for one in people
        )
    manage(env, "import_members", str(feed))
    return people


@dataclass(frozen=True)
class Portal:
    """A running portal."""

    env: Mapping[str, str]
    database: Database
    folder: Path
    gunicorn: subprocess.Popen[bytes]
    port: int
    # What gunicorn and the portal said, both outputs together.
    log: Path

    def visitor(self, address: str = "203.0.113.7") -> Visitor:
        """Return a new browser."""
        return Visitor(self.port, address)

    def people(self, number: int) -> list[Person]:
        """Bring in so many new members."""
        return import_people(self.env, self.folder, number)

    def events(self, act: str, person: Person) -> list[str]:
        """Return the details of what is on record about this member and this act."""
        rows = self.database.rows(
            "SELECT details FROM credentials_event WHERE act = %s AND whom = %s ORDER BY id",
            act,
            person.member_number,
        )
        return [details for (details,) in rows]

    def sessions(self, person: Person) -> int:
        """Return how many sessions of this member are open."""
        [(number,)] = self.database.rows(
            "SELECT count(*) FROM credentials_session s JOIN members_user u ON u.id = s.user_id"
            " JOIN members_member m ON m.id = u.member_id WHERE m.number = %s",
            person.member_number,
        )
        return int(number)

    def failures(self, person: Person) -> int:
        """Return how many consecutive failures are counted against this member."""
        [(number,)] = self.database.rows(
            "SELECT u.attempts - u.attempts_cleared FROM members_user u"
            " JOIN members_member m ON m.id = u.member_id WHERE m.number = %s",
            person.member_number,
        )
        return int(number)

    @contextmanager
    def worker(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `manage.py worker`, or what else is to do its work, inside the block."""
        log = self.folder / f"worker{next(_numbers)}.log"
        with running(
            [sys.executable, *(command or ("manage.py", "worker"))],
            log=log,
            ready=lambda: "worker started" in log.read_text(),
            env=self.env,
            cwd=ROOT,
        ) as process:
            yield process


@contextmanager
def serving(
    database: Database, folder: Path, application: str = "portal.wsgi", **settings: str
) -> Iterator[Portal]:
    """Run gunicorn inside the block, over a database that `set_up` prepared."""
    port = free_port()
    env = environment(database, folder, **settings) | {"BIND": f"127.0.0.1:{port}"}

    def ready() -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/healthz/", headers={"Host": HOST})
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    command = [sys.executable, "-m", "gunicorn", "-c", "portal/gunicorn.py", application]
    log = folder / f"gunicorn{next(_numbers)}.log"
    with running(command, log=log, ready=ready, env=env, cwd=ROOT) as process:
        yield Portal(env, database, folder, process, port, log)
