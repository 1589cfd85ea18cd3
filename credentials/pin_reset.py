"""PIN re-set: staff start it in person, the member types the new PIN.

The only way to a new PIN (domain.md, rule 4). Staff who may do so state which identity document
they saw and where; the old PIN stops at once; a one-time ticket is shown once; the member types
ticket and new PIN at the terminal page in the store. Nobody but the member ever sees the PIN.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from credentials import audit, codes, mail, suspension, throttling, verification
from credentials.models import Event, PinReset
from credentials.refusals import BUSY, REFUSED, Refusal, Why
from members import pins
from members.hashing import NoSlot, slots
from members.models import Card, Member, User

PERMISSION = "members.start_pin_reset"
PREPARE = "members.prepare_pin_reset"
PREPARED_FOR = timedelta(days=1)
TICKET_LENGTH = 8
TICKET_ATTEMPTS = 5


def prepare(*, member: Member, by: User, source: str = "") -> str | Refusal:
    """Prepare a re-set for a contract machine, by the call centre after verification.

    Returns the ticket to read out. It is good for a day, but opens nothing before staff have seen
    the identity document in person (`start` with the ticket); until then the old PIN holds.
    """
    check = verification.require_opened(PREPARE, member=member, by=by, source=source)
    if isinstance(check, Refusal):
        return check
    return _prepare(member, audit.staff(by), source)


def prepare_for_oneself(*, member: Member, source: str) -> str | Refusal:
    """Prepare a re-set for a contract machine, by the member, signed in to the portal."""
    return _prepare(member, audit.MEMBER, source)


def _prepare(member: Member, by: str, source: str) -> str | Refusal:
    ticket = codes.random_digits(TICKET_LENGTH)
    with transaction.atomic():
        if not User.objects.filter(member=member, is_active=True).exists():
            return Refusal(Why.REFUSED, reason=_("This membership is closed."))
        _issue(member, ticket, prepared_by=by)
        audit.record(Event.Act.PIN_RESET_PREPARED, by=by, whom=member.number, source=source)
    return ticket


def start(
    *,
    member: Member,
    by: User,
    document: str,
    place: str,
    source: str = "",
    prepared_ticket: str = "",
) -> str | Refusal:
    """Stop the old PIN and return a ticket, to be shown once.

    `document`: the kind of identity document that `by` saw; `place`: where. With
    `prepared_ticket`, the one that was prepared becomes good at the terminal. An earlier ticket
    of the card ends. Refused without the permission, and for a closed membership.
    """
    refusal = verification.require_permission(PERMISSION, member=member, by=by, source=source)
    if refusal:
        return refusal
    card = Card.objects.get(member=member)
    if prepared_ticket and not _prepared(card, prepared_ticket):
        return Refusal(
            Why.REFUSED, reason=_("This ticket was not prepared for this member, or is too old.")
        )
    refusal = verification.check_in_person(
        member=member, by=by, document=document, place=place, source=source
    )
    if refusal:
        return refusal
    ticket = prepared_ticket or codes.random_digits(TICKET_LENGTH)
    who = audit.staff(by)
    with transaction.atomic():
        account = User.objects.filter(member=member, is_active=True)
        if not account.update(epoch=F("epoch") + 1):
            return Refusal(Why.REFUSED, reason=_("This membership is closed."))
        Card.objects.filter(pk=card.pk).update(
            sealed_pin="", pin_origin=Card.Origin.IN_PERSON, pin_set_at=None
        )
        _issue(
            member,
            ticket,
            prepared_by=who,
            started_at=Now(),
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


def _issue(member: Member, ticket: str, **how: Any) -> None:
    """Make the one open re-set of the member's card; an earlier one ends."""
    card = Card.objects.select_for_update().get(member=member)
    PinReset.objects.filter(card=card, ended_at__isnull=True).update(ended_at=Now())
    PinReset.objects.create(card=card, ticket_digest=_digest(card, ticket), **how)


def _prepared(card: Card, ticket: str) -> bool:
    return PinReset.objects.filter(
        card=card,
        ticket_digest=_digest(card, ticket),
        ended_at__isnull=True,
        prepared_at__gt=Now() - PREPARED_FOR,
    ).exists()


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
        with slots.take():
            sealed = pins.seal(pin, card_number=card_number)
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
        Card.objects.filter(pk=reset.card_id, number=reset.card.number).update(
            sealed_pin=sealed, pin_origin=Card.Origin.IN_PERSON, pin_set_at=Now()
        )
        audit.record(
            Event.Act.PIN_SET,
            by=audit.MEMBER,
            whom=member.number,
            source=source,
            started_by=reset.started_by,
        )
        mail.queue("pin_set", member)
    return True
