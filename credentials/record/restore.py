"""After a backup was restored: end what was open, and put back what the record's copy still has.

A backup brings yesterday back: sessions that have ended since, PINs that were stopped, suspensions
that were not in force yet. So, before the portal is opened, everything that was open ends; the
events that the backup lacks are put back from the copy, with their places in the chain, which goes
on unbroken; the feed brings in who came since, on record after those; and what of the events
protects is applied again. May be done again at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.dateparse import parse_datetime

from credentials import audit, feed_changes
from credentials.models import (
    Event,
    HandOffCode,
    IdentityCheck,
    OutboxMail,
    PinReset,
    RegistrationRequest,
    Seal,
    Session,
)
from credentials.record import chain, sealing
from credentials.record import copy as record_copy
from credentials.record.copy import Line
from credentials.record.since import Applied, Since, stride
from credentials.refusals import Refusal, Why
from credentials.registration import MAIL_KIND
from credentials.verification import OPEN_FOR
from members.feed import Counts, import_feed
from members.models import User

PAGE = 1000


@dataclass
class Restored:
    """What was done, counted, and what people must see to, with whom it is about."""

    ended: dict[str, int]
    events: int = 0
    seals: int = 0
    fed: Counts | None = None
    applied: dict[str, int] = field(default_factory=dict)
    for_people: dict[str, list[str]] = field(default_factory=dict)


def after_restore(
    *,
    copy: Path | None,
    feed: Path | None = None,
    progress: Callable[[Counts], None] = lambda counts: None,
) -> Restored | Refusal:
    """End all that was open; with the record's copy, put back and apply what happened since.

    `feed`: brought in between the two, for the events put back have numbers that its own must not
    take, and who came in since must be there to be suspended; `progress` hears how far it is.

    All of it or nothing. Refused where the copy is not this record's, does not hold together, or
    where new events have taken the numbers of old ones. OSError where it cannot be read;
    FeedRefused and FeedStopped as from the feed.
    """
    device_stride, since = stride(), Since()
    with transaction.atomic():
        everybody = device_stride if copy is None else 0
        restored = Restored(ended=_end_what_was_open(device_stride=everybody))
        if copy:
            since, refusal = _put_back(copy, restored)
            if refusal:
                transaction.set_rollback(True)
                return refusal
        if feed:
            restored.fed = _bring_in(feed, device_stride, progress)
        if copy:
            applied = Applied(device_stride=device_stride, fed=feed is not None)
            applied.all_of(since)
            restored.applied = {name: number for name, number in applied.counts.items() if number}
            restored.for_people = dict(applied.for_people)
        audit.record(
            Event.Act.BACKUP_RESTORED,
            by=audit.SYSTEM,
            with_copy=copy is not None,
            events=restored.events,
            members_created=restored.fed.created if restored.fed else 0,
            ended=restored.ended,
            applied=restored.applied,
            for_people=sum(map(len, restored.for_people.values())),
        )
    return restored


def _end_what_was_open(*, device_stride: int) -> dict[str, int]:
    """`device_stride`: not 0 where nobody knows whose devices are trusted no more; nobody's are."""
    sessions = Session.objects.count()
    Session.objects.all().delete()
    # A mail with a code makes a new one when it is sent, for a browser whose session is gone.
    OutboxMail.objects.filter(kind=MAIL_KIND, closed_at__isnull=True).update(
        closed_at=Now(), outcome="restored"
    )
    User.objects.update(epoch=F("epoch") + 1, device_epoch=F("device_epoch") + device_stride)
    return {
        "sessions": sessions,
        "codes": RegistrationRequest.objects.filter(used_at__isnull=True).update(
            used_at=Now(), code_digest="", confirmed_at=None
        ),
        "tickets": PinReset.objects.filter(ended_at__isnull=True).update(ended_at=Now()),
        "hand_off_codes": HandOffCode.objects.filter(used_at__isnull=True).update(used_at=Now()),
        "verifications": IdentityCheck.objects.filter(
            passed=True, ended_at__isnull=True, at__gt=Now() - OPEN_FOR
        ).update(ended_at=Now()),
    }


def _bring_in(feed: Path, device_stride: int, progress: Callable[[Counts], None]) -> Counts:
    newest = User.objects.order_by("pk").last()
    counts = import_feed(feed, progress=progress, tell=feed_changes.tell)
    # Who has come in now may have the key of somebody else, who came in after the backup.
    new = User.objects.filter(pk__gt=newest.pk) if newest else User.objects.all()
    new.update(device_epoch=F("device_epoch") + device_stride)
    return counts


# --- The record ------------------------------------------------------------------------------


def _put_back(copy: Path, restored: Restored) -> tuple[Since, Refusal | None]:
    """Append the events and seals that the database lacks; return what happened in them."""
    newest, since = sealing.newest_seal(), Since()
    before, position = (newest.digest, newest.position) if newest else (chain.BEGINNING, 0)
    if refusal := _of_another_record(copy, newest):
        return since, refusal
    for page in _pages(record_copy.lines(copy, since=position + 1)):
        there = Event.objects.in_bulk([line.event["id"] for line in page])
        missing = []
        for line in page:
            position += 1
            before = chain.digest(before, position, line.event)
            if (line.position, line.digest) != (position, before):
                return since, _refusal(f"does not hold together at position {position}")
            event = there.get(line.event["id"])
            if event is None:
                missing.append(_event(line))
            elif chain.plain(event) != line.event:
                return since, _refusal(
                    f"and the database have different events {event.pk}: the portal was opened, "
                    "or a feed imported, before this command ran. Restore the backup again, and "
                    "run it first"
                )
        audit.put_back(missing)
        Seal.objects.bulk_create(
            Seal(position=line.position, event_id=line.event["id"], digest=line.digest)
            for line in page
        )
        for event in missing:
            since.see(event)
        restored.events += len(missing)
        restored.seals += len(page)
    return since, None


def _of_another_record(copy: Path, newest: Seal | None) -> Refusal | None:
    """Refuse a copy that is empty, or has another seal where both have one for the last time."""
    with copy.open("rb", buffering=0) as file:
        end = record_copy.last(file)
    if end is None:
        return _refusal("holds nothing")
    if newest is None:
        return None
    if end.position > newest.position:
        end = next(record_copy.lines(copy, since=newest.position))
    if not Seal.objects.filter(position=end.position, digest=end.digest).exists():
        return _refusal(f"is of another record than the database, at position {end.position}")
    return None


def _refusal(what: str) -> Refusal:
    return Refusal(Why.REFUSED, reason=f"The copy {what}.")


def _pages(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while page := list(islice(lines, PAGE)):
        yield page


def _event(line: Line) -> Event:
    """Return the event that a line of the copy holds."""
    columns = dict(line.event)
    return Event(**{**columns, "at": parse_datetime(columns["at"])})
