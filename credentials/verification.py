"""Identity verification: what staff do before they tell or change anything.

On the phone by questions, or by a hand-off code that the signed-in member reads out; in person
by an identity document. Only a passed verification opens a member, to that operator, for fifteen
minutes. A name and a birth date, which an impostor knows, are never enough (domain.md, rule 6
and "what hurts", 7). Three failures in a day close the phone way for that member.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials import audit, codes, mail, throttling
from credentials.models import Event, HandOffCode, IdentityCheck
from credentials.refusals import Refusal, Why
from members.models import Member, User

logger = logging.getLogger(__name__)

OPEN_FOR = timedelta(minutes=15)
FAILURES_A_DAY = 3
HAND_OFF_LENGTH = 6
HAND_OFF_LIFE = timedelta(minutes=5)
HAND_OFF_ATTEMPTS = 3
HAND_OFFS_AN_HOUR = 10

Channel = IdentityCheck.Channel
PERMISSIONS = {
    Channel.PHONE: "members.verify_on_phone",
    Channel.HAND_OFF: "members.verify_on_phone",
    Channel.IN_PERSON: "members.verify_in_person",
}


class Document(models.TextChoices):
    """The identity documents that staff accept. The kind is recorded, never the number."""

    DRIVING_LICENCE = "driving_licence", gettext_lazy("Driving licence")
    MY_NUMBER_CARD = "my_number_card", gettext_lazy("My Number card (front)")
    RESIDENCE_CARD = "residence_card", gettext_lazy("Residence card")
    PASSPORT = "passport", gettext_lazy("Passport")


class Fact(models.TextChoices):
    """What a caller can be asked."""

    NAME = "name", gettext_lazy("Full name")
    BIRTH_DATE = "birth_date", gettext_lazy("Birth date")
    PHONE = "phone", gettext_lazy("Registered phone number")
    EMAIL = "email", gettext_lazy("Registered email address")
    CARD_LAST_FOUR = "card_last_four", gettext_lazy("Last four digits of the card")
    WEB_ID = "web_id", gettext_lazy("Web-ID")
    LAST_SIGN_IN = "last_sign_in", gettext_lazy("Day and way of the last sign-in")


IMPOSTOR_KNOWS = frozenset({Fact.NAME, Fact.BIRTH_DATE})


@dataclass(frozen=True)
class Question:
    """One question to a caller, and the answer that is on file."""

    fact: Fact
    answer: str


def questions(member: Member) -> list[Question]:
    """Return what can be asked about this member: every fact that is on file."""
    user = member.user
    web_id = getattr(member, "web_id", None)
    answers = {
        Fact.NAME: f"{member.name} ({member.name_kana})",
        Fact.BIRTH_DATE: date_format(member.birth_date),
        Fact.PHONE: member.phone,
        Fact.EMAIL: member.email,
        Fact.CARD_LAST_FOUR: member.card.last_four,
        Fact.WEB_ID: web_id.name if web_id else "",
        Fact.LAST_SIGN_IN: f"{date_format(localtime(user.sign_in_at))}, "
        f"{user.get_sign_in_way_display()}"
        if user.sign_in_at
        else "",
    }
    return [Question(fact, answer) for fact, answer in answers.items() if answer]


def suffices(answered: Iterable[str]) -> bool:
    """Whether these facts, answered rightly, prove who somebody is."""
    facts = {Fact(name) for name in answered}
    enough = len(facts) >= settings.IDENTITY_QUESTIONS_REQUIRED
    return enough and not facts <= IMPOSTOR_KNOWS


def check_by_questions(
    *, member: Member, by: User, answered: Iterable[str], source: str = ""
) -> Refusal | None:
    """Judge a caller by the questions that staff ticked as rightly answered."""
    known = {question.fact for question in questions(member)}
    right = sorted(known & set(answered))
    return _check(
        Channel.PHONE,
        member,
        by,
        source,
        lambda: suffices(right),
        asked=sorted(known),
        answered=right,
    )


def check_by_hand_off_code(
    *, member: Member, by: User, code: str, source: str = ""
) -> Refusal | None:
    """Judge a caller by the code that the signed-in member reads out. It works once.

    Wrong ones are counted for the operator, too, over all members together.
    """
    refusal = require_permission(PERMISSIONS[Channel.HAND_OFF], member=member, by=by, source=source)
    if refusal:
        return refusal
    admission = throttling.admit_staff("hand-off", by=audit.staff(by), account=member.number)
    if isinstance(admission, Refusal):
        return admission

    def right() -> bool:
        live = HandOffCode.objects.filter(
            member=member, used_at__isnull=True, made_at__gt=Now() - HAND_OFF_LIFE
        )
        if not live.filter(attempts__lt=HAND_OFF_ATTEMPTS).update(attempts=F("attempts") + 1):
            return False
        digest = _hand_off_digest(member, code)
        return bool(live.filter(code_digest=digest).update(used_at=Now()))

    refusal = _check(Channel.HAND_OFF, member, by, source, right)
    if refusal is None:
        admission.forgive()
    return refusal


def check_in_person(
    *, member: Member, by: User, document: str, place: str, source: str = ""
) -> Refusal | None:
    """Note that staff saw the member's identity document: its kind, never its number."""
    if document not in Document.values or not place.strip():
        return Refusal(Why.REFUSED, reason=_("State the identity document seen, and where."))
    return _check(
        Channel.IN_PERSON, member, by, source, lambda: True, document=document, place=place.strip()
    )


