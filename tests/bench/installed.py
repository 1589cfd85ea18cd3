"""What the benches share: a portal with members, and the form that signs them in."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from tests.bench.load import cookies_of, drive, each_once, request
from tests.server.databases import database, missing, redis
from tests.server.portal import (
    NO_SOURCE_LIMITS,
    PIN,
    Person,
    Portal,
    environment,
    import_people,
    serving,
    set_up,
)
from tests.server.processes import processor_seconds, tree_of


def arguments(description: str) -> argparse.ArgumentParser:
    """Return the options that every bench takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--counters", choices=["redis", "file"], default="redis")
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--connections", type=int, default=8)
    return parser


@contextmanager
def installed(options: argparse.Namespace, **more: dict[str, str]) -> Iterator[Installation]:
    """Give a portal with members inside the block.

    `more`: further portals over the same data, by name, each with settings of its own.
    """
    for kind in (options.database, options.counters):
        if lacking := missing(kind):
            raise SystemExit(f"{lacking} is missing")
    with ExitStack() as running, TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        data = running.enter_context(database(options.database, folder, safe=True))
        own = {**NO_SOURCE_LIMITS, "LOG_LEVEL": "WARNING", "HASHING_WAIT_SECONDS": "60"}
        if options.counters == "redis":
            own["CACHE_URL"] = running.enter_context(redis(folder))
        set_up(data, folder)
        people = import_people(environment(data, folder, **own), folder, options.members)
        portals = {
            name: running.enter_context(serving(data, folder, **own, **settings))
            for name, settings in {"portal": {}, **more}.items()
        }
        yield Installation(portals, people)
        # Before the folder goes.
        running.close()


class Installation:
    """The portals of a bench, and the members in them."""

    def __init__(self, portals: dict[str, Portal], people: list[Person]) -> None:
        self.portals, self.people = portals, people
        self.portal = portals["portal"]

    def processor_seconds(self) -> float:
        """Return the processor time of all that came from this bench, so far, and its own."""
        return processor_seconds(tree_of(os.getpid()))

    def sign_ins(self) -> list[bytes]:
        """Return the filled-in form of every member.

        Each comes from an address of its own, and from a device that is known by then.
        """
        visitor = self.portal.visitor()
        visitor.get("/login/")
        visitor.close()
        [(name, value)] = visitor.cookies.items()

        def form(i: int, person: Person, devices: str = "") -> bytes:
            return request(
                "POST",
                "/login/",
                cookies=f"{name}={value}{devices}",
                address=f"198.18.{i // 250}.{i % 250 + 1}",
                body=urlencode(
                    {
                        "csrfmiddlewaretoken": visitor.token,
                        "card_number": person.card_number,
                        "pin": PIN,
                    }
                ),
            )

        forms = []
        for i, person in enumerate(self.people):
            known = cookies_of(self.signed_in(form(i, person)))["__Host-devices"]
            forms.append(form(i, person, f"; __Host-devices={known}"))
        return forms

    def signed_in(self, form: bytes) -> bytes:
        """Sign a member in; return the answer, with the cookies of the session."""
        load = drive(self.portal.port, each_once([form]), connections=1)
        if load.statuses != {302: 1}:
            raise SystemExit(f"a sign-in was answered {dict(load.statuses)}")
        return load.last


def table(rows: list[tuple[str, str]]) -> None:
    """Print figures in two columns."""
    for what, figure in rows:
        print(f"{what:<58}{figure:>14}")
