"""The accounts of staff: one's own password, and what an administrator changes for a colleague.

Whatever changes about an account ends its open sessions and is on record. The forms of the
admin save; what follows from it is here.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from credentials import audit, suspension, throttling
from credentials.attempts import hand_back, reserve
from credentials.models import Event, SecondFactor
from credentials.refusals import BUSY, REFUSED, Refusal, Why
from credentials.sessions import keep_session
from members.hashing import NoSlot, slots
from members.models import User, Way

CHANGE_STAFF = "members.change_user"


def change_own_password(
    *, user: User, old: str, new: str, session: SessionBase, source: str
) -> Refusal | None:
    """Give a member of staff the password `new`, which was validated; only this session goes on.

    A wrong `old` is counted like a failure to sign in, so a session left open is no way to guess.
    """
    name = str(user.username)
    admission = throttling.admit("sign-in", address=source, account=f"{Way.STAFF}:{name.lower()}")
    if isinstance(admission, Refusal):
        return admission
    try:
        with slots.take() as hashing:
            attempt = reserve(Way.STAFF, name)
            right = attempt is not None and hashing(check_password, old, attempt.password)
            encoded = hashing(make_password, new) if right else ""
    except NoSlot:
        admission.forgive()
        return BUSY
    with transaction.atomic():
        if attempt and right and hand_back(attempt):
            User.objects.filter(pk=user.pk).update(password=encoded)
            changed(user, by=user, source=source, fields=["password"])
            keep_session(session, User.objects.get(pk=user.pk))
            admission.forgive()
            return None
    suspension.fail(attempt, way=Way.STAFF, name=name, source=source)
    return REFUSED


def changed(
    user: User, *, by: User, source: str, fields: list[str], reason: str = "", **now: object
) -> None:
    """Follow up on a saved change of `user`: end the open sessions, and record it.

    A password that somebody else set is known to two: it opens one page only, where its owner
    chooses another (credentials.staff_site). `fields`: what was changed; `reason`: why, of a
    colleague's; `now`: how it stands now, for what is no secret. In the caller's transaction.
    """
    updates: dict[str, Any] = {"epoch": F("epoch") + 1}
    if {"added", "password"} & set(fields):
        updates["password_is_temporary"] = by.pk != user.pk
    User.objects.filter(pk=user.pk).update(**updates)
    if reason:
        now["reason"] = reason.strip()
    audit.record(
        Event.Act.STAFF_CHANGED,
        by=audit.staff(by),
        whom=audit.name_of(user),
        source=source,
        fields=fields,
        **now,
    )


def reset_second_factor(user: User, *, by: User, reason: str, source: str) -> Refusal | None:
    """Take a colleague's second factor away: enrolment starts anew, open sessions end.

    Never one's own: who lost both app and recovery codes asks a colleague.
    """
    if user.pk == by.pk:
        return Refusal(Why.NOT_PERMITTED, reason=_("Ask a colleague to re-set your own."))
    if not by.has_perm(CHANGE_STAFF) or (user.is_superuser and not by.is_superuser):
        return Refusal(Why.NOT_PERMITTED, reason=_("Your role may not do this."))
    return take_second_factor_away(user, by=audit.staff(by), reason=reason, source=source)


def take_second_factor_away(
    user: User, *, by: str, reason: str, source: str = ""
) -> Refusal | None:
    """As above, without asking who may: for the console. `by`: as the record names them."""
    if not reason.strip():
        return Refusal(Why.REFUSED, reason=_("State the reason."))
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(epoch=F("epoch") + 1)
        SecondFactor.objects.filter(pk=user.pk).delete()
        audit.record(
            Event.Act.SECOND_FACTOR_RESET,
            by=by,
            whom=audit.name_of(user),
            source=source,
            reason=reason.strip(),
        )
    return None
