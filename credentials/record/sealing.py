"""Sealing: the worker gives each event its place in the chain, and the copy elsewhere its line.

Nobody who signs in waits for it. Events commit in another order than that of their numbers, so
the chain's order is that in which they are sealed, and it is sealed whatever has no seal yet. One
sealer works at a time; others wait for their turn.

A line goes into the copy after its seal has committed. A crash in between leaves the copy behind,
never ahead: the next turn appends what it lacks. The other way round the copy could hold seals
that never came to be. So a copy that is ahead, or says something else, means that the database was
restored or changed: then nothing is sealed any more, for the chain would fork. One that is not
there, or empty, was lost or is not mounted: it is begun anew only by who says so (`begin_copy`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from io import FileIO
from pathlib import Path

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Least, Now

from credentials.models import Event, Seal
from credentials.record import chain
from credentials.record import copy as record_copy
from credentials.record.copy import Line

BATCH = 1000
# How far back a frequent pass looks: no act's transaction is open for so long. And the first one,
# for what came under a clock that was wrong; verify_audit looks at everything, each night.
LOOK_BACK = timedelta(minutes=5)
LOOK_FAR_BACK = timedelta(days=1)
# Of PostgreSQL's advisory locks, ours: the letters "seal".
_LOCK = 0x7365616C


class OutOfStep(Exception):
    """The copy elsewhere and the database do not go together; the message says how."""


def passes(*, everything: bool = False) -> Iterator[int]:
    """Seal a batch at each turn, without end; yield how many it sealed.

    The first pass takes what came since a day before the newest seal, or `everything` that has no
    seal yet; later ones what came lately. Raises OutOfStep, OSError where the copy is out of
    reach, and the database's errors; a new iterator begins again.
    """
    since = None if everything else _reached(LOOK_FAR_BACK)
    while True:
        sealed = _seal(since)
        yield len(sealed)
        if len(sealed) == BATCH:
            # SQLite compares times as text, where a clock with milliseconds comes before its like.
            since = sealed[-1].at - timedelta(milliseconds=1)
        else:
            since = _reached(LOOK_BACK)


def seal_all() -> Iterator[int]:
    """Seal everything that waits, a batch at each turn; yield how many it sealed."""
    for number in passes(everything=True):
        yield number
        if number < BATCH:
            return


def waiting(since: datetime | None = None) -> QuerySet[Event]:
    """Return the events that have no seal yet, oldest first."""
    events = Event.objects.filter(~Exists(Seal.objects.filter(event_id=OuterRef("pk"))))
    if since is not None:
        events = events.filter(at__gte=since)
    return events.order_by("at", "pk")


def newest_seal() -> Seal | None:
    """Return the last seal of the chain."""
    return Seal.objects.order_by("position").last()


def begin_copy(path: Path) -> int:
    """Begin a new copy at `path` with all that is sealed; return how many seals that were.

    Raises OutOfStep where a copy is there already, and OSError where none can be.
    """
    with record_copy.opened(path, new=True) as file:
        if record_copy.is_begun(file):
            raise OutOfStep("there is a copy already: move it into the archive first")
        record_copy.begin(file)
        _bring_up_to_date(file)
        line = record_copy.last(file)
    return line.position if line else 0


def _reached(back: timedelta) -> datetime | None:
    """Return the moment `back` before the newest seal; before now, where the clock went back."""
    reached = Seal.objects.order_by("position").values_list(Least("sealed_at", Now()), flat=True)
    newest = reached.last()
    return newest - back if newest else None


def _seal(since: datetime | None) -> list[Event]:
    path = record_copy.kept_at()
    if path is None:
        return _seal_batch(since)
    first = newest_seal() is None
    if not first and not path.exists():
        raise _lost()
    with record_copy.opened(path, new=first) as file:
        if not record_copy.is_begun(file):
            if newest_seal():
                raise _lost()
            record_copy.begin(file)
        _require_in_step(file)
        sealed = _seal_batch(since)
        _bring_up_to_date(file)
    return sealed


def _seal_batch(since: datetime | None) -> list[Event]:
    """Seal the oldest that wait, in one transaction, and return them."""
    if not waiting(since).exists():
        return []
    with transaction.atomic():
        _wait_for_turn()
        newest = newest_seal()
        before, position = (newest.digest, newest.position) if newest else (chain.BEGINNING, 0)
        batch = list(waiting(since)[:BATCH])
        seals = []
        for event in batch:
            position += 1
            before = chain.digest(before, position, chain.plain(event))
            seals.append(Seal(position=position, event_id=event.pk, digest=before))
        Seal.objects.bulk_create(seals)
    return batch


def _wait_for_turn() -> None:
    """Be the only sealer until the end of the transaction; on SQLite only one writes anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _require_in_step(file: FileIO) -> None:
    """Raise OutOfStep where the copy does not end in a seal of this database."""
    line = record_copy.last(file)
    if line is None:
        return
    seal = Seal.objects.filter(position=line.position).first()
    if seal is None:
        newest = newest_seal()
        raise OutOfStep(
            f"the record's copy goes on to position {line.position}, the database ends at "
            f"{newest.position if newest else 0}: nothing is sealed. "
            "After a backup was restored run manage.py after_restore; otherwise seals were deleted"
        )
    if seal.digest != line.digest:
        raise OutOfStep(
            f"the record and its copy differ at position {line.position}: nothing is sealed. "
            "manage.py verify_audit --copy names the row"
        )


def _lost() -> OutOfStep:
    return OutOfStep(
        "the record's copy is gone or empty, and the database has seals: nothing is sealed. "
        "Is its storage mounted? manage.py new_record_copy begins another"
    )


def _bring_up_to_date(file: FileIO) -> None:
    """Append what the copy lacks."""
    line = record_copy.last(file)
    reached = line.position if line else 0
    while batch := list(Seal.objects.filter(position__gt=reached).order_by("position")[:BATCH]):
        events = Event.objects.in_bulk([seal.event_id for seal in batch])
        if any(seal.event_id not in events for seal in batch):
            raise OutOfStep("a sealed event is gone: manage.py verify_audit names it")
        record_copy.append(
            file,
            (Line(s.position, s.digest, chain.plain(events[s.event_id])) for s in batch),
        )
        reached = batch[-1].position
