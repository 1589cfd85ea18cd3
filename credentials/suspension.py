"""Suspension: after repeated failures both ways in stop, and with them the card at the ATM.

It passes with time by itself: whether somebody is suspended is a question about time, never a
job. The third in a row without a sign-in between stays until staff lift it in person, or the PIN
is re-set (domain.md, rule 5; design.md, policies); a lifting on the phone does not end the row.
As long stays one that the member asked for, of staff here or by disowning a sign-in
(credentials.sign_ins).
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from credentials import audit, mail, verification
from credentials.attempts import Attempt, accounts, not_suspended, settle_failure, whom
from credentials.models import Event
from credentials.refusals import Refusal, Why
from members.models import Member, User, Way
from members.search import Kind, read

IN_PERSON = "in person"
SUSPEND = "members.suspend_member"


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
        audit.record(
            act,
            by=audit.CARD_HOST if way == Way.ATM else audit.VISITOR,
            whom=whom(way, name),
            source=source,
            way=way,
            # 0: not judged, and so not counted either.
            failures=attempt.failures if attempt else 0,
            **how,
        )
        if suspended:
            known = accounts(way, name).select_related("member").get()
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


def until_in_person() -> dict[str, object]:
    """Return the changes that suspend a user at once, until it is lifted in person.

    The open sessions end by it, and no device counts as known any more.
    """
    return {
        "attempts_cleared": F("attempts"),
        "epoch": F("epoch") + 1,
        "device_epoch": F("device_epoch") + 1,
        "suspended_at": Now(),
        "suspended_until": None,
    }


def disowned(*, number: str, since: str) -> Exists:
    """Return the condition that the member asked for the suspension, by disowning a sign-in.

    `number`, `since`: the fields of the outer query with the member number and `suspended_at`.
    """
    # Recorded in the same transaction, after the suspension.
    recorded = Event.objects.filter(whom=OuterRef(number), at__gte=OuterRef(since))
    return Exists(recorded.filter(act=Event.Act.SIGN_IN_DISOWNED))


def is_disowned(user: User) -> bool:
    """Whether this suspension is one that the member asked for, by disowning a sign-in."""
    by_disowning = disowned(number="member__number", since="suspended_at")
    return User.objects.filter(by_disowning, pk=user.pk, suspended_until__isnull=True).exists()


def suspend(
    user: User, *, by: User, reason: str, source: str = "", said: str = ""
) -> Refusal | None:
    """Stop a member's account and card at once, at their word: a lost card, a fraud.

    `said`: what the caller gave, name in kana and birth date, where nobody verified them.
    An impostor knows both, and to anything else they open nothing (credentials.verification); to
    stop they are enough, as every lender takes the report of a lost card from whoever makes it.
    Whoever stops a stranger's card costs them one visit with a document, and is on record; a
    member who is held up with questions, or whose phone way an impostor has closed by failing,
    loses money meanwhile. For the same reason a wrong answer here closes no phone way. To lift it
    takes the document in person, so to stop first and have it lifted gains an impostor nothing.
    """
    member = user.member
    if member is None:
        return Refusal(Why.REFUSED, reason=_("Only a member's account is stopped here."))
    refusal = verification.require_permission(SUSPEND, member=member, by=by, source=source)
    if refusal:
        return refusal
    if not reason.strip():
        return Refusal(Why.REFUSED, reason=_("State the reason."))
    verified = verification.opened(member, by) is not None
    if not verified and not _names(member, said):
        audit.record(
            Event.Act.IDENTITY_FAILED,
            by=audit.staff(by),
            whom=member.number,
            source=source,
            wanted=SUSPEND,
        )
        return Refusal(
            Why.REFUSED,
            reason=_("This is not the name in kana and the birth date on file. Ask again."),
        )
    with transaction.atomic():
        account = User.objects.filter(pk=user.pk, is_active=True)
        # One that passes by itself becomes one that does not; what lasts already stays as it is.
        if not account.filter(not_suspended() | Q(suspended_until__isnull=False)).update(
            **until_in_person()
        ):
            return Refusal(Why.REFUSED, reason=_("This account is stopped already."))
        audit.record(
            Event.Act.SUSPENDED,
            by=audit.staff(by),
            whom=member.number,
            source=source,
            until=IN_PERSON,
            reason=reason.strip(),
            verified=verified,
        )
        mail.queue("suspended_at_word", member)
    return None


def _names(member: Member, said: str) -> bool:
    """Whether this is the member's whole name and birth date, and nothing that is not."""
    understood = read(said)
    return (
        understood.kinds == [Kind.KANA, Kind.BIRTH_DATE]
        and member.kana_key in understood.beginnings
        and understood.facts[Kind.BIRTH_DATE] == member.birth_date
    )


def at_word(*, number: str, since: str) -> Exists:
    """Return the condition that a suspension is one at the member's word.

    `number`, `since`: the fields of the outer query with the member number and `suspended_at`.
    """
    # Recorded in the same transaction, after the suspension.
    recorded = Event.objects.filter(whom=OuterRef(number), at__gte=OuterRef(since))
    return Exists(recorded.filter(act=Event.Act.SUSPENDED, details__has_key="reason"))


def permission_to_lift(user: User) -> str:
    """Return the permission that lifting this user's suspension takes."""
    kind = "reinstate_member_in_person" if ends_only_in_person(user) else "reinstate_member"
    return f"members.{kind}"


def lifted(*, row_ends: bool) -> dict[str, object]:
    """Return the changes that lift a suspension and begin the count anew.

    `row_ends`: the next suspension is again the first in a row. Not where it was lifted on the
    phone: else each call that passes would buy another fifteen guesses at a PIN.
    """
    return {
        "attempts_cleared": F("attempts"),
        "suspended_at": None,
        "suspended_until": None,
        **({"suspensions": 0} if row_ends else {}),
    }


def reinstate(user: User, *, by: User, reason: str, source: str = "") -> Refusal | None:
    """Lift a suspension: `by` staff, for a stated reason.

    Refused where `by` may not, where no reason is given, and where none is in force any more
    (somebody else lifted it, or it passed).
    """
    in_person = ends_only_in_person(user)
    permission, who = permission_to_lift(user), audit.staff(by)
    # Staff have no PIN to guess at, and nobody who meets them: their colleague's word ends it.
    row_ends = True
    if user.member:
        check = verification.require_opened(permission, member=user.member, by=by, source=source)
        if isinstance(check, Refusal):
            return check
        row_ends = check.channel == verification.Channel.IN_PERSON
        if in_person and not row_ends:
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
            pk=user.pk, suspended_at__isnull=False, suspended_until__isnull=in_person
        )
        lift = lifted(row_ends=row_ends)
        if not in_force.exclude(suspended_until__lte=Now()).update(**lift):
            return Refusal(Why.REFUSED, reason=_("This suspension is no longer in force."))
        audit.record(
            Event.Act.REINSTATED,
            by=who,
            whom=audit.name_of(user),
            source=source,
            reason=reason.strip(),
            row_ends=row_ends,
        )
        if user.member:
            card = getattr(user.member, "card", None)
            mail.queue(
                "reinstated",
                user.member,
                no_pin=int(card is None or not card.has_pin),
                no_password=int(user.web_id_is_stopped),
            )
    return None
