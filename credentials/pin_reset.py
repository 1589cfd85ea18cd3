"""PIN re-set: staff start it in person, the member types the new PIN.

The only way to a new PIN (domain.md, rule 4). Staff who may do so state which identity document
they saw and where; the old PIN stops at once; a one-time ticket is shown once; the member types
ticket and new PIN at the terminal page in the store. Nobody but the member ever sees the PIN.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials import audit, codes, mail, suspension, throttling
from credentials.models import Event, PinReset
from credentials.refusals import BUSY, REFUSED, Refusal, Why
from members import pins
from members.hashing import NoSlot, slots
from members.models import Card, Member, User

PERMISSION = "members.start_pin_reset"
TICKET_LENGTH = 8
TICKET_ATTEMPTS = 5


class Document(models.TextChoices):
    """The identity documents that staff accept. The kind is recorded, never the number."""

    DRIVING_LICENCE = "driving_licence", gettext_lazy("Driving licence")
    MY_NUMBER_CARD = "my_number_card", gettext_lazy("My Number card (front)")
    RESIDENCE_CARD = "residence_card", gettext_lazy("Residence card")
    PASSPORT = "passport", gettext_lazy("Passport")


def start(
    *, member: Member, by: User, document: str, place: str, source: str = ""
) -> str | Refusal:
    """Stop the old PIN and return a ticket, to be shown once.

    `document`: the kind of identity document that `by` saw; `place`: where. An earlier ticket of
    the card ends. Refused without the permission, and for a closed membership.
    """
    who = audit.staff(by)
    if not by.has_perm(PERMISSION):
        audit.record(
            Event.Act.ACCESS_REFUSED,
            by=who,
            whom=member.number,
            source=source,
            wanted=PERMISSION,
        )
        return Refusal(Why.NOT_PERMITTED, reason=_("Your role may not re-set PINs."))
    if document not in Document.values or not place.strip():
        return Refusal(Why.REFUSED, reason=_("State the identity document seen, and where."))
    ticket = codes.random_digits(TICKET_LENGTH)
    with transaction.atomic():
        account = User.objects.filter(member=member, is_active=True)
        if not account.update(epoch=F("epoch") + 1):
            return Refusal(Why.REFUSED, reason=_("This membership is closed."))
        card = Card.objects.get(member=member)
        Card.objects.filter(pk=card.pk).update(
            sealed_pin="", pin_origin=Card.Origin.IN_PERSON, pin_set_at=None
        )
        PinReset.objects.filter(card=card, ended_at__isnull=True).update(ended_at=Now())
        PinReset.objects.create(
            card=card,
            ticket_digest=_digest(card, ticket),
            started_by=who,
            document=document,
            place=place.strip(),
        )
        audit.record(
            Event.Act.PIN_RESET_STARTED,
            by=who,
            whom=member.number,
            source=source,
            document=document,
            place=place.strip(),
        )
        mail.queue("pin_reset_started", member)
    return ticket


def _digest(card: Card, ticket: str) -> str:
    return codes.digest("pin ticket", str(card.pk), ticket)


def set_pin(*, card_number: str, ticket: str, pin: str, source: str) -> Refusal | None:
    """Put the PIN that the member typed on the card, against the ticket; lift a suspension.

    REFUSED for an unknown card and for a wrong, used or expired ticket alike; WEAK, with the
    reason, for a PIN that must not be chosen: the ticket stays good for another.
    """
    admission = throttling.admit("ticket", address=source, account=card_number)
    if isinstance(admission, Refusal):
        return admission
    live = PinReset.objects.filter(
        card__number=card_number,
        ended_at__isnull=True,
        started_at__gt=Now() - timedelta(seconds=settings.TICKET_SECONDS),
    )
    reset = live.select_related("card__member__user").first()
    # Counted before it is judged, as every guess at a short secret is.
    counted = live.filter(attempts__lt=TICKET_ATTEMPTS).update(attempts=F("attempts") + 1)
    expected = reset.ticket_digest if reset and counted else ""
    given = _digest(reset.card if reset else Card(pk=0), ticket)
    if reset is None or not codes.same(expected, given):
        audit.record(
            Event.Act.TICKET_FAILED,
            by=audit.VISITOR,
            whom=reset.card.member.number if reset else "",
            source=source,
        )
        return REFUSED
    admission.forgive()
    weak = _weakness(pin, reset.card)
    if weak:
        PinReset.objects.filter(pk=reset.pk).update(attempts=F("attempts") - 1)
        return Refusal(Why.WEAK, reason=weak)
    try:
        with slots.take() as hashing:
            sealed = hashing(pins.seal, pin, card_number=card_number)
    except NoSlot:
        PinReset.objects.filter(pk=reset.pk).update(attempts=F("attempts") - 1)
        return BUSY
    return None if _set(reset, sealed, source) else REFUSED


def _weakness(pin: str, card: Card) -> str:
    member = card.member
    try:
        pins.validate_choice(
            pin,
            birth_date=member.birth_date,
            phone=member.phone,
            card_number=card.number,
            member_number=member.number,
        )
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _set(reset: PinReset, sealed: str, source: str) -> bool:
    """Use the ticket up and set the PIN, in one transaction; False where somebody was first."""
    member = reset.card.member
    with transaction.atomic():
        this = PinReset.objects.filter(pk=reset.pk, ended_at__isnull=True)
        if not this.update(ended_at=Now()):
            return False
        account = User.objects.filter(member=member, is_active=True)
        if not account.update(epoch=F("epoch") + 1, **suspension.lifted()):
            return False
        card = Card.objects.filter(pk=reset.card_id, number=reset.card.number)
        if not card.update(sealed_pin=sealed, pin_origin=Card.Origin.IN_PERSON, pin_set_at=Now()):
            # The feed gave the card another number meanwhile: sealed for the old one, useless.
            return False
        audit.record(
            Event.Act.PIN_SET,
            by=audit.MEMBER,
            whom=member.number,
            source=source,
            started_by=reset.started_by,
        )
        mail.queue("pin_set", member)
    return True
