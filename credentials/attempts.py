"""Counting failures: an attempt is counted before it is judged.

To look at the count, judge, and then count lets parallel guesses through: fifty of them read the
same count. So one committed statement counts the attempt, and only an attempt that it counted
may be judged at all; a crash in between leaves it counted. Members have one count for all their
ways in, staff have one of their own.

    reserve → (verify the secret, with nothing held) → settle_success or settle_failure
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Case, DateTimeField, F, PositiveIntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Concat, Greatest, Now

from members.models import User, Way

# Nothing takes this long to judge: an attempt at the limit that is older was left by a crash.
ABANDONED_AFTER = timedelta(minutes=1)

_NOW = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}
_ACCOUNT = {
    Way.CARD: "member_id = (SELECT member_id FROM members_card WHERE number = %s)",
    Way.WEB_ID: "member_id = (SELECT member_id FROM members_webid WHERE LOWER(name) = LOWER(%s))",
    Way.STAFF: "username = %s AND is_staff",
    Way.ATM: "member_id = (SELECT member_id FROM members_card WHERE number = %s)",
}
_PIN = "(SELECT sealed_pin FROM members_card WHERE member_id = members_user.member_id)"
_NUMBER = "(SELECT number FROM members_member WHERE id = members_user.member_id)"
_RESERVE = """
    UPDATE members_user SET attempts = attempts + 1, last_attempt_at = {now}
    WHERE {account} AND is_active AND attempts - attempts_cleared < %s
      AND (suspended_at IS NULL OR suspended_until <= {now})
    RETURNING id, COALESCE({number}, 'staff:' || username), epoch, attempts,
              attempts - attempts_cleared, password, COALESCE({pin}, ''),
              member_id, device_epoch, sign_in_way <> ''
"""
# Where no account counts the attempt, a decoy does: to write and to wait for the disk takes time,
# and that time would tell who is a member. Many of them, so that nobody waits for another.
_DECOYS = 64
_COUNT_ON_DECOY = """
    INSERT INTO credentials_decoy (id, attempts) {values}
    ON CONFLICT (id) DO UPDATE SET attempts = credentials_decoy.attempts + 1
"""
# In one statement, so that both take one way to the database and back.
_COUNT_ON_ONE = "WITH counted AS ({reserve}), decoy AS ({decoy}) SELECT * FROM counted"
_UNLESS_COUNTED = "SELECT %s, 1 WHERE NOT EXISTS (SELECT FROM counted)"


@dataclass(frozen=True)
class Attempt:
    """An attempt that was counted and may be judged."""

    user_id: int
    whom: str
    epoch: int
    number: int
    failures: int
    password: str
    sealed_pin: str
    # None: staff.
    member_id: int | None
    device_epoch: int
    # By the way it was noted with: SQLite 3.40 says IS NOT NULL of a NULL in RETURNING.
    signed_in_before: bool


def reserve(way: Way, name: str) -> Attempt | None:
    """Count an attempt on the account that `name` names for `way`, in one committed statement.

    None, after as long, where it must not be judged: no such account, closed, suspended, or as
    many failures as the limit allows are counted already.
    """
    now = _NOW[connection.vendor]
    reserve = _RESERVE.format(now=now, account=_ACCOUNT[way], number=_NUMBER, pin=_PIN)
    limit, decoy = settings.LOGIN_FAILURE_LIMIT, secrets.randbelow(_DECOYS)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            unless_counted = _COUNT_ON_DECOY.format(values=_UNLESS_COUNTED)
            sql = _COUNT_ON_ONE.format(reserve=reserve, decoy=unless_counted)
            cursor.execute(sql, [name, limit, decoy])
            row = cursor.fetchone()
        else:
            cursor.execute(reserve, [name, limit])
            row = cursor.fetchone()
            if row is None:
                cursor.execute(_COUNT_ON_DECOY.format(values="VALUES (%s, 1)"), [decoy])
    return Attempt(*row) if row else None


def accounts(way: Way, name: str) -> QuerySet[User]:
    """Return the at most one account that `name` names for `way`."""
    match way:
        case Way.CARD | Way.ATM:
            return User.objects.filter(member__card__number=name)
        case Way.WEB_ID:
            return User.objects.filter(member__web_id__name__lower=name.lower())
        case Way.STAFF:
            return User.objects.filter(username=name, is_staff=True)


def whom(way: Way, name: str) -> str:
    """Return how the record names this account; empty where there is none.

    Nothing but the name is read: to load a member takes time, by which members could be told.
    """
    named = Coalesce("member__number", Concat(Value("staff:"), "username"))
    return accounts(way, name).values_list(named, flat=True).first() or ""


def not_suspended() -> Q:
    """Return the condition that no suspension is in force, by the database's clock."""
    return Q(suspended_at__isnull=True) | Q(suspended_until__lte=Now())


