"""The member's own sign-ins: what the record says of them, and what the member may do about it.

    history → disown ("this wasn't me") or sign_out_everywhere

Whoever disowns a sign-in says that a secret is in strange hands. So everything stops at once, and
nothing of it passes by itself: the suspension lasts until it is lifted in person, and the secret
that opened that sign-in never opens another one. The ways back: the PIN is re-set in person, which
also lifts the suspension; the Web-ID is registered anew once it is lifted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Now
from django.db.models.lookups import Exact
from django.utils.timezone import localdate

from credentials import audit, browsers, mail, suspension
from credentials.attempts import not_suspended
from credentials.models import Event
from credentials.refusals import REFUSED, Refusal
from credentials.sessions import keep_session, opened_at
from members.models import Card, Member, User, Way

SHOWN_FOR = timedelta(days=90)
SHOWN_AT_MOST = 50
FAILED_AT_MOST = 1000
# The record of a sign-in and its session are written one after the other.
_SAME_MOMENT = timedelta(seconds=5)
_WAYS = (Way.CARD, Way.WEB_ID)


@dataclass(frozen=True)
class SignIn:
    """One sign-in of the member's, as the record has it."""

    pk: int
    at: datetime
    way: str
    device: str
    is_new_device: bool
    is_this: bool = False

    @property
    def label(self) -> str:
        """The way in words."""
        return str(Way(self.way).label) if self.way in Way.values else ""


@dataclass(frozen=True)
class FailedDay:
    """How often signing in failed on one day, by the calendar of Japan."""

    day: date
    times: int


@dataclass(frozen=True)
class History:
    """The latest sign-ins and failures, newest first, and whether there are older ones."""

    sign_ins: list[SignIn]
    failed: list[FailedDay]
    has_older: bool
    has_more_failed: bool


def history(*, member: Member, session: SessionBase) -> History:
    """Return what the record says of the last 90 days; `session`: the one that is looking."""
    shown = Q(at__gt=Now() - SHOWN_FOR)
    signed_in = _recorded(member, Event.Act.SIGNED_IN).filter(shown).order_by("-at")
    failed = _recorded(member, Event.Act.SIGN_IN_FAILED).filter(shown).order_by("-at")
    rows = list(signed_in.values_list("pk", "at", "details")[: SHOWN_AT_MOST + 1])
    this = _this(rows, session)
    moments = list(failed.values_list("at", flat=True)[:FAILED_AT_MOST])
    return History(
        sign_ins=[_sign_in(*row, is_this=row[0] == this) for row in rows[:SHOWN_AT_MOST]],
        failed=[FailedDay(day, len(list(at))) for day, at in groupby(moments, localdate)],
        has_older=len(rows) > SHOWN_AT_MOST,
        has_more_failed=len(moments) == FAILED_AT_MOST,
    )


def find(*, member: Member, pk: int) -> SignIn | None:
    """Return this one of the member's own sign-ins; None where it is not one."""
    found = _recorded(member, Event.Act.SIGNED_IN).filter(pk=pk)
    row = found.values_list("pk", "at", "details").first()
    return _sign_in(*row) if row else None


def _recorded(member: Member, act: Event.Act) -> QuerySet[Event]:
    """Return what is on record of this act about the member.

    The act is compared as an expression, so that no database takes the index of the act, which
    holds everybody's sign-ins, for a better one than that of the member.
    """
    this_act = Exact(Coalesce("act", Value("")), act)
    return Event.objects.filter(this_act, whom=audit.name_of(member))


def _sign_in(pk: int, at: datetime, details: dict[str, Any], *, is_this: bool = False) -> SignIn:
    return SignIn(
        pk=pk,
        at=at,
        way=str(details.get("way", "")),
        device=browsers.in_words(details.get("device")),
        is_new_device=details.get("known") is False,
        is_this=is_this,
    )


def _this(rows: list[tuple[int, datetime, Any]], session: SessionBase) -> int | None:
    """Return which of the sign-ins opened this session: the one of the same moment."""
    opened = opened_at(session)
    if opened is None:
        return None
    apart = {abs(at - opened): pk for pk, at, _details in rows}
    nearest = min(apart, default=None)
    return apart[nearest] if nearest is not None and nearest < _SAME_MOMENT else None


def secrets_of(sign_in: SignIn | None, *, user: User) -> tuple[Way, ...]:
    """Return the ways whose secret stops when this sign-in is disowned.

    The one that was used; both where the member does not say which sign-in, or the record does
    not say which way. Only those that the member has.
    """
    member = user.member
    card = getattr(member, "card", None)
    has = {
        Way.CARD: card is not None and card.has_pin,
        Way.WEB_ID: hasattr(member, "web_id") and user.has_usable_password(),
    }
    used = [Way(sign_in.way)] if sign_in and sign_in.way in _WAYS else _WAYS
    return tuple(way for way in used if has[way])


def disown(
    *, user: User, sign_in: SignIn | None, session: SessionBase, source: str
) -> tuple[Way, ...] | Refusal:
    """The signed-in member says that a sign-in was somebody else's; `sign_in` None: does not say
    which.

    Suspends until it is lifted in person, makes the secret that was used unusable, and ends
    every session, this one as well. Returns the ways whose secret stopped. Refused where the
    user is no longer as this session knows them: then it has ended already.
    """
    member = user.member
    if member is None:
        return REFUSED
    stopped = secrets_of(sign_in, user=user)
    changes: dict[str, Any] = suspension.until_in_person()
    if Way.WEB_ID in stopped:
        changes["password"] = UNUSABLE_PASSWORD_PREFIX
    with transaction.atomic():
        # The user first and then the card, as every act takes them.
        account = User.objects.filter(pk=user.pk, is_active=True, epoch=user.epoch)
        if not account.update(**changes):
            return REFUSED
        if Way.CARD in stopped:
            Card.objects.filter(member=member).update(
                # As after a re-set in person: no feed brings the PIN back.
                sealed_pin="",
                pin_origin=Card.Origin.IN_PERSON,
                pin_set_at=None,
            )
        audit.record(
            Event.Act.SIGN_IN_DISOWNED,
            by=audit.MEMBER,
            whom=member.number,
            source=source,
            signed_in_at=sign_in.at.isoformat() if sign_in else "",
            way=sign_in.way if sign_in else "",
            stopped=list(stopped),
        )
        audit.record(
            Event.Act.SUSPENDED,
            by=audit.MEMBER,
            whom=member.number,
            source=source,
            until=suspension.IN_PERSON,
            in_a_row=user.suspensions,
        )
        mail.queue(
            "sign_in_disowned",
            member,
            signed_in_at=sign_in.at if sign_in else None,
            no_pin=int(Way.CARD in stopped),
            no_password=int(Way.WEB_ID in stopped),
        )
        session.flush()
    return stopped


def sign_out_everywhere(*, user: User, session: SessionBase, source: str) -> Refusal | None:
    """End every session of the member's but this one, which goes on under a new key.

    Refused where the user is no longer as this session knows them: to keep it then would carry
    it over a suspension, or over a change of the secret.
    """
    with transaction.atomic():
        account = User.objects.filter(
            not_suspended(), pk=user.pk, is_active=True, epoch=user.epoch, password=user.password
        )
        if not account.update(epoch=F("epoch") + 1):
            return REFUSED
        user.epoch += 1
        keep_session(session, user)
        audit.record(
            Event.Act.SIGNED_OUT_EVERYWHERE,
            by=audit.MEMBER,
            whom=audit.name_of(user),
            source=source,
        )
        if user.member:
            mail.queue("signed_out_everywhere", user.member)
    return None
