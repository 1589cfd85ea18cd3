"""Closure: the end of a membership.

Asked for by the member on the portal, or through staff on the phone or at the window; checked
against a list by staff; closed, where the policy wants it, by a second pair of eyes. Then the card
and the Web-ID are closed, sessions end, a mail goes out. Records stay for ten years; a Web-ID is
not given out again; reopening is not possible (domain.md).
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from credentials import audit, mail, pin_reset, verification
from credentials.models import Closure, Event, PinReset
from credentials.refusals import Refusal, Why
from members.models import Card, Member, User

PERMISSION = "members.close_membership"
State = Closure.State


def open_closure(member: Member) -> Closure | None:
    """Return the member's closure that is under way, if there is one."""
    return Closure.objects.filter(member=member, ended_at__isnull=True).first()


def ask(*, member: Member, certificate: bool, source: str) -> Refusal | None:
    """The signed-in member asks for the end of the membership, on the portal."""
    return _ask(member, Closure.Via.PORTAL, audit.MEMBER, certificate, source)


def ask_for(*, member: Member, by: User, certificate: bool, source: str = "") -> Refusal | None:
    """Staff take the wish down after verification; how they verified says by which way it came."""
    check = verification.require_opened(PERMISSION, member=member, by=by, source=source)
    if isinstance(check, Refusal):
        return check
    in_person = check.channel == verification.Channel.IN_PERSON
    via = Closure.Via.WINDOW if in_person else Closure.Via.PHONE
    return _ask(member, via, audit.staff(by), certificate, source)


def _ask(member: Member, via: str, by: str, certificate: bool, source: str) -> Refusal | None:
    if not User.objects.filter(member=member, is_active=True).exists():
        return Refusal(Why.REFUSED, reason=_("This membership is closed."))
    try:
        with transaction.atomic():
            Closure.objects.create(member=member, via=via, asked_by=by, certificate=certificate)
            audit.record(
                Event.Act.CLOSURE_ASKED,
                by=by,
                whom=member.number,
                source=source,
                via=via,
                certificate=certificate,
            )
            mail.queue("closure_asked", member)
    except IntegrityError:
        return Refusal(Why.REFUSED, reason=_("A closure is already under way."))
    return None


def withdraw(*, member: Member, source: str) -> Refusal | None:
    """The signed-in member takes the wish back, as long as the membership is not closed."""
    return _withdraw(member, audit.MEMBER, source)


def withdraw_for(*, member: Member, by: User, source: str = "") -> Refusal | None:
    """Staff take the wish back for the member, after verification."""
    check = verification.require_opened(PERMISSION, member=member, by=by, source=source)
    if isinstance(check, Refusal):
        return check
    return _withdraw(member, audit.staff(by), source)


def _withdraw(member: Member, by: str, source: str) -> Refusal | None:
    with transaction.atomic():
        this = Closure.objects.filter(member=member, ended_at__isnull=True)
        if not this.update(state=State.WITHDRAWN, ended_at=Now(), ended_by=by):
            return Refusal(Why.REFUSED, reason=_("No closure is under way."))
        audit.record(Event.Act.CLOSURE_WITHDRAWN, by=by, whom=member.number, source=source)
        mail.queue("closure_withdrawn", member)
    return None


def obstacles(member: Member) -> list[str]:
    """Return what stands in the way of closing, in words; an empty list where nothing does."""
    found = []
    if member.balance:
        found.append(_("There is a balance of %(yen)s yen.") % {"yen": f"{member.balance:,}"})
    # A ticket that nobody used in time stands in nobody's way.
    if pin_reset.at_the_terminal(member):
        found.append(_("A PIN re-set is under way."))
    return found


def check(
    *, closure: Closure, by: User, no_balance: bool, nothing_open: bool, source: str = ""
) -> Refusal | None:
    """Go through the checklist; closes at once where no second pair of eyes is wanted.

    `no_balance`, `nothing_open`: what staff looked up in the core system and confirm.
    """
    member = closure.member
    refusal = verification.require_permission(PERMISSION, member=member, by=by, source=source)
    if refusal:
        return refusal
    if not (no_balance and nothing_open):
        return Refusal(Why.REFUSED, reason=_("Everything on the list must be confirmed."))
    if found := obstacles(member):
        return Refusal(Why.REFUSED, reason=" ".join(found))
    who = audit.staff(by)
    with transaction.atomic():
        this = Closure.objects.filter(pk=closure.pk, state=State.ASKED)
        if not this.update(state=State.CHECKED, checked_at=Now(), checked_by=who):
            return _somebody_was_first()
        audit.record(Event.Act.CLOSURE_CHECKED, by=who, whom=member.number, source=source)
        if not settings.CLOSURE_NEEDS_SECOND:
            _close(closure, who, source)
    return None


def approve(*, closure: Closure, by: User, source: str = "") -> Refusal | None:
    """The second pair of eyes: close what somebody else has checked."""
    member = closure.member
    refusal = verification.require_permission(PERMISSION, member=member, by=by, source=source)
    if refusal:
        return refusal
    who = audit.staff(by)
    if found := obstacles(member):
        return Refusal(Why.REFUSED, reason=" ".join(found))
    with transaction.atomic():
        checked = Closure.objects.select_for_update().filter(pk=closure.pk, state=State.CHECKED)
        if checked.filter(checked_by=who).exists():
            return Refusal(
                Why.REFUSED, reason=_("Somebody other than who checked it must close it.")
            )
        if not checked.exists():
            return _somebody_was_first()
        _close(closure, who, source)
    return None


def _somebody_was_first() -> Refusal:
    return Refusal(Why.REFUSED, reason=_("Somebody else acted on this closure in the meantime."))


def _close(closure: Closure, who: str, source: str) -> None:
    member = closure.member
    pin_reset.locked_card(member)
    Closure.objects.filter(pk=closure.pk).update(state=State.CLOSED, ended_at=Now(), ended_by=who)
    end_membership(member)
    audit.record(
        Event.Act.MEMBERSHIP_CLOSED,
        by=who,
        whom=member.number,
        source=source,
        via=closure.via,
        certificate=closure.certificate,
    )
    mail.queue("membership_closed", member, certificate=int(closure.certificate))


def end_membership(member: Member, *, at: datetime | None = None) -> None:
    """Close every way in, as of now or `at`. In the caller's transaction, which records it."""
    Member.objects.filter(pk=member.pk).update(closed_at=at or Now())
    User.objects.filter(member=member).update(
        is_active=False,
        password="!",  # noqa: S106 no password at all
        epoch=F("epoch") + 1,
        device_epoch=F("device_epoch") + 1,
    )
    Card.objects.filter(member=member).update(
        # As after a re-set in person: no feed brings a PIN back.
        sealed_pin="",
        pin_origin=Card.Origin.IN_PERSON,
    )
    PinReset.objects.filter(card__member=member, ended_at__isnull=True).update(ended_at=Now())
