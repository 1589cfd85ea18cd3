"""Rotation of keys: what is sealed under an older key is sealed anew under the first of PIN_KEYS.

Nobody is asked for a PIN, and nobody waits: a row is opened and sealed outside any transaction,
and written only if it still says what was opened, so a PIN that is set meanwhile stays. Where to
go on after an interruption is in no file: it is the rows that are not under the first key yet.

    read a batch by primary key → open and seal each row → write those that did not change
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model, QuerySet
from django.db.models.functions import Left

from credentials import audit, second_factor
from credentials.models import Event, SecondFactor
from members import pins
from members.models import Card

# Rows in a transaction: on SQLite nobody else writes while one lasts, so it is milliseconds.
BATCH_ROWS = 500


@dataclass(frozen=True)
class Kind:
    """A column that holds what is sealed. `swap` takes the new text, the key, the old text."""

    model: type[Model]
    column: str
    reseal: Callable[[Any], str | None]
    swap: str


KINDS = (
    Kind(
        Card,
        "sealed_pin",
        lambda card: pins.reseal(card.sealed_pin, card_number=card.number),
        "UPDATE members_card SET sealed_pin = %s WHERE id = %s AND sealed_pin = %s",
    ),
    Kind(
        SecondFactor,
        "sealed_secret",
        lambda factor: second_factor.reseal(factor.sealed_secret, factor.pk),
        "UPDATE credentials_secondfactor SET sealed_secret = %s"
        " WHERE user_id = %s AND sealed_secret = %s",
    ),
)


@dataclass(frozen=True)
class Counts:
    """How far a rotation is: of the `waiting` rows that it found.

    `overtaken` ones were changed by somebody else between reading and writing, and are theirs;
    `closed` ones do not open: the key is unknown, or they were sealed for something else.
    """

    waiting: int = 0
    resealed: int = 0
    overtaken: int = 0
    closed: int = 0

    @property
    def rows(self) -> int:
        """Rows done."""
        return self.resealed + self.overtaken + self.closed


def rotate(
    *,
    progress: Callable[[Counts], None] = lambda counts: None,
    tell_closed: Callable[[Model], None] = lambda row: None,
) -> Counts:
    """Seal every row anew that is not under the first of PIN_KEYS; return what became of them.

    `progress` is called after every batch, `tell_closed` with every row that does not open. The
    beginning and the end are on record, so that a rotation that was cut short shows.
    """
    counts = Counts(waiting=sum(_waiting(kind).count() for kind in KINDS))
    _record("begun", waiting=counts.waiting)
    for kind, batch in chain.from_iterable(map(_batches, KINDS)):
        counts = _seal_anew(kind, batch, counts, tell_closed)
        progress(counts)
    _record(
        "ended",
        resealed=counts.resealed,
        overtaken=counts.overtaken,
        closed=counts.closed,
    )
    return counts


def rows_under(version: str) -> int:
    """Return how many rows are sealed under this key. Reads both tables: no index knows."""
    prefix = f"{version}:"
    return sum(_sealed(kind, prefix).filter(under=prefix).count() for kind in KINDS)


def _sealed(kind: Kind, prefix: str) -> QuerySet[Any]:
    """Return the rows that hold something; `under` is what stands where `prefix` would."""
    rows: QuerySet[Any] = kind.model._default_manager.exclude(**{kind.column: ""})
    # Not LIKE, in which SQLite takes v1 for V1.
    return rows.alias(under=Left(kind.column, len(prefix)))


def _writes() -> str:
    return next(iter(settings.PIN_KEYS))


def _waiting(kind: Kind) -> QuerySet[Any]:
    prefix = f"{_writes()}:"
    return _sealed(kind, prefix).exclude(under=prefix)


def _batches(kind: Kind) -> Iterator[tuple[Kind, list[Any]]]:
    last = 0
    while batch := list(_waiting(kind).filter(pk__gt=last).order_by("pk")[:BATCH_ROWS]):
        yield kind, batch
        last = batch[-1].pk


def _seal_anew(
    kind: Kind, batch: list[Any], counts: Counts, tell_closed: Callable[[Model], None]
) -> Counts:
    changes = []
    for row in batch:
        sealed = kind.reseal(row)
        if sealed is None:
            tell_closed(row)
        else:
            changes.append((sealed, row.pk, getattr(row, kind.column)))
    resealed = 0
    if changes:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(kind.swap, changes)
            resealed = cursor.rowcount
    return replace(
        counts,
        resealed=counts.resealed + resealed,
        overtaken=counts.overtaken + len(changes) - resealed,
        closed=counts.closed + len(batch) - len(changes),
    )


def _record(step: str, **found: Any) -> None:
    audit.record(Event.Act.KEYS_ROTATED, by=audit.SYSTEM, to=_writes(), step=step, **found)
