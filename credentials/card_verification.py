"""The card at the ATM: the lender's card host asks whether card and PIN go together.

The same count and the same suspension as at the portal, to the digit, from both sides at once:
the attempt goes through `attempts`, like a sign-in. Answers are response codes of ISO 8583, field
39. A trace number is answered once: a repeated question gets the same answer and counts nothing.
"""

from __future__ import annotations

from enum import StrEnum

from django.db import IntegrityError, transaction

from credentials import audit, suspension
from credentials.attempts import accounts, not_suspended, reserve, settle_success
from credentials.codes import digest, same
from credentials.models import ApiClient, CardVerification, Event
from credentials.refusals import Refusal, Why
from members import pins
from members.hashing import NoSlot, slots, verify_nobody
from members.models import Way


class Code(StrEnum):
    """ISO 8583 field 39, as far as this question can be answered."""

    APPROVED = "00"
    NO_SUCH_CARD = "14"
    WRONG_PIN = "55"
    RESTRICTED = "62"
    TRIES_EXCEEDED = "75"
    UNAVAILABLE = "91"


OTHER_CONTENTS = Refusal(Why.REFUSED, reason="trace number used with other contents")
STILL_RUNNING = Refusal(Why.BUSY, retry_after=1, reason="this trace number is being answered")


def verify(
    *, client: ApiClient, card_number: str, pin: str, terminal: str, trace: str, source: str
) -> Code | Refusal:
    """Answer one question of the card host.

    Refused: OTHER_CONTENTS where the trace number came before with another card, PIN or terminal;
    STILL_RUNNING where the first of two equal questions is not answered yet. UNAVAILABLE, charged
    to nobody and open to a repetition, where no hashing slot was free.
    """
    contents = digest("trace", terminal, pins.fingerprint(pin, card_number=card_number))
    try:
        with transaction.atomic():
            question = CardVerification.objects.create(
                client=client, trace=trace, terminal=terminal, request_digest=contents
            )
    except IntegrityError:
        earlier = CardVerification.objects.get(client=client, trace=trace)
        if not same(earlier.request_digest, contents):
            return OTHER_CONTENTS
        return Code(earlier.response_code) if earlier.response_code else STILL_RUNNING
    code = _judge(card_number, pin, terminal, source)
    if code is Code.UNAVAILABLE:
        question.delete()
    else:
        CardVerification.objects.filter(pk=question.pk).update(response_code=code)
    return code


def _judge(card_number: str, pin: str, terminal: str, source: str) -> Code:
    try:
        with slots.take():
            attempt = reserve(Way.ATM, card_number)
            matched = (
                pins.matches(attempt.sealed_pin, pin, card_number=card_number)
                if attempt
                else verify_nobody(pin)
            )
    except NoSlot:
        return Code.UNAVAILABLE
    if attempt and matched:
        with transaction.atomic():
            if settle_success(attempt):
                audit.record(
                    Event.Act.CARD_VERIFIED,
                    by=audit.CARD_HOST,
                    whom=attempt.whom,
                    source=source,
                    terminal=terminal,
                )
                return Code.APPROVED
    suspended = suspension.fail(attempt, way=Way.ATM, name=card_number, source=source)
    if attempt and not matched:
        return Code.TRIES_EXCEEDED if suspended else Code.WRONG_PIN
    return _state(card_number)


def _state(card_number: str) -> Code:
    """Say why a card was not judged. The card host may know; visitors of the portal may not."""
    account = accounts(Way.ATM, card_number)
    user = account.first()
    if user is None:
        return Code.NO_SUCH_CARD
    if not user.is_active:
        return Code.RESTRICTED
    return Code.RESTRICTED if account.filter(not_suspended()).exists() else Code.TRIES_EXCEEDED
