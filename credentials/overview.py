"""What supervisors look at: how many of what happened, by hour and by day, and the outbox's age.

Plain numbers; how they are drawn is the business of `credentials.charts`. All pictures of one
span come from one statement, and the sources from a second one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, DurationField, ExpressionWrapper, Min
from django.db.models.functions import Now, TruncDay, TruncHour
from django.utils.functional import Promise
from django.utils.timezone import get_current_timezone, localtime, make_aware
from django.utils.translation import gettext_lazy as _
from limits.errors import StorageError

from credentials import alarm, mail
from credentials.models import Event

HOURS = 48
DAYS = 60


@dataclass(frozen=True)
class Figure:
    """One picture: how many for each moment of an unbroken row of hours or days."""

    name: str
    title: str | Promise
    by_hour: bool
    # The hour or day begins here; local time.
    moments: list[datetime]
    counts: list[int]

    @property
    def total(self) -> int:
        """All of them together; of distinct sources, the sum over the moments."""
        return sum(self.counts)

    @property
    def most(self) -> int:
        """The highest of the counts."""
        return max(self.counts, default=0)


@dataclass(frozen=True)
class Subject:
    """What one picture counts: the acts, and where a detail must fit, which."""

    name: str
    title: str | Promise
    acts: tuple[str, ...]


SOURCES = "sources"
SUBJECTS = (
    Subject("sign-ins", _("Successful sign-ins"), (Event.Act.SIGNED_IN,)),
    Subject("failures", _("Failures to sign in"), (Event.Act.SIGN_IN_FAILED,)),
    Subject("suspensions", _("Suspensions"), (Event.Act.SUSPENDED,)),
    Subject("registrations", _("Web-IDs registered"), (Event.Act.WEB_ID_REGISTERED,)),
    Subject("verified", _("Identities verified"), (Event.Act.IDENTITY_VERIFIED,)),
    Subject("pin-resets", _("PIN re-sets started"), (Event.Act.PIN_RESET_STARTED,)),
)
_SOURCES_TITLE = _("Distinct sources that failed to sign in")


@dataclass(frozen=True)
class OutboxAge:
    """How many mails wait, and since when the oldest of them does, by the database's clock."""

    waiting: int
    oldest: timedelta


def outbox_age() -> OutboxAge:
    """Return the state of the outbox."""
    age = ExpressionWrapper(Now() - Min("queued_at"), DurationField())
    found = mail.waiting().aggregate(waiting=Count("pk"), oldest=age)
    return OutboxAge(found["waiting"], found["oldest"] or timedelta())


@dataclass(frozen=True)
class Alarm:
    """How the way in stands: whether, since when and for how long the alarm is raised."""

    seconds: int = 0
    since: datetime | None = None
    # Whether nobody can know: then strangers' devices are turned away, too.
    counters_lost: bool = False


def alarm_state() -> Alarm:
    """Return the state of the site-wide alarm."""
    try:
        seconds = alarm.raised_for()
    except StorageError:
        return Alarm(counters_lost=True)
    if not seconds:
        return Alarm()
    raised = Event.objects.filter(act=Event.Act.ALARM_RAISED).order_by("-at", "-pk").first()
    return Alarm(seconds, raised.at if raised else None)


def _now() -> datetime:
    """Return the database's clock, which the events bear, as local time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_TIMESTAMP")
        [now] = cursor.fetchone()
    if isinstance(now, str):
        # SQLite says it as text, in UTC.
        now = datetime.fromisoformat(now).replace(tzinfo=UTC)
    return localtime(now)


def by_hour() -> list[Figure]:
    """Return all pictures of the last HOURS hours, the one that runs included."""
    this = _now().replace(minute=0, second=0, microsecond=0)
    moments = [this - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    return list(_figures(moments, TruncHour("at"), by_hour=True))


def by_day() -> list[Figure]:
    """Return all pictures of the last DAYS days, today included."""
    today = _now().date()
    midnight = datetime.min.time()
    moments = [
        make_aware(datetime.combine(today - timedelta(days=back), midnight))
        for back in range(DAYS - 1, -1, -1)
    ]
    return list(_figures(moments, TruncDay("at"), by_hour=False))


def _figures(moments: list[datetime], truncated: Any, *, by_hour: bool) -> Iterator[Figure]:
    acts = [act for subject in SUBJECTS for act in subject.acts]
    events = Event.objects.filter(at__gte=moments[0]).order_by()
    counted: dict[tuple[str, datetime], int] = {}
    rows = events.filter(act__in=acts).annotate(moment=truncated).values_list("act", "moment")
    for act, moment, count in rows.annotate(count=Count("pk")):
        counted[act, _local(moment)] = count
    failed = events.filter(act=Event.Act.SIGN_IN_FAILED).annotate(moment=truncated)
    sources = {
        _local(moment): count
        for moment, count in failed.values_list("moment").annotate(
            count=Count("source", distinct=True)
        )
    }
    for subject in SUBJECTS:
        counts = [sum(counted.get((act, m), 0) for act in subject.acts) for m in moments]
        yield Figure(subject.name, subject.title, by_hour, moments, counts)
    yield Figure(SOURCES, _SOURCES_TITLE, by_hour, moments, [sources.get(m, 0) for m in moments])


def _local(moment: datetime) -> datetime:
    return moment.astimezone(get_current_timezone())