def _check(
    channel: IdentityCheck.Channel,
    member: Member,
    by: User,
    source: str,
    right: Callable[[], bool],
    **how: object,
) -> Refusal | None:
    """Judge once, record it, and close the phone way at the third failure of a day."""
    refusal = require_permission(PERMISSIONS[channel], member=member, by=by, source=source)
    if refusal:
        return refusal
    with transaction.atomic():
        # One check of a member at a time, so that parallel ones cannot pass the third failure.
        Member.objects.select_for_update(no_key=True).get(pk=member.pk)
        on_phone = channel != Channel.IN_PERSON
        if on_phone and phone_way_is_closed(member):
            return Refusal(
                Why.REFUSED,
                reason=_(
                    "Verification on the phone failed three times within a day. It is closed for "
                    "this member for a day; ask them to come to a store window."
                ),
            )
        passed = right()
        IdentityCheck.objects.create(member=member, by=by, channel=channel, passed=passed, **how)
        audit.record(
            Event.Act.IDENTITY_VERIFIED if passed else Event.Act.IDENTITY_FAILED,
            by=audit.staff(by),
            whom=member.number,
            source=source,
            channel=channel,
            **how,
        )
        if on_phone and not passed and phone_way_is_closed(member):
            _alert(member, source)
    if passed:
        return None
    return Refusal(
        Why.REFUSED,
        reason=_("Not verified. Tell the caller nothing, and do not say what was wrong."),
    )


def _alert(member: Member, source: str) -> None:
    audit.record(Event.Act.PHONE_WAY_CLOSED, by=audit.SYSTEM, whom=member.number, source=source)
    mail.queue("phone_way_closed", member)
    logger.error("phone way closed for a member after %s failures", FAILURES_A_DAY)


def failures_on_phone(member: Member) -> int:
    """How many verifications of this member on the phone failed within the last day."""
    return IdentityCheck.objects.filter(
        member=member,
        passed=False,
        channel__in=[Channel.PHONE, Channel.HAND_OFF],
        at__gt=Now() - timedelta(days=1),
    ).count()


def phone_way_is_closed(member: Member) -> bool:
    """Whether so many phone verifications of this member failed that none is taken now."""
    return failures_on_phone(member) >= FAILURES_A_DAY


def opened(member: Member, by: User) -> IdentityCheck | None:
    """Return the verification that opens this member to this operator now, if there is one.

    It is the operator's latest one that counts: a failure after a success is another caller, who
    must not profit from the first one's answers.
    """
    checks = IdentityCheck.objects.filter(member=member, by=by, at__gt=Now() - OPEN_FOR)
    latest = checks.order_by("-at", "-pk").first()
    return latest if latest and latest.passed and not latest.ended_at else None


def require_permission(permission: str, *, member: Member, by: User, source: str) -> Refusal | None:
    """Refuse, and record it, where the role may not."""
    if by.has_perm(permission):
        return None
    audit.record(
        Event.Act.ACCESS_REFUSED,
        by=audit.staff(by),
        whom=member.number,
        source=source,
        wanted=permission,
    )
    return Refusal(Why.NOT_PERMITTED, reason=_("Your role may not do this."))


def require_opened(
    permission: str, *, member: Member, by: User, source: str
) -> IdentityCheck | Refusal:
    """Return the verification an act rests on; refuse without permission or verification."""
    refusal = require_permission(permission, member=member, by=by, source=source)
    if refusal:
        return refusal
    check = opened(member, by)
    if check is None:
        return Refusal(
            Why.REFUSED,
            reason=_("Verify the member's identity first. A verification holds for 15 minutes."),
        )
    return check


def make_hand_off_code(*, member: Member, source: str) -> str | Refusal:
    """Return a new code for the signed-in member to read out; an older one ends.

    Refused after so many within an hour: each new one brings new tries, and a call takes one.
    """
    code = codes.random_digits(HAND_OFF_LENGTH)
    with transaction.atomic():
        # One at a time, so that parallel ones cannot pass the limit.
        Member.objects.select_for_update(no_key=True).get(pk=member.pk)
        made = Event.objects.filter(
            whom=member.number,
            act=Event.Act.HAND_OFF_CODE_MADE,
            at__gt=Now() - timedelta(hours=1),
        )
        if made.count() >= HAND_OFFS_AN_HOUR:
            return Refusal(
                Why.REFUSED,
                reason=_(
                    "You have made many codes within an hour. Please wait an hour, or let the "
                    "operator ask you questions instead."
                ),
            )
        HandOffCode.objects.update_or_create(
            member=member,
            defaults={
                "code_digest": _hand_off_digest(member, code),
                "made_at": Now(),
                "used_at": None,
                "attempts": 0,
            },
        )
        audit.record(
            Event.Act.HAND_OFF_CODE_MADE, by=audit.MEMBER, whom=member.number, source=source
        )
    return code


def _hand_off_digest(member: Member, code: str) -> str:
    # With the epoch: whatever ends the member's sessions ends the codes made in them, too.
    epoch = User.objects.values_list("epoch", flat=True).get(member=member)
    return codes.digest("hand-off", str(member.pk), str(epoch), code)
