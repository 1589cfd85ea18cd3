"""The record: every act writes one line, in the transaction of the act itself.

Only `record` writes here, and nothing in the application changes or deletes a line. After a backup
was restored, `put_back` writes the lines that the backup lacks as they once were.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.core.management.color import no_style
from django.db import connection

from credentials.models import Event
from members.models import Member, User

VISITOR = "visitor"
MEMBER = "member"
SYSTEM = "system"
CARD_HOST = "card host"


def staff(user: User) -> str:
    """How the record names a member of staff."""
    return f"staff:{user.username}"


def name_of(subject: Member | User | None) -> str:
    """How the record names whom an act was about: a member number, or a member of staff."""
    if subject is None:
        return ""
    if isinstance(subject, Member):
        return subject.number
    if subject.member is not None:
        return subject.member.number
    return staff(subject)


def record(act: Event.Act, *, by: str, whom: str = "", source: str = "", **details: object) -> None:
    """Write one event.

    `by`: VISITOR, MEMBER, SYSTEM or `staff(user)`. `whom`: `name_of(...)`, empty where nobody is
    known. `source`: the client's address. `details`: how; plain values, never a secret.
    """
    Event.objects.create(act=act, by=by, whom=whom, source=source, details=details)


def put_back(events: Iterable[Event]) -> None:
    """Write events under their own numbers, and let new numbers begin after them."""
    Event.objects.bulk_create(events)
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Event]):
            cursor.execute(statement)
