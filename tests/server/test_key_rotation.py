"""Keys rotate while the portal runs: nobody who types the right PIN is refused meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from tests.server.portal import PIN, ROOT, Person, Portal, import_people, manage
from tests.server.processes import wait_until

pytestmark = pytest.mark.server

KEYS = {name: f"{name}:{b64encode(name.encode() * 16).decode()}" for name in ("v1", "v2", "v3")}
ROWS = 4000
VISITORS = 6
# The rows are sealed cheaply; what is typed is judged as cheaply.
CHEAP = {"HASHING_MEMORY_KIB": "64"}
Start = Callable[..., Portal]


def keys(*versions: str) -> dict[str, str]:
    """Return the setting that has these keys, the first to write."""
    return {"PIN_KEYS": ",".join(KEYS[version] for version in versions)}


def under(portal: Portal, version: str) -> int:
    [(rows,)] = portal.database.rows(
        "SELECT count(*) FROM members_card WHERE sealed_pin LIKE %s", f"{version}:%"
    )
    return int(rows)


def started(start: Start, rows: int) -> tuple[Portal, list[Person]]:
    """Return a portal that reads all keys, and members whose PINs are under the first."""
    portal = start(**keys("v1", "v2", "v3"), **CHEAP)
    people = import_people({**portal.env, **keys("v1")}, portal.folder, rows)
    assert under(portal, "v1") == rows
    return portal, people


def sign_in(
    portal: Portal, people: Iterable[Person], address: str, stop: threading.Event
) -> Counter[int]:
    """Sign one member after the other in until `stop`; return how often each status came."""
    statuses: Counter[int] = Counter()
    for person in people:
        if stop.is_set():
            break
        visitor = portal.visitor(address)
        visitor.get("/login/")
        statuses[visitor.post("/login/", card_number=person.card_number, pin=PIN).status] += 1
        visitor.close()
    return statuses


def test_right_pins_sign_in_all_the_while(start: Start) -> None:
    portal, people = started(start, ROWS)
    stop = threading.Event()
    found: list[Counter[int]] = []

    def visit(i: int) -> None:
        found.append(sign_in(portal, people[i::VISITORS], f"198.51.100.{i + 1}", stop))

    visitors = [threading.Thread(target=visit, args=(i,)) for i in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    try:
        for order in (("v2", "v1", "v3"), ("v3", "v2"), ("v1", "v3")):
            manage({**portal.env, **keys(*order)}, "rotate_pin_keys")
            assert under(portal, order[0]) == ROWS
    finally:
        stop.set()
        for visitor in visitors:
            visitor.join()
    statuses = sum(found, Counter())
    assert set(statuses) == {302}, statuses
    assert statuses[302] > VISITORS * 3


def test_rotation_killed_in_the_middle_is_finished_by_the_next(start: Start) -> None:
    portal, people = started(start, ROWS)
    env = {**portal.env, **keys("v2", "v1")}
    rotation = subprocess.Popen(
        [sys.executable, "manage.py", "rotate_pin_keys"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until("some rows are under the new key", lambda: under(portal, "v2"))
    rotation.send_signal(signal.SIGKILL)
    assert rotation.wait() == -signal.SIGKILL
    done = under(portal, "v2")
    assert 0 < done < ROWS
    assert under(portal, "v1") == ROWS - done

    manage(env, "rotate_pin_keys")
    assert under(portal, "v2") == ROWS
    for person in (people[0], people[ROWS // 2], people[-1]):
        visitor = portal.visitor()
        visitor.get("/login/")
        assert visitor.post("/login/", card_number=person.card_number, pin=PIN).status == 302
        visitor.close()
