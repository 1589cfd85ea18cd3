"""How fast and in how much memory a member feed comes in.

    python -m tests.bench.feed [--lines 10000] [--pins 400] [--rounds 3] [--database-url URL]

Speed is given against bare `bulk_create` of the same rows in the same run: no reading, no checks,
no look-up of who is there already. Each measurement runs in a process of its own, on a fresh
database: SQLite in a temporary directory, or a test database beside the one of --database-url.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

HEADER = "member_number,name,name_kana,birth_date,email,phone,card_number,pin"
CHUNK = 1000
SMALL, LARGE = 10_000, 100_000


def lines(count: int, *, pins: bool = False) -> Iterator[str]:
    """Yield `count` good lines."""
    for i in range(count):
        body = f"939200{i * 7:09}"
        digits = (int(d) * (1 + p % 2) for p, d in enumerate(reversed(body), start=1))
        check = -sum(d - 9 if d > 9 else d for d in digits) % 10
        pin = f"{i * 37 % 10000:04}" if pins else ""
        yield (
            f"{100_000_007 + i * 8_923 % 899_999_981},山田 太郎{i},ヤマダ タロウ,"
            f"{1940 + i % 60}-{1 + i % 12:02}-{1 + i % 28:02},member{i}@example.jp,"
            f"090-{i // 10000:04}-{i % 10000:04},{body}{check},{pin}"
        )


def write_feed(path: Path, count: int, *, pins: bool = False) -> None:
    """Write a feed of `count` members to `path`."""
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        file.writelines(line + "\n" for line in lines(count, pins=pins))


def peak_mib() -> float:
    """Return the peak resident memory of this process (its own, not its parent's before exec)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def bare(path: Path) -> float:
    """Write the rows of a feed with bulk_create; return the seconds from values to rows."""
    from datetime import date

    from django.db import transaction

    from members.models import Card, Member, User

    values = []
    with path.open(encoding="utf-8") as file:
        for line in islice(file, 1, None):
            number, name, kana, born, email, phone, card, _pin = line.rstrip("\n").split(",")
            values.append((number, name, kana, date.fromisoformat(born), email, phone, card))
    start = time.perf_counter()
    for first in range(0, len(values), CHUNK):
        chunk = values[first : first + CHUNK]
        with transaction.atomic():
            members = Member.objects.bulk_create(
                Member(
                    number=number,
                    name=name,
                    name_kana=kana,
                    birth_date=born,
                    email=email,
                    phone=phone.replace("-", ""),
                )
                for number, name, kana, born, email, phone, _card in chunk
            )
            Card.objects.bulk_create(
                Card(member=member, number=row[-1])
                for member, row in zip(members, chunk, strict=True)
            )
            User.objects.bulk_create(User(member=member, password="!") for member in members)
    return time.perf_counter() - start


def measure(step: str, path: Path) -> dict[str, float]:
    """Run one step on a fresh database; return seconds and peak memory."""
    import django

    django.setup()
    from django.db import connection

    from members.feed import import_feed

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(path.with_name("bench.sqlite3"))
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    # From here on: what the migrations needed must not hide what the feed needs (man 5 proc).
    Path("/proc/self/clear_refs").write_text("5")
    try:
        if step == "bare":
            seconds = [bare(path)]
        else:
            seconds = []
            for _run in range(2 if step == "twice" else 1):
                start = time.perf_counter()
                import_feed(path)
                seconds.append(time.perf_counter() - start)
        return {"seconds": seconds[-1], "peak": peak_mib()}
    finally:
        if hasattr(connection, "close_pool"):
            connection.close_pool()
        connection.creation.destroy_test_db(name, verbosity=0)


def in_process(step: str, path: Path) -> dict[str, float]:
    """Run `measure` in a process of its own and return what it measured."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.feed", "--step", step, "--feed", str(path)],
        check=True,
        stdout=subprocess.PIPE,
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=SMALL)
    parser.add_argument("--pins", type=int, default=400, help="lines of the feed with PINs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database-url")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--feed", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(measure(arguments.step, arguments.feed)))
        return

    with tempfile.TemporaryDirectory(prefix="bench-feed-") as temporary:
        folder = Path(temporary)
        url = arguments.database_url or f"sqlite:///{folder}/portal.sqlite3"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
        os.environ |= {
            "DATABASE_URL": url,
            "DEBUG": "off",
            "SECRET_KEY": "bench",
            "PIN_KEYS": "v1:" + b64encode(bytes(32)).decode(),
            "CACHE_URL": "locmemcache://",
            "EMAIL_URL": "dummymail://",
            "DEFAULT_FROM_EMAIL": "bench@example.com",
            "ALLOWED_HOSTS": "localhost",
        }
        report(folder, arguments)


def report(folder: Path, arguments: argparse.Namespace) -> None:
    """Measure and print the table."""
    feeds = {}
    for name, count, pins in (
        ("lines", arguments.lines, False),
        ("pins", arguments.pins, True),
        ("small", SMALL, False),
        ("large", LARGE, False),
    ):
        feeds[name] = folder / f"{name}.csv"
        write_feed(feeds[name], count, pins=pins)

    rates = {"bare": [], "import": [], "twice": []}
    for _round in range(arguments.rounds):
        for step, found in rates.items():
            found.append(arguments.lines / in_process(step, feeds["lines"])["seconds"])
    # The best round of each: what else runs on the machine only ever takes away.
    bare_rate, import_rate, again_rate = (max(found) for found in rates.values())
    pin_rate = arguments.pins / in_process("import", feeds["pins"])["seconds"]
    small, large = (in_process("import", feeds[name])["peak"] for name in ("small", "large"))

    print(f"{'what':<44}{'figure':>12}{'ratio':>8}")
    print(f"{f'bare bulk_create, {arguments.lines} lines':<44}{bare_rate:>10.0f}/s")
    for what, rate in (("import, no PINs", import_rate), ("a second run, no PINs", again_rate)):
        print(f"{what:<44}{rate:>10.0f}/s{rate / bare_rate:>8.2f}")
    print(f"{f'import, {arguments.pins} PINs, {os.cpu_count()} cores':<44}{pin_rate:>10.0f}/s")
    print(f"{f'peak memory, {SMALL} lines':<44}{small:>9.1f}MiB")
    print(f"{f'peak memory, {LARGE} lines':<44}{large:>9.1f}MiB{large / small:>8.2f}")


if __name__ == "__main__":
    main()
