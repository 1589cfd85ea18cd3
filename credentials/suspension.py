"""Suspension: after repeated failures both ways in stop, and with them the card at the ATM.

It passes with time by itself: whether somebody is suspended is a question about time, never a
job. The third in a row without a sign-in between stays until staff lift it in person, or the PIN
is re-set (domain.md, rule 5; design.md, policies).
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from credentials import audit, mail, verification
from credentials.attempts import Attempt, accounts, not_suspended, settle_failure
from credentials.models import Event
from credentials.refusals import Refusal, Why
from members.models import User, Way

IN_PERSON = "in person"


def fail(
    attempt: Attempt | None,
    *,
    way: Way,
    name: str,
    source: str,
    act: Event.Act = Event.Act.SIGN_IN_FAILED,
    **how: object,
) -> bool:
    """Settle a failed sign-in: record it as `act` and, at the limit, suspend and tell the member.

    `attempt` is None where none was reserved; the same statements run, so that from outside both
    look alike. `how`: what else the record says. Returns whether this failure suspended.
    """
    with transaction.atomic():
        suspended = settle_failure(attempt, way=way, name=name)
        known = accounts(way, name).select_related("member").first()
        audit.record(
            act,
            by=audit.CARD_HOST if way == Way.ATM else audit.VISITOR,
            whom=audit.name_of(known),
            source=source,
            way=way,
            # 0: not judged, and so not counted either.
            failures=attempt.failures if attempt else 0,
            **how,
        )
        if known and suspended:
            until = known.suspended_until
            audit.record(
                Event.Act.SUSPENDED,
                by=audit.SYSTEM,
                whom=audit.name_of(known),
                source=source,
                until=until.isoformat() if until else IN_PERSON,
                in_a_row=known.suspensions,
            )
            if known.member:
                mail.queue("suspended", known.member, at=known.suspended_at, until=until)
    return suspended


def is_in_force(user: User) -> bool:
    """Whether the user is suspended now, by the database's clock."""
    return not User.objects.filter(not_suspended(), pk=user.pk).exists()


def ends_only_in_person(user: User) -> bool:
    """Whether only staff in person, or a PIN re-set, end this suspension."""
    return user.suspended_at is not None and user.suspended_until is None


def permission_to_lift(user: User) -> str:
    """Return the permission that lifting this user's suspension takes."""
    kind = "reinstate_member_in_person" if ends_only_in_person(user) else "reinstate_member"
    return f"members.{kind}"


def lifted(*, in_person: bool) -> dict[str, object]:
    """Return the changes that lift a suspension and begin the count anew.

    How many went before it is forgotten `in_person` only: lifted on the phone again and again, a
    PIN would face as many guesses as somebody has patience for.
    """
    row: dict[str, object] = {"suspensions": 0} if in_person else {}
    return {
        "attempts_cleared": F("attempts"),
        "suspended_at": None,
        "suspended_until": None,
        **row,
    }


def reinstate(user: User, *, by: User, reason: str, source: str = "") -> Refusal | None:
    """Lift a suspension: `by` staff, for a stated reason.

    Refused where `by` may not, where no reason is given, and where none is in force any more
    (somebody else lifted it, or it passed).
    """
    only_in_person, in_person = ends_only_in_person(user), True
    permission, who = permission_to_lift(user), audit.staff(by)
    if user.member:
        check = verification.require_opened(permission, member=user.member, by=by, source=source)
        if isinstance(check, Refusal):
            return check
        in_person = check.channel == verification.Channel.IN_PERSON
        if only_in_person and not in_person:
            return Refusal(
                Why.REFUSED, reason=_("This one is lifted only in person, with a document.")
            )
    elif not by.has_perm("members.change_user"):
        return Refusal(Why.NOT_PERMITTED, reason=_("Your role may not do this."))
    if not reason.strip():
        return Refusal(Why.REFUSED, reason=_("State the reason."))
    with transaction.atomic():
        # Of the kind that was judged above: it may have become the third in the meantime.
        in_force = User.objects.filter(
            pk=user.pk, suspended_at__isnull=False, suspended_until__isnull=only_in_person
        )
        if not in_force.exclude(suspended_until__lte=Now()).update(**lifted(in_person=in_person)):
            return Refusal(Why.REFUSED, reason=_("This suspension is no longer in force."))
        audit.record(
            Event.Act.REINSTATED,
            by=who,
            whom=audit.name_of(user),
            source=source,
            reason=reason.strip(),
        )
        if user.member:
            mail.queue("reinstated", user.member)
    return None
