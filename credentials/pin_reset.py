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
from django.db.models import F, Q, QuerySet
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
        card = locked_card(member)
        if _open_resets(card).filter(_good_at_the_terminal()).exists():
            # The member stands at the terminal: another ticket would take theirs away.
            return Refusal(Why.REFUSED, reason=_("A PIN re-set is under way in a store just now."))
        _issue(card, ticket, prepared_by=by)
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
    `prepared_ticket`, the one that was prepared becomes good at the terminal, once. An earlier
    ticket of the card ends. Refused without the permission, for a closed membership, and for a
    ticket that was not prepared for this card, is too old or was used.
    """
    refusal = verification.require_permission(PERMISSION, member=member, by=by, source=source)
    if refusal:
        return refusal
    ticket = prepared_ticket or codes.random_digits(TICKET_LENGTH)
    who = audit.staff(by)
    admission: throttling.Admission | Refusal = throttling.UNCOUNTED
    if prepared_ticket:
        admission = throttling.admit_staff("prepared ticket", by=who, account=member.number)
    if isinstance(admission, Refusal):
        return admission
    with transaction.atomic():
        card = locked_card(member)
        account = User.objects.filter(member=member, is_active=True)
        if not account.exists():
            return Refusal(Why.REFUSED, reason=_("This membership is closed."))
        prepared = _prepared(card, prepared_ticket)
        if prepared_ticket and not prepared.exists():
            audit.record(Event.Act.TICKET_FAILED, by=who, whom=member.number, source=source)
            return Refusal(
                Why.REFUSED,
                reason=_(
                    "This ticket was not prepared for this member, is too old, or was used "
                    "before. Compare the digits, or start without a ticket."
                ),
            )
        admission.forgive()
        refusal = verification.check_in_person(
            member=member, by=by, document=document, place=place, source=source
        )
        if refusal:
            return refusal
        account.update(epoch=F("epoch") + 1, device_epoch=F("device_epoch") + 1)
        Card.objects.filter(pk=card.pk).update(
            sealed_pin="", pin_origin=Card.Origin.IN_PERSON, pin_set_at=None
        )
        started = {
            "started_at": Now(),
            "started_by": who,
            "document": document,
            "place": place.strip(),
        }
        if prepared_ticket:
            prepared.update(**started)
        else:
            _issue(card, ticket, prepared_by=who, **started)
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


def at_the_terminal(member: Member) -> PinReset | None:
    """Return the re-set whose ticket is good at the terminal now, if there is one."""
    return _open_resets(member.card).filter(_good_at_the_terminal()).first()


def locked_card(member: Member) -> Card:
    """Return the member's card, for one act on it at a time, in the caller's transaction.

    The user first and then the card, as the feed locks them: so neither waits in a ring.
    """
    User.objects.select_for_update(no_key=True).get(member=member)
    return Card.objects.select_for_update(no_key=True).get(member=member)


def _issue(card: Card, ticket: str, **how: Any) -> None:
    """Make the one open re-set of the card; an earlier one ends."""
    _open_resets(card).update(ended_at=Now())
    PinReset.objects.create(card=card, ticket_digest=_digest(card, ticket), **how)


def _open_resets(card: Card) -> QuerySet[PinReset]:
    return PinReset.objects.filter(card=card, ended_at__isnull=True)


def _good_at_the_terminal() -> Q:
    return Q(started_at__gt=Now() - timedelta(seconds=settings.TICKET_SECONDS))


def _prepared(card: Card, ticket: str) -> QuerySet[PinReset]:
    """Return the re-set that this ticket was prepared for and that nobody started yet."""
    return _open_resets(card).filter(
        ticket_digest=_digest(card, ticket),
        started_at__isnull=True,
        prepared_at__gt=Now() - PREPARED_FOR,
    )


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
        _good_at_the_terminal(), card__number=card_number, ended_at__isnull=True
    )
    reset = live.select_related("card__member__user").first()
    # Counted before it is judged, as every guess at a short secret is.
    counted = live.filter(attempts__lt=TICKET_ATTEMPTS).update(attempts=F("attempts") + 1)
    expected = reset.ticket_digest if reset and counted else ""
    given = _digest(reset.card if reset else Card(pk=0), ticket)
    if reset is None or not codes.same(expected, given):
        return _refused(reset, source)
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
    return None if _set(reset, sealed, source) else _refused(reset, source)


def _refused(reset: PinReset | None, source: str) -> Refusal:
    """Put a ticket that is wrong, or not good any more, on record."""
    audit.record(
        Event.Act.TICKET_FAILED,
        by=audit.VISITOR,
        whom=reset.card.member.number if reset else "",
        source=source,
    )
    return REFUSED


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
        locked_card(member)
        this = PinReset.objects.filter(pk=reset.pk, ended_at__isnull=True)
        if not this.update(ended_at=Now()):
            return False
        account = User.objects.filter(member=member, is_active=True)
        epochs = {"epoch": F("epoch") + 1, "device_epoch": F("device_epoch") + 1}
        if not account.update(**epochs, **suspension.lifted(row_ends=True)):
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
