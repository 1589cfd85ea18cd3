"""Checking the record: walk the chain from its beginning, and name the first row that is broken.

By itself the chain shows an event that was changed, deleted or moved. Whoever makes all later
seals anew, or cuts the chain off at its end, is shown only by the copy elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from credentials.models import Event, Seal
from credentials.record import chain
from credentials.record import copy as record_copy
from credentials.record.copy import Line
from credentials.record.sealing import newest_seal

PAGE = 1000
# An event that the database cannot give back.
_UNREADABLE: dict[str, Any] = {"unreadable": True}


@dataclass(frozen=True)
class Broken:
    """The first row that does not fit: its place, its event where one is known, what is wrong."""

    position: int
    event_id: int | None
    what: str

    def __str__(self) -> str:
        event = f", event {self.event_id}" if self.event_id is not None else ""
        return f"position {self.position}{event}: {self.what}"


@dataclass(frozen=True)
class Walked:
    """How far the chain was found whole."""

    position: int
    of: int
    copied: int


@dataclass(frozen=True)
class _Row:
    """A seal with its event, None where that is gone."""

    seal: Seal
    event: dict[str, Any] | None

    def fits(self, before: str, event: dict[str, Any] | None = None) -> bool:
        event = event or self.event
        return (
            event is not None
            and chain.digest(before, self.seal.position, event) == self.seal.digest
        )


def check(*, since: int = 1, copy: Path | None = None) -> Iterator[Walked | Broken]:
    """Walk the chain from position `since`, whose predecessor's seal is taken as it stands.

    Yields how far it came, page by page; last of all Broken, if something is, and then ends.
    Memory does not grow with the record. OSError where the copy cannot be read.
    """
    newest = newest_seal()
    end = newest.position if newest else 0
    before = chain.BEGINNING
    if since > 1:
        seal = Seal.objects.filter(position=since - 1).first()
        if seal is None:
            yield Broken(since - 1, None, "there is no such seal")
            return
        before = seal.digest
    kept = record_copy.lines(copy, since=since) if copy else iter(())
    line = next(kept, None)
    position, copied = since - 1, 0
    for page in _pages(position):
        for number, row in enumerate(page):
            position += 1
            theirs = line if line and line.position == position else None
            if broken := _judge(row, position, before, page[number + 1 :], theirs):
                yield broken
                return
            if line and line.position > position:
                yield Broken(position, row.seal.event_id, "the copy has no line for it")
                return
            before = row.seal.digest
            if theirs:
                copied, line = position, next(kept, None)
        yield Walked(position, max(end, position), copied)
    if line:
        yield _cut_off(position, line, kept)


def _judge(
    row: _Row, position: int, before: str, after: list[_Row], theirs: Line | None
) -> Broken | None:
    """Return what is wrong with the row that should stand at `position`, None where nothing is."""
    seal, event = row.seal, row.event
    if seal.position != position:
        event_id = theirs.event.get("id") if theirs else None
        return Broken(position, event_id, f"no seal: the next one is at {seal.position}")
    if event is None:
        return Broken(position, seal.event_id, "missing: it was sealed, and is gone")
    fits = row.fits(before)
    if theirs:
        if event != theirs.event:
            return Broken(position, seal.event_id, _differs(event, theirs.event))
        if seal.digest != theirs.digest:
            return Broken(position, seal.event_id, "its seal was changed: the copy has another")
        if not fits:
            return Broken(position, seal.event_id, "it does not fit its seal, nor in the copy")
    if fits:
        return None
    moved = next((o.seal.event_id for o in after if o.event and row.fits(before, o.event)), None)
    if moved is not None:
        return Broken(position, seal.event_id, f"order changed: event {moved} was sealed here")
    if after and after[0].fits(seal.digest):
        return Broken(position, seal.event_id, "the event was changed after it was sealed")
    if after and after[0].fits(chain.digest(before, position, event)):
        return Broken(position, seal.event_id, "its seal was changed")
    return Broken(position, seal.event_id, "the event, its seal, or the order was changed")


def _differs(event: dict[str, Any], theirs: dict[str, Any]) -> str:
    if event.get("id") != theirs.get("id"):
        return f"order changed: the copy has event {theirs.get('id')} here"
    columns = sorted(name for name in theirs if event.get(name) != theirs[name])
    return f"the event was changed: the copy has another {', '.join(columns)}"


def _cut_off(position: int, line: Line, more: Iterator[Line]) -> Broken:
    end = line.position
    for later in more:
        end = later.position
    return Broken(
        line.position,
        line.event.get("id"),
        f"cut off: the database ends at {position}, the copy goes on to {end}",
    )


def _pages(position: int) -> Iterator[list[_Row]]:
    """Yield the rows after `position`, in order, so many at a time."""
    while seals := list(Seal.objects.filter(position__gt=position).order_by("position")[:PAGE]):
        events = _events([seal.event_id for seal in seals])
        yield [_Row(seal, events.get(seal.event_id)) for seal in seals]
        position = seals[-1].position


def _events(numbers: list[int]) -> dict[int, dict[str, Any]]:
    try:
        return {pk: chain.plain(event) for pk, event in Event.objects.in_bulk(numbers).items()}
    except (ValueError, TypeError, AttributeError):
        # SQLite holds what it is given: a time that is none, for one.
        if len(numbers) == 1:
            return {numbers[0]: _UNREADABLE}
        half = len(numbers) // 2
        return _events(numbers[:half]) | _events(numbers[half:])
