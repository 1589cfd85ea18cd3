"""The record as CSV, for a breach report: what happened, and whose data somebody saw.

An export is itself on record before its first line leaves. It holds what the record holds: member
numbers and no names, for the record outlives what it speaks of.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import StringIO

from django.db.models import Q
from django.utils.timezone import localtime

from credentials import audit
from credentials.models import Event
from members.models import User
from members.numbers import MEMBER_NUMBER_LENGTH, is_digits
from members.spreadsheets import neutral

# Excel takes a file for UTF-8 only by this.
BOM = "\ufeff"
EVENT_COLUMNS = ("id", "at", "act", "by", "whom", "source", "details")
PEOPLE_COLUMNS = ("member_number", "first_seen_at", "last_seen_at", "times", "acts")
# On record about a member without showing anything of them.
_NOTHING_SEEN = (Event.Act.ACCESS_REFUSED, Event.Act.RECORD_EXPORTED)


@dataclass(frozen=True)
class Asked:
    """A part of the record: whom, by which staff, which act, from `since` to before `until`."""

    member: str = ""
    staff: str = ""
    act: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> Q:
        """Return it as a condition on events, each part of which begins an index."""
        wanted = Q()
        if self.member:
            wanted &= Q(whom=self.member)
        if self.staff:
            wanted &= Q(by=f"staff:{self.staff}")
        if self.act:
            wanted &= Q(act=self.act)
        if self.since:
            wanted &= Q(at__gte=self.since)
        if self.until:
            wanted &= Q(at__lt=self.until)
        return wanted

    def as_recorded(self) -> dict[str, str]:
        """Return what was asked in plain words, without what was left empty."""
        parts = {
            "staff": self.staff,
            "only": self.act,
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
        }
        return {name: value for name, value in parts.items() if value}


def export_events(asked: Asked, *, by: User, source: str = "") -> Iterator[str]:
    """Put the export on record, and return the lines of a CSV of these events, oldest first.

    By member it has the searches, too, that showed the member among others.
    """
    _record(asked, "events", by, source)
    return _csv(EVENT_COLUMNS, _event_rows(asked))


def export_people(asked: Asked, *, by: User, source: str = "") -> Iterator[str]:
    """Put the export on record, and return the lines of a CSV of everyone whose data was seen.

    One line a member: how often and between which times `asked.staff` saw anything of them, on
    their page, in a list of found members or in any act on them.
    """
    _record(asked, "people", by, source)
    return _csv(PEOPLE_COLUMNS, _people_rows(asked))


def _record(asked: Asked, what: str, by: User, source: str) -> None:
    audit.record(
        Event.Act.RECORD_EXPORTED,
        by=audit.staff(by),
        whom=asked.member,
        source=source,
        what=what,
        **asked.as_recorded(),
    )


def _csv(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield the lines one by one, so that nothing grows with how many there are."""
    line = StringIO()
    writer = csv.writer(line)
    yield BOM
    writer.writerow(columns)
    for row in rows:
        yield line.getvalue()
        line.seek(0)
        line.truncate()
        writer.writerow([neutral(cell) for cell in row])
    yield line.getvalue()


def _event_rows(asked: Asked) -> Iterator[tuple[object, ...]]:
    events = Event.objects.filter(asked.condition())
    if asked.member:
        searches = Asked("", asked.staff, asked.act, asked.since, asked.until).condition()
        events = Event.objects.filter(
            asked.condition() | (searches & Q(act=Event.Act.MEMBERS_SEARCHED))
        )
    for event in events.order_by("at", "pk").iterator(chunk_size=1000):
        if asked.member and event.whom != asked.member and asked.member not in shown_in(event):
            continue
        details = json.dumps(event.details, ensure_ascii=False, sort_keys=True)
        yield event.pk, _time(event.at), event.act, event.by, event.whom, event.source, details


def _people_rows(asked: Asked) -> Iterator[tuple[object, ...]]:
    everyone: dict[str, tuple[datetime, datetime, int, set[str]]] = {}
    events = Event.objects.filter(asked.condition()).exclude(act__in=_NOTHING_SEEN)
    for event in events.order_by("at", "pk").iterator(chunk_size=1000):
        for number in shown_in(event):
            first, _last, times, acts = everyone.get(number, (event.at, event.at, 0, set()))
            everyone[number] = (first, event.at, times + 1, acts | {event.act})
    for number, (first, last, times, acts) in sorted(everyone.items()):
        yield number, _time(first), _time(last), times, " ".join(sorted(acts))


def shown_in(event: Event) -> list[str]:
    """Return the member numbers of those of whom this event showed something to who acted."""
    if event.act == Event.Act.MEMBERS_SEARCHED:
        # Whom a search asked for is `whom`, found or not; whom it showed is here.
        shown: list[str] = event.details.get("shown", [])
        return shown
    return [event.whom] if is_digits(event.whom, MEMBER_NUMBER_LENGTH) else []


def _time(moment: datetime) -> str:
    """A moment in the installation's time zone, with its offset: nobody need guess which it is."""
    return localtime(moment).isoformat(sep=" ", timespec="seconds")