def settle_success(attempt: Attempt, **noted: Any) -> bool:
    """Clear the attempts up to this one, and note what is `noted`. In the caller's transaction.

    False where the account was suspended or closed, or a secret of it changed, since the attempt
    was reserved: then nothing is noted and nothing may open.
    """
    account = User.objects.filter(not_suspended(), is_active=True)
    return bool(
        account.filter(pk=attempt.user_id, epoch=attempt.epoch).update(
            attempts_cleared=Greatest(F("attempts_cleared"), Value(attempt.number)),
            suspensions=0,
            suspended_at=None,
            suspended_until=None,
            **noted,
        )
    )


def hand_back(attempt: Attempt) -> bool:
    """Take this one attempt out of the count, and no other. In the caller's transaction.

    For a secret that was right but is no sign-in by itself: it is no failure, and it clears none.
    False where the account was suspended or closed, or a secret of it changed, in the meantime.
    """
    account = User.objects.filter(not_suspended(), is_active=True)
    return bool(
        account.filter(pk=attempt.user_id, epoch=attempt.epoch).update(
            attempts_cleared=Case(
                # Where something later has cleared this one already, there is nothing to take.
                When(attempts_cleared__lt=attempt.number, then=F("attempts_cleared") + 1),
                default=F("attempts_cleared"),
                output_field=PositiveIntegerField(),
            )
        )
    )


def sign_in_noted(*, way: Way, language: str) -> dict[str, Any]:
    """Return what a sign-in notes on the user, for the top page to show."""
    return {
        "previous_sign_in_at": F("sign_in_at"),
        "previous_sign_in_way": F("sign_in_way"),
        "sign_in_at": Now(),
        "sign_in_way": way,
        "language": language,
    }


def settle_failure(attempt: Attempt | None, *, way: Way, name: str) -> bool:
    """Suspend the account where this failure was the last one allowed. In the caller's transaction.

    Whether this call suspended it. The same statement runs for every failure, also
    where there is no such account. An attempt at the limit that a crash left unsettled is settled
    here by the next one that comes.
    """
    limit = settings.LOGIN_FAILURE_LIMIT
    due = Q(last_attempt_at__lt=Now() - ABANDONED_AFTER)
    if attempt:
        due |= Q(attempts_cleared__lte=attempt.number - limit)
    at_limit = Q(attempts__gte=F("attempts_cleared") + limit)
    account = accounts(way, name).filter(not_suspended(), at_limit, due, is_active=True)
    return bool(account.update(**suspension()))


def suspension() -> dict[str, Any]:
    """Return the changes that suspend a user: how long depends on how many went before.

    All attempts so far are settled by it, and the epoch ends the open sessions.
    """
    until_in_person = Q(suspensions__gte=settings.SUSPENSIONS_UNTIL_IN_PERSON - 1)
    return {
        "attempts_cleared": F("attempts"),
        "epoch": F("epoch") + 1,
        "suspensions": F("suspensions") + 1,
        "suspended_at": Now(),
        "suspended_until": Case(
            When(until_in_person, then=Value(None)),
            default=Now() + timedelta(seconds=settings.SUSPENSION_SECONDS),
            output_field=DateTimeField(),
        ),
    }
